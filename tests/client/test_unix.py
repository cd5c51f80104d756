"""Servers at Unix sockets; which of them a call goes to is for test_failover.py."""

import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from children import ServerProcess, run_program
from helpers import QUICK, until
from history import METHODS, History, servers_string, wait_for_state

from jsonrpcc import AsyncClient, Client, ConnectionLost, RequestTimeout, ServerFailure
from jsonrpcc.testing import Drop, NeverRead, Server


def first(value):
    return value


@pytest.fixture
def server(socket_path):
    methods = {**METHODS, "child": first, "aio": first}  # those of forks.py
    with Server(methods, path=socket_path()) as server:
        yield server


def test_every_style_of_call(ask, server):
    assert ask(server.address, "echo", [7]) == [7]


def test_a_server_is_shown_by_its_path(server, run):
    assert server.address == f"unix:{server.path}"
    with Client(f"{server.address},7") as client:
        wait_for_state(client, "up")
        [info] = client.servers()
        assert (info.address, info.host) == (server.address, server.address)
        assert (info.port, info.priority) == (0, 7)
        server.misbehave(Drop())
        with pytest.raises(RequestTimeout, match=f"at {server.address},") as failed:
            client.call("echo", [1], timeout=0.1)
        assert failed.value.server == server.address
    server.behave()

    async def main():
        async with AsyncClient(server.address) as client:
            assert await client.call("echo", [1]) == [1]
            return client.servers()

    assert run(main())[0].address == server.address


@pytest.mark.parametrize("name", ["a b", "c,d", "e%20f", "ä", "'\"\\:[]", "\x01\x7f"])
@pytest.mark.parametrize("abstract", [False, True])
def test_any_name_can_be_written(socket_path, name, abstract):
    path = f"\0{socket_path()}{name}" if abstract else socket_path() + name
    with Server(METHODS, path=path) as server, Client(server.address) as client:
        assert server.address.isascii()
        assert server.address.isprintable()
        assert client.call("echo", [1]) == [1]
        assert client.servers()[0].address == server.address


def test_the_longest_path(socket_path):
    folder = os.path.dirname(socket_path())  # noqa: PTH120
    path = f"{folder}/{'x' * (106 - len(folder))}"
    assert len(path) == 107
    with Server(METHODS, path=path) as server, Client(server.address) as client:
        assert client.call("echo", [1]) == [1]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("unix:relative", 'an absolute path is expected at offset 5: "relative"'),
        ("a:1 unix:/" + "x" * 107, "at most 107 bytes is expected at offset 116"),
        ("unix:/a\0b", "a NUL at offset 7"),
        ("unix:/a%00b", "must not contain NUL at offset 7"),
        ("unix:/a%2", "two hex digits are expected after '%' at offset 7"),
        ("unix-abstract:", "the name of an abstract socket is expected at offset 14"),
        ("unix:/a,unix:/b", "a space is expected between two of them, not ','"),
        ("unix:/a unix:/%61,2", "duplicate server at offset 8"),
    ],
)
def test_wrong_paths_are_refused(text, fault):
    with pytest.raises(ValueError, match=r"^servers: ") as refused:
        Client(text)
    assert fault in str(refused.value)


def test_a_path_without_a_socket(socket_path):
    with Client(f"unix:{socket_path()}") as client:
        with pytest.raises(ServerFailure, match="No such file") as failed:
            client.call("echo", [1])
        assert failed.value.fate == "not_sent"


def test_a_socket_file_without_a_listener(server):
    server.refuse()
    with (
        Client(server.address) as client,
        pytest.raises(ServerFailure, match="Connection refused"),
    ):
        client.call("echo", [1])


def test_a_full_backlog_is_a_failed_attempt(server):
    """connect() fails with EAGAIN: no attempt is under way, and the next one waits."""
    server.blackhole()
    history = History()
    with Client(server.address, reconnect_delay=0.1, reconnect_delay_max=0.2) as client:
        with pytest.raises(ServerFailure, match="the server's backlog is full"):
            client.call("echo", [1])
        assert client.servers()[0].state == "down"
        until(lambda: client.servers()[0].attempts_failed >= 5)
        busy = time.process_time()
        began = time.monotonic()
        until(lambda: client.servers()[0].attempts_failed >= 10)
        assert time.monotonic() - began > 0.1  # five random waits up to 0.2
        assert time.process_time() - busy < 0.1
        entry, _ = history.request(client, wait_for_ready=True)
        server.accept()
        history.wait()
        assert entry.error is None
    history.check(server)


def test_a_full_backlog_fails_over(socket_path):
    full, healthy = (Server(METHODS, path=socket_path()) for _ in range(2))
    history = History()
    with full, healthy:
        full.blackhole()
        with Client(servers_string(full, healthy, priorities=(2, 1))) as client:
            for _ in range(10):
                entry = history.call(client)
                assert entry.outcomes[0].time - entry.submitted < 0.5
    assert not history.errors()
    history.check(full, healthy)


def test_the_socket_file_is_replaced_under_a_live_client(socket_path):
    """The old connection is used until it ends; then the new server is found."""
    path = socket_path()
    history = History()
    with Server(METHODS, path=path) as old, Client(old.address, **QUICK) as client:
        assert not history.call(client).error
        Path(path).unlink()
        with Server(METHODS, path=path) as new:
            assert not history.call(client).error
            assert len(old.requests) == 2
            old.stop()
            until(lambda: client.servers()[0].connects == 2)
            entries = [history.request(client)[0] for _ in range(100)]
            history.wait()
            assert {entry.error for entry in entries} == {None}
            assert len(new.requests) == 100
            history.check(old, new)
    assert not Path(path).exists()


def test_replaced_again_and_again_under_load(socket_path):
    """Deploy many times: no call runs twice, and each has one outcome."""
    path = socket_path()
    history = History()
    servers = [Server(METHODS, path=path) for _ in range(6)]
    stop = threading.Event()

    def call():
        while not stop.is_set():
            history.call(client, wait_for_ready=True)

    with Client(f"unix:{path}", **QUICK) as client:
        thread = threading.Thread(target=call)
        thread.start()
        try:
            for server in servers:
                Path(path).unlink(missing_ok=True)
                with server:
                    server.wait_for_requests(20)
        finally:
            stop.set()
            with Server(METHODS, path=path) as last:
                thread.join()
    assert {type(error) for error in history.errors()} <= {ConnectionLost}
    history.check(*servers, last)


CALL_AS_NOBODY = """
import os, sys, jsonrpcc
os.setgid(65534)
os.setuid(65534)
with jsonrpcc.Client(sys.argv[1]) as client:
    try:
        print(client.call("echo", [1]))
    except jsonrpcc.ServerFailure as error:
        print(error.fate, error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_path_without_permission(server):
    def call():
        return subprocess.run(
            [sys.executable, "-c", CALL_AS_NOBODY, server.address],
            capture_output=True, check=True, text=True,
        ).stdout  # fmt: skip

    path = Path(server.path)
    path.parent.chmod(0o755)
    path.chmod(0o600)
    assert call().startswith("not_sent failure: no server can be reached")
    assert "Permission denied" in call()
    path.chmod(0o666)
    assert call() == "[1]\n"
    path.parent.chmod(0o700)
    assert "Permission denied" in call()


def test_timeouts_hold(server):
    """Over Unix sockets, too; thriftpy2 once ignored them there."""
    with Client(server.address) as client:
        wait_for_state(client, "up")
        for fault in (Drop(), NeverRead()):
            server.misbehave(fault)
            began = time.monotonic()
            with pytest.raises(RequestTimeout):
                client.call("echo", ["x" * 1_000_000], timeout=0.2)
            assert 0.15 < time.monotonic() - began < 1.5


def test_a_server_that_is_killed_is_noticed_at_once(socket_path):
    with (
        ServerProcess(socket_path()) as server,
        Client(server.address, reconnect_delay=5) as client,
    ):
        wait_for_state(client, "up")
        server.kill()
        until(lambda: client.servers()[0].losses == 1)
        # A reset, if there was something that it had not read.
        with pytest.raises(ServerFailure, match=r"closed by the server|reset by peer"):
            client.call("echo", [1])


def test_megabytes_both_ways(server):
    with Client(server.address) as client:
        for size in (1, 200_000, 5_000_000):
            assert client.call("echo", [size], timeout=20) == [size]
            server.clear()
            history = History()
            entry = history.call(client, pad=["x" * size], timeout=20)
            assert entry.error is None
            [request] = server.requests
            assert request.params[1] == "x" * size


def test_tcp_and_unix_side_by_side(server):
    with Server(METHODS) as tcp:
        history = History()
        with Client(servers_string(tcp, server)) as client:
            wait_for_state(client, "up", 0, 1)
            for _ in range(100):
                assert not history.call(client).error
        assert len(tcp.requests) == len(server.requests) == 50
        history.check(tcp, server)


def test_a_forked_child_makes_its_own_connections(server):
    report = run_program("forks.py", "use", 5, server.address).report()
    assert report["errors"] == []
    assert report["ended"] == {"code 0": 5}


def test_the_server_keeps_what_is_not_its_own(socket_path):
    path = Path(socket_path())
    path.write_text("precious")
    with pytest.raises(OSError, match="in use"):
        Server(path=str(path)).start()
    assert path.read_text() == "precious"
    path.unlink()
    with Server(METHODS, path=str(path)):
        with pytest.raises(OSError, match="in use"):
            Server(path=str(path)).start()
        with Client(f"unix:{path}") as client:
            assert client.call("echo", [1]) == [1]
    assert not path.exists()
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    with Server(METHODS, path=str(path)) as server:
        path.unlink()
        path.write_text("precious")
        assert server.port == 0
    assert path.read_text() == "precious"
