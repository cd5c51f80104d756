"""What a test can see of the server of jsonrpcc.testing, and what it can make it do."""

import asyncio
import socket
import threading
import time

import pytest
from peer import (
    LIMIT,
    METHODS,
    Peer,
    linux,
    notification,
    request,
    result,
    serving,
    text,
)

from jsonrpcc.testing import Server, netstring

# --- what was seen ---


def test_requests_are_recorded():
    before = time.monotonic()
    with serving() as server, Peer(server) as first, Peer(server) as second:
        first.call("add", [1, 2], 7)
        second.send(notification("echo", {"a": 1}), notification("echo"))
        seen = server.wait_for_requests(3, LIMIT)
        assert [each.method for each in seen] == ["add", "echo", "echo"]
        assert [each.params for each in seen] == [[1, 2], {"a": 1}, None]
        assert [each.id for each in seen] == [7, None, None]
        assert [each.connection for each in seen] == [1, 2, 2]
        assert seen[0].raw == text(request("add", [1, 2], 7))
        assert before <= seen[0].time <= seen[1].time <= time.monotonic()
        assert server.requests == seen
        assert repr(server) == f"<Server {server.address} 2 connections, 3 requests>"
        server.clear()
        assert server.requests == []
        first.call("add", [1, 2])
        assert len(server.wait_for_requests(1)) == 1


def test_only_the_latest_are_kept():
    with serving(keep=2) as server, Peer(server) as peer:
        peer.send(*[notification("echo", [i]) for i in range(5)])
        assert [each.params for each in server.wait_for_requests(5)] == [[3], [4]]


def test_connections_are_counted():
    with serving() as server:
        assert (server.connections, server.accepted) == (0, 0)
        with Peer(server), Peer(server):
            server.wait_for_connections(2)
            assert server.accepted == 2
        server.wait_for_connections(0)
        server.wait_for_accepted(2)
        assert server.accepted == 2


def test_waiting_has_a_limit():
    with serving() as server, Peer(server) as peer:
        peer.call("add", [1, 2])
        with pytest.raises(TimeoutError, match="1 of 2 requests"):
            server.wait_for_requests(2, 0.01)
        with pytest.raises(TimeoutError, match="1 connections instead of 0"):
            server.wait_for_connections(0, 0.01)
        with pytest.raises(TimeoutError, match="1 of 2 connections accepted"):
            server.wait_for_accepted(2, 0.01)


def test_an_accepted_connection_is_open():
    """Otherwise waiting for its end could succeed before it has begun."""

    async def main():
        async with Server(METHODS) as server:
            with socket.create_connection(("127.0.0.1", server.port)):
                async with asyncio.timeout(LIMIT):
                    while not server.accepted:  # noqa: ASYNC110
                        await asyncio.sleep(0)
                assert server.connections == 1
            async with asyncio.timeout(LIMIT):
                while server.connections:  # noqa: ASYNC110
                    await asyncio.sleep(0)

    asyncio.run(main())


# --- controls ---


@pytest.mark.parametrize("reset", [False, True])
def test_drop_connections(reset):
    with serving() as server, Peer(server) as one, Peer(server) as two:
        server.wait_for_connections(2)
        server.drop_connections(reset=reset)
        assert server.connections == 0
        for peer in (one, two):
            assert peer.until_end() == (b"", "reset" if reset else "close")
        with Peer(server) as three:
            assert three.call("add", [1, 2]) == result(3)


def test_drop_closes_though_requests_are_unread():
    """A close() with bytes unread would be a reset."""
    with serving() as server, Peer(server) as peer:
        server.wait_for_connections(1)
        server.freeze()
        peer.send(*[request("add", [1, 2])] * 5000)
        dropping = threading.Thread(target=server.drop_connections)
        dropping.start()
        server.thaw()
        dropping.join()
        assert peer.until_end()[1] == "close"


def test_refuse_keeps_connections_and_accept_ends_it():
    with serving() as server, Peer(server) as peer:
        server.wait_for_connections(1)
        server.refuse()
        with pytest.raises(ConnectionRefusedError):
            Peer(server)
        assert peer.call("add", [1, 2]) == result(3)
        server.accept()
        with Peer(server) as other:
            assert other.call("add", [1, 2]) == result(3)


def test_refuse_keeps_connections_that_wait_to_be_accepted():
    """For a client, such a connection is as open as any other."""
    with serving() as server:
        server.freeze()
        with Peer(server) as peer:
            refusing = threading.Thread(target=server.refuse)
            refusing.start()
            server.thaw()
            refusing.join()
            assert peer.call("add", [1, 2]) == result(3)
            with pytest.raises(ConnectionRefusedError):
                Peer(server)


@linux
def test_blackhole_answers_no_syn():
    with serving() as server:
        server.blackhole()
        with socket.socket() as sock:
            sock.settimeout(0.1)
            with pytest.raises(TimeoutError):
                sock.connect(("127.0.0.1", server.port))
        server.accept()
        with Peer(server) as peer:
            assert peer.call("add", [1, 2]) == result(3)
        server.blackhole()


def test_freeze_and_thaw():
    with serving() as server, Peer(server) as peer:
        assert peer.call("add", [1, 2]) == result(3)
        server.freeze()
        with Peer(server) as other:  # the kernel accepts
            peer.request("add", [3, 4])
            other.request("add", [5, 6])
            assert peer.quiet()
            assert other.quiet()
            server.thaw()
            assert peer.response() == result(7)
            assert other.response() == result(11)
        server.freeze()  # leaving while frozen


def test_send_speaks_to_all_unasked():
    with serving() as server, Peer(server) as one, Peer(server) as two:
        server.wait_for_connections(2)
        server.send(netstring(b"hello"))
        assert one.payload() == two.payload() == b"hello"
