"""Sockets that the program has connected: `from_socket` and ``fd:7``."""

import asyncio
import os
import socket
import ssl

import pytest
from forked import check_in_child
from helpers import until
from history import wait_for_state

import jsonrpcc
from jsonrpcc import AsyncClient, Client, ServerFailure
from jsonrpcc.testing import Delay, MockServer, Server


@pytest.fixture
def server():
    with Server({"add": lambda a, b: a + b}, listen=False) as server:
        yield server


def test_a_client_without_an_address(server):
    with Client.from_socket(server.connect(), timeout=10, name="pair") as client:
        assert client.name == "pair"
        assert client.call("add", [1, 2]) == 3
        assert list(client.map("add", [[i, i] for i in range(1000)]))[-1] == 1998
        assert client.submit("add", [3, 4]).result() == 7
    server.wait_for_connections(0)


def test_an_async_client_without_an_address(server, run):
    async def main():
        async with AsyncClient.from_socket(server.connect()) as client:
            calls = [client.call("add", [i, 1]) for i in range(100)]
            assert await asyncio.gather(*calls) == [i + 1 for i in range(100)]
        await asyncio.to_thread(server.wait_for_connections, 0)

    run(main())


def test_the_socket_is_taken_over(server):
    sock = server.connect()
    number = sock.fileno()
    with Client.from_socket(sock) as client:
        assert sock.fileno() == -1
        [info] = client.servers()
        assert (info.address, info.port) == (f"fd:{number}", 0)
        assert repr(client).startswith(f"<Client fd:{number} ")


def test_a_descriptor_stays_the_callers(server):
    sock = server.connect()
    with Client(f"fd:{sock.fileno()}") as client:
        assert client.call("add", [1, 2]) == 3
    server.wait_for_connections(0)  # although this descriptor is open
    assert sock.fileno() >= 0
    sock.close()


def test_a_connection_of_tcp():
    with (
        Server({"add": lambda a, b: a + b}) as server,
        socket.create_connection((server.host, server.port)) as sock,
        Client.from_socket(sock) as client,
    ):
        assert client.call("add", [1, 2]) == 3


def test_another_server_takes_over(server):
    with Server({"add": lambda a, b: a + b + 100}) as backup:
        sock = server.connect()
        with (
            sock,
            Client(f"fd:{sock.fileno()},2 {backup.address},1") as client,
        ):
            wait_for_state(client, "up")
            assert client.call("add", [1, 2]) == 3
            server.drop_connections()
            wait_for_state(client, "down")
            assert client.call("add", [1, 2]) == 103


def test_a_server_that_is_gone_says_why(server):
    events = []
    client = Client.from_socket(
        server.connect(), on_event=events.append, reconnect_delay=0.001
    )
    with client:
        assert client.call("add", [1, 2]) == 3
        server.drop_connections()
        wait_for_state(client, "down")
        with pytest.raises(ServerFailure, match=r"fd:\d+ closed by the server"):
            client.call("add", [1, 2], wait_for_ready=True, timeout=60)
        until(lambda: "all_down" in [event.kind for event in events])
        assert [event.kind for event in events][:2] == ["connected", "lost"]
        [info] = client.servers()
        assert (info.connects, info.attempts_failed) == (1, 0)


def test_what_is_not_a_connected_stream_socket():
    read, write = os.pipe()
    with socket.socket() as unconnected, socket.socket(type=socket.SOCK_DGRAM) as dgram:
        for fd, why in [
            (read, "a pipe is none"),
            (unconnected.fileno(), "a connected socket is expected"),
            (dgram.fileno(), "a stream socket is expected"),
        ]:
            with pytest.raises(ValueError, match=why):
                Client(f"fd:{fd}")
        with pytest.raises(ValueError, match="a connected socket"):
            Client.from_socket(unconnected)
        assert unconnected.fileno() >= 0
        with pytest.raises(TypeError, match="timeout"):
            Client.from_socket(unconnected, timeout="x")
    os.close(read)
    os.close(write)
    with pytest.raises(ValueError, match="sock is closed"):
        Client.from_socket(unconnected)
    with pytest.raises(ValueError, match="an open descriptor is expected"):
        Client("fd:1000000")


@pytest.mark.parametrize("wrong", [7, "fd:7", None])
def test_what_is_not_a_socket(wrong):
    with pytest.raises(TypeError, match=r"sock must be a socket\.socket"):
        Client.from_socket(wrong)


def test_hints():
    with pytest.raises(ValueError, match="write 'fd:7'"):
        Client("fd://7")
    with pytest.raises(ValueError, match="a descriptor is expected"):
        Client("fd:x")


def test_encryption_is_not_bypassed(server):
    one, two = socket.socketpair()
    context = ssl.create_default_context()
    with one, two:
        wrapped = context.wrap_socket(
            one, do_handshake_on_connect=False, server_hostname="x"
        )
        with wrapped, pytest.raises(TypeError, match="must not be an ssl"):
            Client.from_socket(wrapped)


@pytest.mark.skipif(
    jsonrpcc._lib.jsonrpcc_tls_library() == jsonrpcc._ffi.NULL, reason="built without"
)
def test_tls_needs_a_connection_of_its_own(server):
    with (
        Server() as tcp,
        socket.create_connection((tcp.host, tcp.port)) as sock,
        pytest.raises(ValueError, match="without TLS, or a Unix socket is expected"),
    ):
        Client.from_socket(sock, tls=True)
    with Client.from_socket(server.connect(), tls=True) as client:
        assert client.call("add", [1, 2]) == 3


def test_a_list_may_keep_a_given_socket_but_not_add_it(server):
    with Server({"add": lambda a, b: -1}) as other, server.connect() as later:
        sock = server.connect()
        client = Client(f"fd:{sock.fileno()},2")
        mine = client.servers()[0].address
        sock.close()
        with client:
            client.set_servers(f"{mine},2 {other.address},1")
            assert client.call("add", [1, 2]) == 3
            with pytest.raises(ValueError, match="when the client is created"):
                client.set_servers(f"fd:{later.fileno()}")
            client.set_servers(other.address)
            assert client.call("add", [1, 2]) == -1


def test_an_unclosed_client_leaves_nothing_open(server):
    client = AsyncClient.from_socket(server.connect())
    server.wait_for_connections(1)
    with pytest.warns(ResourceWarning, match="unclosed"):
        del client
    server.wait_for_connections(0)


def test_a_forked_child_does_not_have_it(server):
    with Client.from_socket(server.connect(), timeout=10) as client:
        assert client.call("add", [1, 2]) == 3

        def check():
            with pytest.raises(ServerFailure, match="belongs to the parent process"):
                client.call("add", [1, 2])

        check_in_child(check)
        assert client.call("add", [1, 2]) == 3
        assert server.connections == 1


def test_a_mock_without_an_address():
    with MockServer(listen=False) as mock:
        mock.on("slow").returns(1).faults(Delay(0.01))
        with Client.from_socket(mock.connect()) as client:
            assert client.call("slow") == 1
        mock.verify()
        assert "without an address" in repr(mock)
        with pytest.raises(RuntimeError, match="does not listen"):
            _ = mock.address
