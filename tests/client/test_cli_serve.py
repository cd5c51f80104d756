"""``jsonrpcc serve``: its address, its methods, its log, and its end."""

import os
import signal
import socket
import ssl
import subprocess
import time

import pytest
from command_line import JSONRPCC, LIMIT, one_line, read_line, run, started

from jsonrpcc.testing import Server, netstring


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_prints_its_address_and_ends_cleanly(number):
    with started("serve", "--port", "0") as serving:
        address = read_line(serving.stdout)
        assert run("call", address, "add", "[1, 2]").stdout == "3\n"
        assert run("call", address, "echo", '{"a": 1}').stdout == '{"a":1}\n'
        assert run("call", address, "echo", "[1]").stdout == "[1]\n"
        assert run("call", address, "sleep", "[0.01]").stdout == "0.01\n"
        assert float(run("call", address, "time").stdout) == pytest.approx(
            time.time(), abs=60
        )
        assert run("call", address, "fail").returncode == 1
        serving.send_signal(number)
        out, err = serving.communicate(timeout=LIMIT)
        assert (serving.returncode, out, err) == (0, "", "")


def test_serve_on_ipv6():
    with started("serve", "--host", "::1", "--port", "0") as serving:
        address = read_line(serving.stdout)
        assert address.startswith("[::1]:")
        assert run("call", address, "add", "[1, 2]").stdout == "3\n"


def test_serve_says_when_the_port_is_taken():
    with Server() as server:
        done = run("serve", "--port", str(server.port))
    assert (done.returncode, done.stdout) == (2, "")
    assert one_line(done.stderr).endswith("Address already in use")


def test_serve_functions_of_a_module(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "__init__.py").touch()
    (tmp_path / "mine" / "methods.py").write_text(
        "from os.path import join\n"
        "async def double(x): return 2 * x\n"
        "def _hidden(): return 1\n"
    )
    with started(
        "serve", "--port", "0", "--methods", "mine.methods", cwd=tmp_path
    ) as serving:
        address = read_line(serving.stdout)
        assert run("call", address, "double", "[21]").stdout == "42\n"
        for hidden in ("_hidden", "join", "add"):
            assert "-32601" in run("call", address, hidden).stderr


def test_serve_by_tls_with_a_certificate_of_its_own():
    with started("serve", "--port", "0", "--tls") as serving:
        host, _, port = read_line(serving.stdout).partition(":")
        ca = serving.stderr.readline().split("--ca ")[1].strip()
        context = ssl.create_default_context(cafile=ca)
        with (
            socket.create_connection((host, int(port)), LIMIT) as sock,
            context.wrap_socket(sock, server_hostname=host) as tls,
        ):
            tls.sendall(netstring(b'{"jsonrpc":"2.0","id":1,"method":"echo"}'))
            assert tls.recv(100) == netstring(b'{"jsonrpc":"2.0","id":1,"result":[]}')
        serving.send_signal(signal.SIGTERM)
        assert serving.wait(LIMIT) == 0
        assert not os.path.exists(ca)  # noqa: PTH110


def test_serve_v_is_a_log_of_requests():
    with started("serve", "-v", "--port", "0") as serving:
        address = read_line(serving.stdout)
        lines = "[1, 2]\n[1]\n"
        subprocess.run(
            [*JSONRPCC, "call", address, "add", "-"],
            input=lines, text=True, timeout=LIMIT, check=False, capture_output=True,
        )  # fmt: skip
        first, second = (read_line(serving.stderr) for _ in range(2))
    assert "connection 1: add [1,2] -> 3, " in first
    assert first.endswith(" ms")
    assert 'add [1] -> {"code":-32602,' in second


def test_requests_of_every_kind_are_logged(caplog):
    caplog.set_level("DEBUG", "jsonrpcc.testing.requests")
    with Server({"add": lambda a, b: a + b}) as server:
        with started("notify", server.address, "add", "[1, 2]") as notifying:
            notifying.wait(LIMIT)
        with started("call", server.address, "nobody", '["' + "x" * 999 + '"]') as call:
            call.wait(LIMIT)
        server.wait_for_requests(2)
    texts = [record.getMessage() for record in caplog.records]
    assert "add [1,2] (notification) -> 3, " in texts[0]
    assert 'x... -> {"code":-32601,"message":"Method not found"}, ' in texts[1]
    assert len(texts[1]) < 300
