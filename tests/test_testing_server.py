"""The server of jsonrpcc.testing, by its bytes on the wire: no client of ours here."""

import asyncio
import collections
import contextlib
import gc
import json
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from jsonrpcc.testing import (
    Around,
    Banner,
    BrokenNetstringError,
    Chaos,
    Close,
    Delay,
    Drip,
    Drop,
    Duplicate,
    Early,
    Error,
    Fault,
    Flood,
    Frame,
    LoopThread,
    Merge,
    NeverRead,
    Payload,
    Raw,
    Reject,
    Reset,
    Server,
    SlowRead,
    Split,
    WrongId,
    netstring,
    split_netstrings,
)

LIMIT = 5.0  # seconds until a test that waits has failed

linux = pytest.mark.skipif(sys.platform != "linux", reason="a property of Linux")


def add(a, b):
    return a + b


def echo(*params):
    return list(params)


METHODS = {"add": add, "echo": echo}


@contextlib.contextmanager
def serving(methods=METHODS, **options):
    with Server(methods, **options) as server:
        yield server


class Peer:
    """A plain socket that knows netstrings."""

    def __init__(self, server, *, receive_buffer=0):
        family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(LIMIT)
        try:
            self.sock.connect((server.host, server.port))
        except BaseException:
            self.sock.close()
            raise
        self.rest = b""

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.sock.close()

    def send(self, *messages):
        """Send messages, each a dict, a list or bytes, in one segment."""
        self.sock.sendall(b"".join(netstring(text(each)) for each in messages))

    def request(self, method, params=None, request_id=1):
        self.send(request(method, params, request_id))

    def call(self, method, params=None, request_id=1):
        self.request(method, params, request_id)
        return self.response()

    def payload(self):
        """The next frame's payload."""
        while True:
            payloads, self.rest = split_netstrings(self.rest)
            if payloads:
                self.rest = b"".join(map(netstring, payloads[1:])) + self.rest
                return payloads[0]
            self._receive()

    def response(self):
        return json.loads(self.payload())

    def exactly(self, count):
        """As many bytes."""
        while len(self.rest) < count:
            self._receive()
        data, self.rest = self.rest[:count], self.rest[count:]
        return data

    def _receive(self):
        data = self.sock.recv(65536)
        if not data:
            raise EOFError(f"closed after {self.rest!r}")
        self.rest += data

    def until_end(self):
        """All bytes until FIN ("close") or RST ("reset"), and which it was."""
        data, self.rest = self.rest, b""
        try:
            while piece := self.sock.recv(65536):
                data += piece
        except ConnectionResetError:
            return data, "reset"
        return data, "close"

    def quiet(self, seconds=0.05):
        """Whether nothing comes; only ever right by waiting."""
        return not self.rest and not select.select([self.sock], [], [], seconds)[0]


def text(message):
    return message if isinstance(message, bytes) else json.dumps(message).encode()


def request(method, params=None, request_id=1):
    message = {"jsonrpc": "2.0", "method": method, "id": request_id}
    return message if params is None else message | {"params": params}


def notification(method, params=None):
    message = request(method, params)
    del message["id"]
    return message


def result(value, request_id=1):
    return {"jsonrpc": "2.0", "id": request_id, "result": value}


def error_code(response):
    return response["error"]["code"]


def frame_of(value, request_id=1):
    """The server's exact bytes."""
    message = json.dumps(result(value, request_id), separators=(",", ":"))
    return netstring(message.encode())


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


# --- JSON-RPC ---


def test_positional_named_and_no_params():
    with serving({"add": add, "ping": lambda: "pong"}) as server, Peer(server) as peer:
        assert peer.call("add", [1, 2]) == result(3)
        assert peer.call("add", {"a": 1, "b": 2}) == result(3)
        assert peer.call("ping") == result("pong")
        assert peer.call("ping", []) == result("pong")
        assert peer.call("ping", {}) == result("pong")


def test_the_exact_bytes():
    with serving() as server, Peer(server) as peer:
        peer.request("add", [1, 2])
        assert peer.exactly(39) == b'35:{"jsonrpc":"2.0","id":1,"result":3},'


@pytest.mark.parametrize(
    "request_id", [0, -1, 2**53 + 1, 2**80, 1.5, "", "a\u20ac\n", None]
)
def test_ids_come_back_as_they_are(request_id):
    with serving() as server, Peer(server) as peer:
        response = peer.call("add", [1, 2], request_id)
        assert response == result(3, request_id)
        assert type(response["id"]) is type(request_id)


@pytest.mark.parametrize("value", [None, True, 2**200, -1.5, "\u20ac", [], {"a": [1]}])
def test_values_come_back_as_they_are(value):
    with serving() as server, Peer(server) as peer:
        assert peer.call("echo", [value]) == result([value])


@pytest.mark.parametrize(
    ("payload", "code", "request_id"),
    [
        (b"", -32700, None),
        (b"{", -32700, None),
        (b"[" * 100_000, -32700, None),
        (b'"\xff"', -32700, None),
        (b"[]", -32600, None),
        (b"1", -32600, None),
        (b"{}", -32600, None),
        (b'{"jsonrpc":"2.0","method":1,"params":"bar"}', -32600, None),
        (b'{"jsonrpc":"2.0","method":"add","params":"bar","id":5}', -32600, 5),
        (b'{"jsonrpc":"2.0","method":"add","params":null,"id":5}', -32600, 5),
        (b'{"jsonrpc":"1.0","method":"add","params":[1,2],"id":5}', -32600, 5),
        (b'{"method":"add","params":[1,2],"id":5}', -32600, 5),
        (b'{"jsonrpc":"2.0","method":"add","params":[1,2],"id":[]}', -32600, None),
        (b'{"jsonrpc":"2.0","method":"add","params":[1,2],"id":true}', -32600, None),
    ],
)
def test_invalid_frames(payload, code, request_id):
    with serving() as server, Peer(server) as peer:
        peer.send(payload)
        response = peer.response()
        assert (error_code(response), response["id"]) == (code, request_id)
        assert server.invalid == [payload]
        assert peer.call("add", [1, 2]) == result(3), "the connection goes on"
        assert len(server.requests) == 1


@pytest.mark.parametrize("params", [None, [1], [1, 2, 3], {"a": 1}, {"a": 1, "c": 2}])
def test_params_that_do_not_fit(params):
    with serving() as server, Peer(server) as peer:
        assert error_code(peer.call("add", params)) == -32602


def test_the_signature_decides_which_params_fit():
    def positional(a, /, b=1):
        return [a, b]

    def keyword(*, a):
        return a

    def many(a, *rest, **named):
        return [a, list(rest), named]

    methods = {"positional": positional, "keyword": keyword, "many": many, "max": max}
    with serving(methods) as server, Peer(server) as peer:
        assert peer.call("positional", [5]) == result([5, 1])
        assert error_code(peer.call("positional", {"a": 5})) == -32602
        assert peer.call("keyword", {"a": 5}) == result(5)
        assert error_code(peer.call("keyword", [5])) == -32602
        assert peer.call("many", [1, 2, 3]) == result([1, [2, 3], {}])
        assert peer.call("many", {"a": 1, "self": 2}) == result([1, [], {"self": 2}])
        assert error_code(peer.call("many", {"b": 1})) == -32602
        # A builtin without a signature.
        assert peer.call("max", [1, 3, 2]) == result(3)
        assert error_code(peer.call("max")) == -32602


def test_a_type_error_inside_the_function_is_internal():
    with serving() as server, Peer(server) as peer:
        response = peer.call("add", [1, "2"])
        assert error_code(response) == -32603
        assert response["error"]["data"].startswith("TypeError: ")


async def fail_later():
    raise KeyError("later")


@pytest.mark.parametrize(
    "function",
    [lambda: 1 / 0, object, lambda: "\ud800", fail_later, lambda: int("\ud800")],
)
def test_what_a_function_can_not_answer_is_internal(function):
    with serving({"bad": function}) as server, Peer(server) as peer:
        assert error_code(peer.call("bad")) == -32603
        assert error_code(peer.call("nothing")) == -32601


def test_errors_of_ones_own():
    def fail(*args):
        raise Error(*args)

    with serving({"fail": fail}) as server, Peer(server) as peer:
        response = peer.call("fail", [7, "no"])
        assert response["error"] == {"code": 7, "message": "no"}
        response = peer.call("fail", [7, "no", None])
        assert response["error"] == {"code": 7, "message": "no", "data": None}
        response = peer.call("fail", [7, "no", {"id": 1}])
        assert response["error"] == {"code": 7, "message": "no", "data": {"id": 1}}
    unsendable = {"fail": lambda: fail(7, "no", object())}
    with serving(unsendable) as server, Peer(server) as peer:
        assert error_code(peer.call("fail")) == -32603


def test_notifications_get_no_response():
    with serving() as server, Peer(server) as peer:
        peer.send(
            notification("add", [1, 2]),
            notification("add", [1]),
            notification("nothing"),
            request("add", [3, 4], 9),
        )
        assert peer.response() == result(7, 9)
        assert [each.notification for each in server.requests] == [True] * 3 + [False]


def test_batch():
    """The example of the specification, section 7."""
    methods = {
        "sum": lambda *numbers: sum(numbers),
        "notify_hello": lambda _: None,
        "subtract": lambda a, b: a - b,
        "get_data": lambda: ["hello", 5],
    }
    batch = [
        request("sum", [1, 2, 4], "1"),
        notification("notify_hello", [7]),
        request("subtract", [42, 23], "2"),
        {"foo": "boo"},
        request("foo.get", {"name": "myself"}, "5"),
        request("get_data", None, "9"),
    ]
    with serving(methods) as server, Peer(server) as peer:
        peer.send(batch)
        answers = peer.response()
        assert [answer["id"] for answer in answers] == ["1", "2", None, "5", "9"]
        assert answers[0] == result(7, "1")
        assert error_code(answers[2]) == -32600
        assert error_code(answers[3]) == -32601
        peer.send([1, 2, 3])
        assert [error_code(answer) for answer in peer.response()] == [-32600] * 3
        peer.send([notification("sum", [1])], request("sum", [1]))
        assert peer.response() == result(1), "no response to nothing but notifications"
        peer.send([request("sum", [5])])
        assert peer.response() == [result(5)], "one is a batch, too"


def test_batch_of_async_functions_runs_at_once():
    async def meet():
        async with asyncio.timeout(LIMIT):
            await barrier.wait()
        return "met"

    barrier = asyncio.Barrier(3)
    with serving({"meet": meet}) as server, Peer(server) as peer:
        peer.send([request("meet", None, i) for i in range(3)])
        assert sorted(answer["id"] for answer in peer.response()) == [0, 1, 2]


def test_async_functions_answer_in_the_order_they_end():
    events = collections.defaultdict(asyncio.Event)

    async def wait(name):
        await events[name].wait()
        return name

    def let(name):
        events[name].set()

    with serving({"wait": wait, "let": let}) as server, Peer(server) as peer:
        peer.send(request("wait", ["a"], 1), request("wait", ["b"], 2))
        peer.send(notification("let", ["b"]))
        assert peer.response() == result("b", 2)
        peer.send(notification("let", ["a"]))
        assert peer.response() == result("a", 1)


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
    """Or who waits for its end might see it before it has begun."""

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


# --- start and stop ---


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_address(host):
    with serving(host=host) as server:
        shown = "[::1]" if host == "::1" else host
        assert server.address == f"{shown}:{server.port}"
        assert server.port > 0
        with contextlib.closing(socket.create_connection((host, server.port))):
            server.wait_for_connections(1)


def test_a_port_in_use_is_told_to_the_caller():
    threads = threading.active_count()
    with serving() as server:
        with pytest.raises(OSError, match="in use"):
            Server(port=server.port).start()
        with pytest.raises(OSError, match="in use"):
            asyncio.run(enter(Server(port=server.port)))
    with pytest.raises(OSError):  # noqa: PT011 - the text is the system's
        Server(host="192.0.2.1").start()
    assert threading.active_count() == threads


async def enter(server):
    async with server:
        pytest.fail("it must not start")


def test_stop_closes_everything_and_start_takes_the_same_port():
    with serving() as server:
        port = server.port
        for _ in range(5):
            with Peer(server) as peer:
                assert peer.call("add", [1, 2]) == result(3)
                server.stop()
                assert peer.until_end() == (b"", "close")
            with pytest.raises(ConnectionRefusedError):
                Peer(server)
            assert server.connections == 0
            server.start()
            assert server.port == port
        assert len(server.requests) == 5


def test_start_and_stop_are_idempotent():
    server = Server(METHODS)
    server.stop()
    assert server.start() is server.start()
    server.stop()
    server.stop()
    with server, Peer(server) as peer:
        assert peer.call("add", [1, 2]) == result(3)


@linux
def test_the_port_stays_ours_while_stopped():
    """No outgoing connection of this machine may get it meanwhile."""
    with serving() as server:
        server.stop()
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", server.port))


def test_the_port_is_free_afterwards():
    with serving() as server:
        port = server.port
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))


def test_stop_from_a_method():
    def die():
        server.stop()

    with serving({"die": die, "add": add}) as server, Peer(server) as peer:
        peer.request("die")
        assert peer.until_end() == (b"", "close")
        server.start()
        with Peer(server) as peer2:
            assert peer2.call("add", [1, 2]) == result(3)


async def sleep_for_ever():
    await asyncio.Event().wait()


async def ignore_cancellation():
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0.3)
            return


async def leave_a_task():
    leave_a_task.task = asyncio.create_task(sleep_for_ever())


def open_descriptors():
    return sum(1 for _ in Path("/dev/fd").iterdir())


STATES = {
    "nothing happened": ([], []),
    "in a function": ([], [request("sleep_for_ever")]),
    "in a function that ignores it": ([], [request("ignore_cancellation")]),
    "a task left over": ([], [request("leave_a_task")]),
    "delayed": ([Delay(60)], [request("add", [1, 2])]),
    "dripping": ([Drip(1)], [request("add", [1, 2])]),
    "merging": ([Merge(5)], [request("add", [1, 2])]),
    "flooding": ([Flood()], [request("add", [1, 2])]),
    "half closed": ([Close(5)], [request("add", [1, 2])]),
    "reading slowly": ([SlowRead(1)], [request("add", [1, 2])]),
    "never reading": ([NeverRead()], [request("add", [1, 2])]),
    "half a frame": ([], None),
}


@pytest.mark.parametrize("state", STATES)
def test_leaving_takes_less_than_two_seconds_in_every_state(state, caplog):
    faults, messages = STATES[state]
    functions = [sleep_for_ever, ignore_cancellation, leave_a_task, add]
    methods = {function.__name__: function for function in functions}
    threads = threading.active_count()
    descriptors = open_descriptors()
    with serving(methods, fault=faults) as server, Peer(server) as peer:
        if messages is None:
            peer.sock.sendall(b"100:{")
        else:
            peer.send(*messages)
        if messages and "reading" not in state:
            server.wait_for_requests(1)
        else:
            server.wait_for_connections(1)
        start = time.monotonic()
        server.stop()
        assert time.monotonic() - start < 2
    assert threading.active_count() == threads
    assert open_descriptors() == descriptors
    gc.collect()
    assert caplog.records == [], "nor is anything logged"


@pytest.mark.parametrize("batch", [False, True])
def test_a_function_cancelled_before_it_began_warns_of_nothing(batch):
    def die():
        server.stop()

    methods = {"sleep": sleep_for_ever, "die": die}
    with serving(methods) as server, Peer(server) as peer:
        sleeps = [request("sleep")] * 3
        peer.send(sleeps if batch else sleeps[0], request("die"))
        assert peer.until_end() == (b"", "close")
    gc.collect()


def test_a_function_is_cancelled_when_its_connection_ends():
    ended = threading.Event()

    async def sleep():
        try:
            await sleep_for_ever()
        finally:
            ended.set()

    with serving({"sleep": sleep}) as server:
        with Peer(server) as peer:
            peer.request("sleep")
            server.wait_for_requests(1)
            peer.sock.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
        assert ended.wait(LIMIT)


def test_a_function_that_blocks_the_loop_is_left_with_a_warning():
    release = threading.Event()
    threads = set(threading.enumerate())
    methods = {"block": lambda: release.wait(LIMIT)}
    with serving(methods) as server, Peer(server) as peer:
        peer.request("block")
        server.wait_for_requests(1)
        start = time.monotonic()
        with pytest.warns(ResourceWarning, match="blocks"):
            server.stop()
        assert time.monotonic() - start < 2.2
        release.set()
        for thread in set(threading.enumerate()) - threads:
            thread.join(LIMIT)
            assert not thread.is_alive()
        assert peer.until_end()[1] == "close"


def test_stopping_while_connections_come_in_leaks_nothing():
    descriptors = open_descriptors()
    for _ in range(30):
        with serving() as server:
            peers = [Peer(server) for _ in range(5)]
        for peer in peers:
            peer.sock.close()
    gc.collect()
    assert open_descriptors() == descriptors


def test_inside_an_asyncio_loop():
    async def main():
        async with Server({"add": add, "sleep": asyncio.sleep}) as server:
            assert threading.active_count() == threads
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(netstring(text(request("add", [1, 2]))))
            assert await reader.readexactly(len(frame_of(3))) == frame_of(3)
            seen = await asyncio.to_thread(server.wait_for_requests, 1)
            assert seen[0].method == "add"
            with pytest.raises(RuntimeError, match="to_thread"):
                server.wait_for_requests(1)
            with pytest.raises(RuntimeError, match="freeze"):
                server.freeze()
            server.stop()
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()
            server.start()
            server.misbehave(Raw(b"!"))
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(netstring(text(request("sleep", [60]))))
            writer.write(netstring(text(request("add", [1, 2]))))
            assert await reader.readexactly(1) == b"!"
            writer.close()
            await writer.wait_closed()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    threads = threading.active_count()
    asyncio.run(main(), debug=True)


def test_many_servers_in_one_thread():
    threads = threading.active_count()
    with LoopThread() as thread, contextlib.ExitStack() as stack:
        servers = [
            stack.enter_context(Server(METHODS, thread=thread)) for _ in range(200)
        ]
        assert threading.active_count() == threads + 1
        assert len({server.port for server in servers}) == 200
        for server in servers[::20]:
            with Peer(server) as peer:
                assert peer.call("add", [1, 2]) == result(3)
        servers[0].stop()
        with pytest.raises(ConnectionRefusedError):
            Peer(servers[0])
        servers[0].start()
        with Peer(servers[0]) as peer:
            assert peer.call("add", [1, 2]) == result(3)
    assert threading.active_count() == threads


SERVE = """
from jsonrpcc.testing import Server
Server({"add": lambda a, b: a + b}).serve_forever(
    lambda server: print(server.port, flush=True))
print("bye")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_forever_until_a_signal(number):
    command = [sys.executable, "-W", "error", "-c", SERVE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        port = int(process.stdout.readline())
        address = ("127.0.0.1", port)
        with contextlib.closing(socket.create_connection(address, LIMIT)) as sock:
            sock.sendall(netstring(text(request("add", [1, 2]))))
            assert sock.recv(100) == frame_of(3)
            process.send_signal(number)
            assert process.wait(LIMIT) == 0
            assert process.stdout.read() == "bye\n"


def test_serve_forever_in_a_thread_until_stop():
    ready = threading.Event()
    server = Server(METHODS)
    thread = threading.Thread(target=server.serve_forever, args=[lambda _: ready.set()])
    thread.start()
    assert ready.wait(LIMIT)
    with Peer(server) as peer:
        assert peer.call("add", [1, 2]) == result(3)
    server.stop()
    thread.join(LIMIT)
    assert not thread.is_alive()


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


# --- faults: when ---


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


# --- faults: in which pieces ---


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


# --- faults: what it says ---


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


def test_payload_has_no_result_of_an_error():
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


# --- faults: what becomes of the connection ---


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
    """Send until the peer's window is full; return how much went."""
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


# --- choosing faults ---


def test_faults_combine_in_any_order():
    faults = [Split(4), Duplicate(2), WrongId(9), Delay(0.01), Close(-1)]
    for chosen in (faults, faults[::-1]):
        with serving(fault=chosen) as server, Peer(server) as peer:
            peer.request("add", [1, 2])
            assert peer.until_end() == ((frame_of(3, 9) * 2)[:-1], "close")


def test_faults_of_a_method_and_of_all_combine():
    some = serving(fault=WrongId(9), faults={"add": Duplicate()})
    with some as server, Peer(server) as peer:
        peer.request("add", [1, 2])
        assert [peer.response() for _ in range(2)] == [result(3, 9)] * 2
        assert peer.call("echo") == result([], 9)


def test_misbehave_replaces_and_behave_ends():
    with serving() as server, Peer(server) as peer:
        server.misbehave(WrongId(9))
        server.misbehave(WrongId(8), method="echo")
        assert peer.call("add", [1, 2]) == result(3, 9)
        server.misbehave()
        assert peer.call("add", [1, 2]) == result(3)
        assert peer.call("echo") == result([], 8)
        server.behave()
        assert peer.call("echo") == result([])


def test_times_count_each_fault():
    faults = [WrongId(9, times=1), Duplicate(2, times=2)]
    with serving(fault=faults) as server, Peer(server) as peer:
        peer.send(*[request("add", [1, 2], i) for i in range(3)])
        assert [peer.response()["id"] for _ in range(5)] == [9, 9, 1, 1, 2]


def test_a_function_chooses():
    def choose(request):
        return {1: None, 2: WrongId(20), 3: [WrongId(30), Duplicate()]}[request.id]

    with serving(fault=choose) as server, Peer(server) as peer:
        peer.send(*[request("add", [1, 2], i) for i in (1, 2, 3)])
        assert [peer.response()["id"] for _ in range(4)] == [1, 20, 30, 30]


def test_notifications_and_invalid_requests_use_up_no_fault():
    with serving(fault=WrongId(9, times=1)) as server, Peer(server) as peer:
        peer.send(notification("add", [1, 2]), b"{}", request("add", [1, 2]))
        assert error_code(peer.response()) == -32600
        assert peer.response() == result(3, 9)


def test_a_batch_has_the_faults_of_its_first_request():
    with serving(fault=WrongId(9, times=1)) as server, Peer(server) as peer:
        peer.send([notification("echo"), *[request("add", [1, i], i) for i in (1, 2)]])
        assert sorted(peer.response(), key=repr) == sorted(
            [result(2, 9), result(3, 2)], key=repr
        )


def test_a_fault_of_ones_own():
    @dataclass(frozen=True)
    class Shout(Fault):
        mark: str = "!"

        def apply(self, reply):
            reply.after += (reply.request.method + self.mark).encode()

    with serving(fault=Shout()) as server, Peer(server) as peer:
        peer.request("add", [1, 2])
        assert peer.exactly(len(frame_of(3)) + 4) == frame_of(3) + b"add!"


@pytest.mark.parametrize("fault", [Drip, SlowRead, Split])
def test_what_would_never_end_is_refused(fault):
    with pytest.raises(ValueError, match="0 bytes"):
        fault(0)


@pytest.mark.parametrize("nonsense", [3, Drop, "Drop", [None]])
def test_what_is_no_fault_is_refused(nonsense):
    with pytest.raises(TypeError):
        Server(fault=nonsense)


def test_chaos_is_the_same_for_the_same_seed():
    def played(seed):
        rates = {Drop(): 0.2, WrongId(-1): 0.3, Duplicate(): 0.1}
        with serving(fault=Chaos(seed, rates)) as server, Peer(server) as peer:
            peer.send(*[request("add", [1, 2], i) for i in range(200)])
            peer.sock.shutdown(socket.SHUT_WR)
            return peer.until_end()[0]

    assert played(1) == played(1) != played(2)
    payloads, _ = split_netstrings(played(1))
    ids = [json.loads(payload)["id"] for payload in payloads]
    assert 40 <= ids.count(-1) <= 80
    assert 10 <= len(ids) - len(set(ids)) - ids.count(-1) + 1 <= 35
    assert 20 <= len(set(range(200)) - set(ids)) - ids.count(-1) <= 60


def test_chaos_chooses_for_connections_apart():
    rates = {Reject(reset=False): 0.5, WrongId(-1): 1.0}
    outcomes = []
    for _ in range(2):
        with serving(fault=Chaos(3, rates)) as server:
            rejected = []
            for _ in range(30):
                with Peer(server) as peer:
                    try:
                        assert peer.call("add", [1, 2]) == result(3, -1)
                        rejected.append(0)
                    except (ConnectionError, EOFError):
                        rejected.append(1)
            outcomes.append(rejected)
    assert outcomes[0] == outcomes[1]
    assert 5 <= sum(outcomes[0]) <= 25


@pytest.mark.parametrize("rates", [{Drop(): 1.1}, {Drop(): -0.1}])
def test_chaos_rates_are_shares(rates):
    with pytest.raises(ValueError, match="shares"):
        Chaos(1, rates)
