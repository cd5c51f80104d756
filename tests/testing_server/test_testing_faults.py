"""Each fault of jsonrpcc.testing does what its name says, byte for byte."""

import contextlib
import select
import socket
import time

import pytest
from peer import Peer, frame_of, notification, request, result, serving, text

from jsonrpcc.testing import (
    Around,
    Banner,
    Close,
    Delay,
    Drip,
    Drop,
    Duplicate,
    Early,
    Flood,
    Frame,
    Merge,
    NeverRead,
    Payload,
    Raw,
    Reject,
    Reset,
    SlowRead,
    Split,
    WrongId,
    netstring,
    split_netstrings,
)

pytestmark = pytest.mark.usefixtures("transport")

# --- when ---


def test_delay_lets_others_overtake():
    with serving(faults={"add": Delay(0.05)}) as server, Peer(server) as peer:
        start = time.monotonic()
        peer.send(request("add", [1, 2], 1), request("echo", [], 2))
        assert [peer.response()["id"] for _ in range(2)] == [2, 1]
        assert time.monotonic() - start >= 0.05


def test_drop_never_answers():
    with serving(fault=Drop(times=2)) as server, Peer(server) as peer:
        peer.send(*[request("add", [1, 2], i) for i in range(3)])
        assert peer.response() == result(3, 2)
        assert len(server.requests) == 3
        assert peer.quiet()


def test_duplicate():
    with serving(fault=Duplicate(3)) as server, Peer(server) as peer:
        peer.request("add", [1, 2])
        assert peer.exactly(3 * len(frame_of(3))) == frame_of(3) * 3


@pytest.mark.parametrize("reverse", [False, True])
def test_merge(reverse):
    with serving(fault=Merge(3, reverse)) as server, Peer(server) as peer:
        peer.send(request("add", [1, 2], 0), request("add", [1, 2], 1))
        assert peer.quiet()
        peer.request("add", [1, 2], 2)
        order = [2, 1, 0] if reverse else [0, 1, 2]
        data = peer.sock.recv(65536)
        assert data == b"".join(frame_of(3, i) for i in order), "in one segment"
        peer.request("add", [1, 2], 3)
        server.wait_for_requests(4)
        server.behave()
        assert peer.response() == result(3, 3), "not held any more"


@pytest.mark.parametrize("missing", [1, 5, 1000])
def test_early_answers_before_the_frame_is_whole(missing):
    padding = "x" * 2000
    message = {"id": 5, "jsonrpc": "2.0", "method": "echo", "params": [padding]}
    frame = netstring(text(message))
    with serving(fault=Early()) as server, Peer(server) as peer:
        peer.sock.sendall(frame[:-missing])
        assert peer.response() == result(None, 5)
        assert server.requests == []
        peer.sock.sendall(frame[-missing:])
        assert len(server.wait_for_requests(1)) == 1
        peer.request("add", [1, 2], 6)
        assert peer.response() == result(3, 6), "that one came whole"


def test_early_without_the_comma_wherever_the_id_is():
    with serving(fault=Early()) as server, Peer(server) as peer:
        for request_id in (1, "a"):
            frame = netstring(text(request("add", [1, 2], request_id)))
            peer.sock.sendall(frame[:-1])
            assert peer.response() == result(None, request_id)
            peer.sock.sendall(b",")
        server.wait_for_requests(2)
        assert peer.quiet()


# --- in which pieces ---


@pytest.mark.parametrize("sizes", [1, 7, 10_000, (3,), (1, 2, 3), (0, 5), [36, 1, 1]])
def test_split_sends_the_same_bytes(sizes):
    with serving(fault=Split(sizes)) as server, Peer(server) as peer:
        peer.send(*[request("add", [1, 2], i) for i in range(20)])
        expected = b"".join(frame_of(3, i) for i in range(20))
        assert peer.exactly(len(expected)) == expected, "never mixed with others"
        assert peer.quiet()


def test_split_pauses_between_pieces():
    with serving(fault=Split((4, 6), pause=0.25)) as server, Peer(server) as peer:
        peer.request("add", [1, 2])
        whole = frame_of(3)
        pieces = [peer.sock.recv(100) for _ in range(3)]
        assert pieces == [whole[:4], whole[4:10], whole[10:]]


def test_replies_wait_for_one_in_pieces():
    fault = {"echo": Split(5, pause=0.001)}
    with serving(faults=fault) as server, Peer(server) as peer:
        peer.request("echo", [], 1)
        assert peer.exactly(5) == frame_of([], 1)[:5]
        peer.request("add", [1, 2], 2)
        rest = frame_of([], 1)[5:] + frame_of(3, 2)
        assert peer.exactly(len(rest)) == rest


def test_drip():
    with serving(fault=Drip(200)) as server, Peer(server) as peer:
        start = time.monotonic()
        assert peer.call("add", [1, 2]) == result(3)
        assert time.monotonic() - start >= (len(frame_of(3)) - 2) / 200


# --- what it says ---


@pytest.mark.parametrize(
    ("wrong", "seen"),
    [
        (2, 2),
        ("1", "1"),
        (None, None),
        (True, True),
        (1.0, 1.0),
        ([1], [1]),
        (lambda request: request.id + 1, 2),
        (lambda request: str(request.id), "1"),
    ],
)
def test_wrong_id(wrong, seen):
    with serving(fault=WrongId(wrong)) as server, Peer(server) as peer:
        response = peer.call("add", [1, 2])
        assert response == result(3, seen)
        assert type(response["id"]) is type(seen)


@pytest.mark.parametrize(
    ("payload", "seen"),
    [
        ('{"id":$id.0,"result":$result}', b'{"id":7.0,"result":["$id"]}'),
        (b"\xef\xbb\xbf$id", b"\xef\xbb\xbf7"),
        ("", b""),
        (lambda request: request.method, b"echo"),
        (
            lambda request: request.raw,
            text(request("echo", ["$id"], 7)).replace(b"$id", b"7"),
        ),
        ("[" * 100_000, b"[" * 100_000),
    ],
)
def test_payload(payload, seen):
    with serving(fault=Payload(payload)) as server, Peer(server) as peer:
        peer.request("echo", ["$id"], 7)
        assert peer.payload() == seen


def test_payload_has_null_in_place_of_the_result_of_an_error():
    with serving(fault=Payload("$result")) as server, Peer(server) as peer:
        peer.request("nothing")
        assert peer.payload() == b"null"


@pytest.mark.parametrize(
    ("fault", "change"),
    [
        (Frame("0$len:"), lambda size, message: b"0%d:%b," % (size, message)),
        (Frame("+$len:"), lambda size, message: b"+%d:%b," % (size, message)),
        (Frame("$len"), lambda size, message: b"%d%b," % (size, message)),
        (Frame(":"), lambda size, message: b":%b," % message),
        (Frame(comma=""), lambda size, message: b"%d:%b" % (size, message)),
        (Frame(comma=";"), lambda size, message: b"%d:%b;" % (size, message)),
        (Frame(off=1), lambda size, message: b"%d:%b," % (size + 1, message)),
        (Frame(off=-1), lambda size, message: b"%d:%b," % (size - 1, message)),
    ],
)
def test_frame(fault, change):
    with serving(fault=fault) as server, Peer(server) as peer:
        peer.request("add", [1, 2])
        message = split_netstrings(frame_of(3))[0][0]
        expected = change(len(message), message)
        assert peer.exactly(len(expected)) == expected
        assert peer.quiet()


@pytest.mark.parametrize(
    "data", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00" * 70_000]
)
def test_raw(data):
    with serving(fault=Raw(data)) as server, Peer(server) as peer:
        peer.request("add", [1, 2])
        assert peer.exactly(len(data)) == data
        server.misbehave(Raw(lambda request: b"%d" % request.id))
        peer.request("add", [1, 2], 42)
        assert peer.exactly(2) == b"42"


def test_around():
    ask = netstring(text(request("ping")))
    tell = netstring(text(notification("ping")))
    with serving(fault=Around(before=ask, after=tell)) as server, Peer(server) as peer:
        peer.request("add", [1, 2])
        whole = ask + frame_of(3) + tell
        assert peer.exactly(len(whole)) == whole


def test_flood():
    with serving(fault=Flood(b"ab", limit=7)) as server, Peer(server) as peer:
        peer.request("add", [1, 2])
        assert peer.exactly(7) == b"abababa"
        assert peer.quiet()
        server.misbehave(Flood(b"z" * 1000))
        peer.request("add", [1, 2])
        assert peer.exactly(10_000_000) == b"z" * 10_000_000


# --- what becomes of the connection ---


@pytest.mark.parametrize(("fault", "how"), [(Close, "close"), (Reset, "reset")])
def test_end_at_each_byte_of_the_response(fault, how):
    whole = frame_of(3)
    with serving() as server:
        for after in [*range(len(whole) + 2), -1, None]:
            server.misbehave(fault(after))
            with Peer(server) as peer:
                peer.request("add", [1, 2])
                cut = len(whole) // 2 if after is None else after
                assert peer.until_end() == (whole[:cut], how)
        server.wait_for_connections(0)


def test_end_of_a_large_response_is_exact():
    with serving(fault=Reset(4_000_000)) as server, Peer(server) as peer:
        peer.request("echo", ["x" * 8_000_000])
        data, how = peer.until_end()
        assert (len(data), how) == (4_000_000, "reset")


def test_what_comes_behind_a_close_is_not_answered():
    fault = {"echo": Close(3)}
    with serving(faults=fault) as server, Peer(server) as peer:
        peer.send(
            request("add", [1, 2], 1), request("echo", [], 2), request("add", [1, 2], 3)
        )
        assert peer.until_end() == (frame_of(3, 1) + frame_of([], 2)[:3], "close")
        assert len(server.requests) == 3, "all of them arrived"


@pytest.mark.parametrize("transport", ["tcp"], indirect=True)
def test_reject_resets_or_closes_new_connections():
    with serving(fault=Reject(times=2)) as server:
        for _ in range(2):
            # The reset may even overtake the end of connect().
            with contextlib.suppress(ConnectionResetError), Peer(server) as peer:
                assert peer.until_end() == (b"", "reset")
        assert server.accepted == 2
        with Peer(server) as peer:
            assert peer.call("add", [1, 2]) == result(3)
            server.misbehave(Reject(reset=False))
            with Peer(server) as other:
                assert other.until_end() == (b"", "close")
            assert peer.call("add", [1, 2]) == result(3), "open ones stay"


def test_banner():
    banner = b"SSH-2.0-OpenSSH_9.2\r\n"
    with serving(fault=Banner(banner)) as server, Peer(server) as peer:
        assert peer.exactly(len(banner)) == banner
        assert peer.call("add", [1, 2]) == result(3), "once only"


def fill(sock):
    """Send until the peer's window is full; return how much was sent."""
    sock.setblocking(False)
    sent = 0
    with contextlib.suppress(BlockingIOError):
        while select.select([], [sock], [], 0.2)[1]:
            sent += sock.send(b"x" * 65536)
    return sent


def test_never_read_fills_the_window():
    with serving(fault=NeverRead()) as server, Peer(server) as peer:
        peer.request("add", [1, 2])
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        assert fill(peer.sock) < 4_000_000
        assert server.requests == []
        assert server.connections == 1


def test_never_read_and_behave_again_on_an_open_connection():
    with serving() as server, Peer(server) as peer:
        assert peer.call("add", [1, 2]) == result(3)
        server.misbehave(NeverRead())
        peer.request("add", [3, 4])
        assert peer.quiet()
        assert len(server.requests) == 1
        server.behave()
        assert peer.response() == result(7)


def test_never_read_from_one_method_on():
    with serving(faults={"echo": NeverRead()}) as server, Peer(server) as peer:
        assert peer.call("add", [1, 2]) == result(3)
        peer.request("echo")
        server.wait_for_requests(2)
        peer.request("add", [1, 2])
        assert peer.quiet()
        assert len(server.requests) == 2


def test_slow_read():
    frame = netstring(text(request("add", [1, 2])))
    rate = len(frame) * 10
    with serving(fault=SlowRead(rate)) as server, Peer(server) as peer:
        start = time.monotonic()
        assert peer.call("add", [1, 2]) == result(3)
        assert time.monotonic() - start >= 0.08
        server.behave()
        peer.send(*[request("add", [1, 2])] * 100)
        assert [peer.response() for _ in range(100)] == [result(3)] * 100
