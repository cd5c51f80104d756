"""The command line, as scripts use it: output, one line of error, exit codes."""

import json
import os
import re
import select
import signal
import socket
import ssl
import subprocess
import sys
import time

import pytest

import jsonrpcc
from jsonrpcc.testing import Close, Drop, Error, Payload, Server, netstring

LIMIT = 20.0  # seconds until a command that does not end has failed
JSONRPCC = [sys.executable, "-m", "jsonrpcc"]


def run(*args, stdin=None, cwd=None):
    return subprocess.run(
        [*JSONRPCC, *args],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
        cwd=cwd,
    )


def fail(code, message, data=None):
    raise Error(code, message, data)


@pytest.fixture
def server():
    methods = {
        "add": lambda a, b: a + b,
        "echo": lambda **named: named,
        "fail": fail,
    }
    with Server(methods) as server:
        yield server


@pytest.fixture
def nowhere():
    """A server that is not there, on a port that nobody else can get."""
    with Server() as server:
        server.stop()
        yield server.address


@pytest.fixture
def start():
    processes = []

    def start(*args, **options):
        process = subprocess.Popen(
            [*JSONRPCC, *args],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def read_line(process):
    assert select.select([process.stdout], [], [], LIMIT)[0], "it printed nothing"
    return process.stdout.readline().strip()


def one_line(text):
    assert text.endswith("\n")
    assert text.count("\n") == 1
    return text[:-1]


# --- call ---


def test_call_prints_the_result_on_one_line(server):
    done = run("call", server.address, "add", "[1, 2]")
    assert (done.returncode, done.stdout, done.stderr) == (0, "3\n", "")


def test_call_without_params_sends_none(server):
    assert run("call", server.address, "echo").stdout == "{}\n"
    assert server.requests[0].params is None


def test_call_takes_single_quotes_and_stdin(server):
    wanted = '{"id":1234}\n'
    assert run("call", server.address, "echo", "{'id': 1234}").stdout == wanted
    done = run("call", server.address, "echo", "-", stdin='{"id": 1234}\n')
    assert done.stdout == wanted


def test_call_prints_numbers_and_names_as_they_came(server):
    """A float would round them; results are printed as the server wrote them."""
    exact = '[12345678901234567890123,1.10,1e400,-0.0,"\\u00fc ü"]'
    server.misbehave(
        lambda request: Payload(
            f'{{"jsonrpc": "2.0", "id": {request.id}, "result": {exact}}}'
        )
    )
    assert one_line(run("call", server.address, "echo").stdout) == exact


def test_call_pretty_indents(server):
    done = run("call", server.address, "echo", '{"a": [1]}', "--pretty")
    assert done.stdout == '{\n  "a": [\n    1\n  ]\n}\n'


def test_remote_error_is_1_and_one_line(server):
    done = run("call", server.address, "fail", '[5, "no\\nway", {"why": "ü"}]')
    assert (done.returncode, done.stdout) == (1, "")
    wanted = 'jsonrpcc: remote error 5: no way: {"why": "ü"}'
    assert one_line(done.stderr) == wanted


def test_remote_error_of_any_shape(server):
    server.misbehave(
        lambda request: Payload(
            f'{{"jsonrpc": "2.0", "id": {request.id}, "error": "broken"}}'
        )
    )
    done = run("call", server.address, "echo")
    assert done.returncode == 1
    assert one_line(done.stderr) == "jsonrpcc: remote error null: broken"


def test_errors_as_json(server, nowhere):
    done = run("call", server.address, "fail", '[5, "no", [1]]', "--json-errors")
    error = json.loads(one_line(done.stderr))
    elapsed, waited, answered = map(error.pop, ("elapsed", "waited", "answered"))
    assert 0 < waited + answered <= elapsed + 1e-6
    assert error == {
        "error": "RemoteError",
        "code": 5,
        "message": "no",
        "data": [1],
        "method": "fail",
        "server": server.address,
        "fate": "answered",
        "attempts": 1,
    }
    done = run("call", nowhere, "fail", "--json-errors")
    error = json.loads(one_line(done.stderr))
    assert (error["error"], error["fate"]) == ("ServerFailure", "not_sent")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["call", "SERVER", "add", "[1,"], "params: expected a value at offset 3"),
        (["call", "SERVER", "add", "5"], "params must be an array or an object"),
        (["call", "SERVER", ""], "method must be"),
        (["call", "nonsense", "add"], "servers: ':' and a port are expected"),
        (["call", "SERVER", "add", "-t", "0"], "argument -t"),
        (["call", "SERVER", "add", "-t", "nan"], "argument -t"),
        (["call", "SERVER"], "METHOD"),
        (["notify", "SERVER", "add", "nope"], "params:"),
        (["servers", "nonsense"], "servers: ':' and a port are expected"),
        (["serve", "--methods", "no.such.module"], "--methods: No module"),
        (["serve", "--methods", "jsonrpcc._jsonrpcc"], "no public functions"),
        (["serve", "--port", "65536"], "argument --port"),
        (["serve", "--cert", "a.pem"], "--cert, --key and --client-ca need --tls"),
        (["serve", "--tls", "--cert", "a"], "--cert and --key are needed together"),
        (["serve", "--tls", "--cert", "/no", "--key", "/no"], "No such file"),
        (["nonsense"], "nonsense"),
        ([], "COMMAND"),
    ],
)
def test_usage_is_2(server, args, says):
    done = run(*(server.address if arg == "SERVER" else arg for arg in args))
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_timeout_is_3(server):
    server.freeze()
    done = run("call", server.address, "add", "[1, 2]", "--timeout", "0.2")
    server.thaw()
    assert done.returncode == 3
    assert one_line(done.stderr).startswith("jsonrpcc: timeout: add at ")


def test_no_server_is_4(nowhere):
    done = run("call", nowhere, "add")
    assert (done.returncode, done.stdout) == (4, "")
    assert one_line(done.stderr).startswith("jsonrpcc: failure: no server")


def test_lost_connection_is_4(server):
    server.misbehave(Close(), method="add")
    done = run("call", server.address, "add", "[1, 2]")
    assert done.returncode == 4
    assert one_line(done.stderr).startswith("jsonrpcc: failure: connection lost")


def test_idempotent_call_is_sent_again(server):
    server.misbehave(Close(times=1), method="add")
    done = run("call", server.address, "add", "[1, 2]", "--idempotent", "--wait")
    assert (done.returncode, done.stdout) == (0, "3\n")


def test_invalid_response_is_5(server):
    server.misbehave(lambda request: Payload(f'{{"id": {request.id}}}'))
    done = run("call", server.address, "add", "[1, 2]")
    assert done.returncode == 5
    assert one_line(done.stderr).startswith("jsonrpcc: invalid response: ")


def test_wait_waits_for_a_server(start):
    with Server({"add": lambda a, b: a + b}) as server:
        server.stop()
        calling = start(
            "call", server.address, "add", "[1, 2]", "--wait", "-t", "15", "-v",
        )  # fmt: skip
        for line in calling.stderr:
            if "unreachable" in line:
                break
        server.start()
        assert read_line(calling) == "3"
        assert calling.wait(LIMIT) == 0


def test_serve_by_tls_with_a_certificate_of_its_own(start):
    serving = start("serve", "--port", "0", "--tls")
    host, _, port = read_line(serving).partition(":")
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


def test_ctrl_c_is_130(server, start):
    server.misbehave(Drop())
    calling = start("call", server.address, "add", "[1, 2]", "-t", "60")
    server.wait_for_requests(1, LIMIT)
    calling.send_signal(signal.SIGINT)
    out, err = calling.communicate(timeout=LIMIT)
    assert (calling.returncode, out, err) == (130, "", "")


def test_reader_that_goes_away_is_no_traceback(server):
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run(
        [*JSONRPCC, "call", server.address, "add", "[1, 2]"],
        stdout=write_end,
        stderr=subprocess.PIPE,
        timeout=LIMIT,
        check=False,
    )
    os.close(write_end)
    assert done.stderr == b""


# --- notify ---


def test_notify_is_0_when_a_server_has_it(server):
    done = run("notify", server.address, "update", "{'id': 1}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    (seen,) = server.wait_for_requests(1)
    assert (seen.method, seen.params, seen.notification) == ("update", {"id": 1}, True)


def test_notify_without_a_server_is_4(nowhere):
    done = run("notify", nowhere, "update")
    assert done.returncode == 4
    line = one_line(done.stderr)
    assert line.startswith("jsonrpcc: failure: no server")
    assert "not sent" in line


def test_notify_that_waits_in_vain_is_3(nowhere):
    done = run("notify", nowhere, "update", "--wait", "--timeout", "0.2")
    assert done.returncode == 3
    assert one_line(done.stderr).startswith("jsonrpcc: timeout: update")


# --- servers ---


def test_servers_prints_a_table(server, nowhere):
    done = run("servers", f"{server.address},2 {nowhere},1")
    assert (done.returncode, done.stderr) == (4, "")
    head, up, down = done.stdout.splitlines()
    assert head.split() == ["SERVER", "PRIORITY", "STATE", "LAST", "ERROR"]
    assert up.split() == [server.address, "2", "up"]
    assert down.split() == [nowhere, "1", "down", "Connection", "refused"]


def test_servers_is_0_when_all_are_up(server):
    done = run("servers", server.address, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    (seen,) = json.loads(one_line(done.stdout))
    assert (seen["host"], seen["port"]) == ("127.0.0.1", server.port)
    assert (seen["state"], seen["last_error"]) == ("up", None)


def test_servers_waits_no_longer_than_told(server):
    server.blackhole()
    start = time.monotonic()
    done = run("servers", server.address, "--timeout", "0.3")
    assert done.returncode == 4
    assert time.monotonic() - start < 5
    assert "up" not in done.stdout.splitlines()[1].split()


# --- serve ---


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_prints_its_address_and_ends_cleanly(start, number):
    serving = start("serve", "--port", "0")
    address = read_line(serving)
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


def test_serve_on_ipv6(start):
    serving = start("serve", "--host", "::1", "--port", "0")
    address = read_line(serving)
    assert address.startswith("[::1]:")
    assert run("call", address, "add", "[1, 2]").stdout == "3\n"


def test_serve_says_when_the_port_is_taken(server):
    done = run("serve", "--port", str(server.port))
    assert (done.returncode, done.stdout) == (2, "")
    assert one_line(done.stderr).endswith("Address already in use")


def test_serve_functions_of_a_module(start, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "__init__.py").touch()
    (tmp_path / "mine" / "methods.py").write_text(
        "from os.path import join\n"
        "async def double(x): return 2 * x\n"
        "def _hidden(): return 1\n"
    )
    serving = start("serve", "--port", "0", "--methods", "mine.methods", cwd=tmp_path)
    address = read_line(serving)
    assert run("call", address, "double", "[21]").stdout == "42\n"
    for hidden in ("_hidden", "join", "add"):
        assert "-32601" in run("call", address, hidden).stderr


# --- help ---


@pytest.mark.parametrize("command", ["call", "notify", "servers", "serve"])
def test_help_has_examples_and_exit_codes(command):
    done = run(command, "--help")
    assert done.returncode == 0
    assert f"  jsonrpcc {command}" in done.stdout
    assert "130  Ctrl-C" in done.stdout


def test_version():
    said = run("--version").stdout
    assert re.fullmatch(r"0\S+ \((OpenSSL \d.*|without TLS)\)\n", said)
    assert said.startswith(f"{jsonrpcc.__version__} ")
