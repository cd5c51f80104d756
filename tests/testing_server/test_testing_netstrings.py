"""Netstrings of jsonrpcc.testing, and how its server reads and writes them."""

import asyncio
import socket

import pytest
from peer import Peer, add, frame_of, request, result, serving, text

from jsonrpcc.testing import BrokenNetstringError, netstring, split_netstrings

# --- netstrings ---


@pytest.mark.parametrize("payload", [b"", b"a", b"hello", b"," * 1000, b"\x00:\xff"])
def test_netstring_there_and_back(payload):
    assert split_netstrings(netstring(payload)) == ([payload], b"")


def test_split_netstrings_at_every_byte():
    whole = netstring(b"hello") + netstring(b"") + netstring(b"0123456789ab")
    for cut in range(len(whole) + 1):
        first, rest = split_netstrings(whole[:cut])
        second, rest = split_netstrings(rest + whole[cut:])
        assert (first + second, rest) == ([b"hello", b"", b"0123456789ab"], b"")


BROKEN = [
    b":a,",
    b"a",
    b"1:ab",
    b"01:a,",
    b"00:,",
    b"+1:a,",
    b"-1:a,",
    b" 1:a,",
    b"1 :a,",
    b"1_0:0123456789,",
    b"16777217",
    b"99999999999999999999999999",
    "\u0661:a,".encode(),  # a digit, but not of ASCII
    b"\n",
]


@pytest.mark.parametrize("broken", BROKEN)
def test_split_netstrings_refuses(broken):
    with pytest.raises(BrokenNetstringError):
        split_netstrings(broken)


def test_split_netstrings_limit_is_inclusive():
    assert split_netstrings(b"3:abc,", max_payload=3) == ([b"abc"], b"")
    with pytest.raises(BrokenNetstringError):
        split_netstrings(b"4:abcd,", max_payload=3)


# --- framing ---


def test_a_frame_may_come_in_any_pieces():
    whole = netstring(text(request("add", [1, 2])))
    with serving() as server, Peer(server) as peer:
        peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for cut in range(1, len(whole)):
            peer.sock.sendall(whole[:cut])
            peer.sock.sendall(whole[cut:])
            assert peer.response() == result(3)
        for i in range(len(whole)):
            peer.sock.sendall(whole[i : i + 1])
        assert peer.response() == result(3)


def test_many_frames_in_one_segment():
    with serving() as server, Peer(server) as peer:
        peer.send(*[request("add", [i, 1], i) for i in range(1000)])
        assert [peer.response() for _ in range(1000)] == [
            result(i + 1, i) for i in range(1000)
        ]


def test_a_large_frame_both_ways():
    big = "x" * 8_000_000
    with serving() as server, Peer(server) as peer:
        assert peer.call("echo", [big]) == result([big])


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_netstring_closes_the_connection(broken):
    with serving() as server, Peer(server) as peer:
        peer.sock.sendall(netstring(text(request("add", [1, 2]))) + broken)
        assert peer.until_end() == (frame_of(3), "close")
        assert server.invalid == [broken]
        server.wait_for_connections(0)


def test_frame_limit():
    message = text(request("add", [1, 2]))
    limited = serving(max_frame=len(message))
    with limited as server, Peer(server) as peer:
        peer.send(message)
        assert peer.response() == result(3)
        peer.send(message + b" ")
        assert peer.until_end() == (b"", "close")


def test_half_close_is_answered():
    async def later():
        await asyncio.sleep(0.01)
        return "late"

    methods = {"later": later, "add": add}
    with serving(methods) as server, Peer(server) as peer:
        peer.send(request("later", None, 1), request("add", [1, 2], 2))
        peer.sock.shutdown(socket.SHUT_WR)
        assert peer.until_end() == (frame_of(3, 2) + frame_of("late", 1), "close")
        server.wait_for_connections(0)


def test_replies_do_not_wait_for_acknowledgements():
    with serving() as server, Peer(server) as peer:
        peer.call("add", [1, 2])
        [connection] = server._core.connections
        sock = connection._transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
