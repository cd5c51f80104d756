"""Blocking sockets and orjson: the least that a Python client can do."""

from __future__ import annotations

import select
import socket
import ssl
import threading
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any

import orjson

from bench.drive import (
    GET_USER,
    blob,
    chains,
    check_matching,
    one_by_one,
    side_by_side,
    side_chains,
    sparsely,
    submit,
)
from bench.job import USER, Job, WrongResultError, check_user, connect
from bench.rivals import wire
from bench.rivals.wire import HEADERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bench.drive import Work

CHUNK = 16 * 1024
"""Read so much at a time: more would only feed the garbage collector."""

BATCH = 1000
"""Notifications sent at a time."""

THREADS = 8


class Client:
    """
    One connection, one thread.

    Requests are gathered and sent together when the thread turns to the
    replies; these are read as many as there are, decoded together, and each
    goes to its own callback.
    """

    def __init__(self, port: int) -> None:
        """Connect."""
        self._socket = connect(port)
        self._is_plain = not isinstance(self._socket, ssl.SSLSocket)
        self._recv = self._socket.recv
        self._id = 0
        self._out: list[bytes] = []
        self._rest = b""
        self._calls: dict[int, tuple[Callable[[Any], None], Callable[[Any], None]]] = {}

    def request(
        self,
        method: str,
        params: Any,
        on_result: Callable[[Any], None],
        on_error: Callable[[Any], None],
    ) -> None:
        """Submit a call; it is sent by the next turn()."""
        self._id = id_ = self._id + 1
        self._calls[id_] = (on_result, on_error)
        body = orjson.dumps(
            {"jsonrpc": "2.0", "method": method, "id": id_, "params": params}
        )
        size = len(body)
        self._out.append((HEADERS[size] if size < 1024 else b"%d:" % size) + body)

    def turn(self) -> None:
        """Send what is gathered, and run the callbacks of what has come."""
        self.flush()
        self.deliver()

    def fileno(self) -> int:
        """Return the descriptor of the connection."""
        return self._socket.fileno()

    def flush(self) -> None:
        """Send what is gathered."""
        if self._out:
            self._socket.sendall(b",".join(self._out) + b",")
            self._out.clear()

    def deliver(self) -> None:
        """Wait for replies, and run their callbacks."""
        calls = self._calls
        for reply in self._receive():
            on_result, on_error = calls.pop(reply["id"])
            if "error" in reply:
                on_error(reply["error"])
            else:
                on_result(reply["result"])

    def call(self, method: str, params: Any) -> Any:
        """Call and wait; nothing else may be in flight."""
        self._id = id_ = self._id + 1
        body = orjson.dumps(
            {"jsonrpc": "2.0", "method": method, "id": id_, "params": params}
        )
        self._socket.sendall(b"%d:%b," % (len(body), body))
        data = self._recv(CHUNK)
        colon = data.find(b":", 0, 11)
        if colon > 0 and colon + 2 + int(data[:colon]) == len(data):
            reply = orjson.loads(data[colon + 1 : -1])
        else:
            self._rest = data
            (reply,) = self._receive()
        if reply["id"] != id_ or "error" in reply:
            raise WrongResultError(reply)
        return reply["result"]

    def map(self, method: str, params: Iterable[Any], window: int) -> Iterator[Any]:
        """Yield the results in the order of *params*, *window* in flight."""
        todo = iter(params)
        early: dict[int, Any] = {}
        expected = self._id + 1
        in_flight = 0
        while in_flight := in_flight + self._send(method, todo, window - in_flight):
            replies = self._receive()
            in_flight -= len(replies)
            for reply in replies:
                if reply["id"] == expected:
                    yield reply["result"]
                    expected += 1
                else:
                    early[reply["id"]] = reply["result"]
            while early and expected in early:
                yield early.pop(expected)
                expected += 1

    def _send(self, method: str, todo: Iterator[Any], room: int) -> int:
        """Send up to *room* requests at once; returns how many there were."""
        out, id_, dumps = [], self._id, orjson.dumps
        for params in islice(todo, room):
            id_ += 1
            body = dumps(
                {"jsonrpc": "2.0", "method": method, "id": id_, "params": params}
            )
            size = len(body)
            out.append((HEADERS[size] if size < 1024 else b"%d:" % size) + body)
        self._id = id_
        if out:
            self._socket.sendall(b",".join(out) + b",")
        return len(out)

    def notify(self, method: str, params: Iterable[Any]) -> None:
        """Send notifications, many at a time."""
        out: list[bytes] = []
        frame, dumps = wire.frame, orjson.dumps
        for one in params:
            out.append(
                frame(dumps({"jsonrpc": "2.0", "method": method, "params": one}))
            )
            if len(out) == BATCH:
                self._socket.sendall(b",".join(out) + b",")
                out.clear()
        if out:
            self._socket.sendall(b",".join(out) + b",")

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _receive(self) -> list[Any]:
        """Wait for at least one reply and take all that have come."""
        replies, rest, missing = wire.split(self._rest) if self._rest else ([], b"", 0)
        while not replies:
            if missing > CHUNK and self._is_plain:
                # The kernel puts a big message together, in one piece.
                data = self._recv(missing, socket.MSG_WAITALL)
            else:
                data = self._recv(CHUNK)
            if not data:
                raise ConnectionError
            replies, rest, missing = wire.split(rest + data if rest else data)
        self._rest = rest
        return replies


class _Loop:
    """Turns a client until it is told to stop."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._running = True

    def stop(self) -> None:
        self._running = False

    def run(self) -> None:
        self._running = True
        turn = self._client.turn
        while self._running:
            turn()


def _run_chains(client: Client, work: Work, job: Job, calls: int) -> None:
    loop = _Loop(client)
    chains(client.request, work, calls, job.window, job.latencies, loop.stop)
    loop.run()


def _callback(job: Job, work: Work = GET_USER) -> None:
    client = Client(job.port)
    loop = _Loop(client)
    check_matching(client.request, loop.stop)
    loop.run()
    _run_chains(client, work, job, job.warmup)
    with job.measure():
        _run_chains(client, work, job, job.calls)
    client.close()


def callback(job: Job) -> None:
    """Each callback submits the next call."""
    _callback(job)


def blob64k(job: Job) -> None:
    """Results of 64 KiB."""
    _callback(job, blob("blob64k"))


def blob1m(job: Job) -> None:
    """Results of 1 MiB."""
    _callback(job, blob("blob1m"))


def typed(job: Job) -> None:
    """As callback: dicts, where others have results of a type."""
    _callback(job, blob("blob64k") if "blob64k" in job.workload else GET_USER)


blob64k_typed = blob64k_partial = typed


def clients(job: Job) -> None:
    """As many connections, and one epoll for all of them."""
    count = int(job.workload.removeprefix("clients"))
    all_ = {
        client.fileno(): client for client in (Client(job.port) for _ in range(count))
    }
    running = True

    def stop() -> None:
        nonlocal running
        running = False

    def run(calls: int) -> None:
        nonlocal running
        running = True
        requests = [client.request for client in all_.values()]
        side_chains(requests, calls, job.window, job.latencies, stop)
        for client in all_.values():
            client.flush()
        while running:
            for fd, _ in epoll.poll():
                client = all_[fd]
                client.deliver()
                client.flush()

    with select.epoll() as epoll:
        for fd in all_:
            epoll.register(fd, select.EPOLLIN)
        run(job.warmup)
        with job.measure():
            run(job.calls)
    for client in all_.values():
        client.close()


clients1 = clients10 = clients100 = clients


def callback_main(job: Job) -> None:
    """The thread submits, and turns to the replies when the window is full."""
    client = Client(job.port)
    opened: deque[None] = deque()

    def wait() -> None:
        while not opened:
            client.turn()
        opened.pop()

    def run(calls: int) -> None:
        submit(
            client.request,
            GET_USER,
            calls,
            job.window,
            job.latencies,
            lambda: opened.append(None),
            wait,
        )

    run(job.warmup)
    with job.measure():
        run(job.calls)
    client.close()


def callback8(job: Job) -> None:
    """Eight threads, each with a connection of its own."""
    gates = [threading.Barrier(THREADS + 1) for _ in range(2)]

    def work() -> None:
        client = Client(job.port)
        loop = _Loop(client)
        for gate, calls in zip(gates, (job.warmup, job.calls), strict=False):
            window = job.window // THREADS
            chains(
                client.request,
                GET_USER,
                calls // THREADS,
                window,
                job.latencies,
                loop.stop,
            )
            loop.run()
            gate.wait()
            gate.wait()
        client.close()

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    gates[0].wait()  # all are warm, and wait for the second pass of this gate
    with job.measure():
        gates[0].wait()
        gates[1].wait()
    gates[1].wait()
    for thread in threads:
        thread.join()


def map(job: Job) -> None:  # noqa: A001 - the workload's name
    """Batches, and nothing but batches: no callbacks."""
    client = Client(job.port)

    def run(calls: int) -> None:
        count = 0
        for result in client.map("get_user", (USER for _ in range(calls)), job.window):
            check_user(result)
            count += 1
        if count != calls:
            raise WrongResultError(count)

    run(job.warmup)
    with job.measure():
        run(job.calls)
    client.close()


def sync(job: Job) -> None:
    """One call after the other."""
    client = Client(job.port)
    one_by_one(job, client.call)
    client.close()


def sparse2(job: Job) -> None:
    """A call every 2 ms."""
    _sparse(job, 0.002)


def sparse5(job: Job) -> None:
    """A call every 5 ms."""
    _sparse(job, 0.005)


def sparse20(job: Job) -> None:
    """A call every 20 ms."""
    _sparse(job, 0.02)


def _sparse(job: Job, pause: float) -> None:
    client = Client(job.port)
    sparsely(job, client.call, pause)
    client.close()


def sync8(job: Job) -> None:
    """Eight threads, each with a connection of its own."""
    side_by_side(job, 8, lambda: Client(job.port).call)


def sync64(job: Job) -> None:
    """And 64 of them."""
    side_by_side(job, 64, lambda: Client(job.port).call)


def notify(job: Job) -> None:
    """Send, then ask the server how many it has got."""
    client = Client(job.port)
    client.notify("log", (USER for _ in range(job.warmup)))
    before = client.call("count", [])
    with job.measure():
        client.notify("log", (USER for _ in range(job.calls)))
        count = client.call("count", [])
    if count - before != job.calls:
        raise WrongResultError(count)
    client.close()
