"""
Blocking sockets, and envelopes and results of msgspec's types.

The strongest client that can be written by hand in Python: nothing but the members that
it reads becomes an object, and a batch of replies is one call of a decoder.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import msgspec

from bench.drive import TYPED, chains
from bench.job import HOST, Job, fail

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK = 16 * 1024
BIG = 16 * 1024
"""From this size on a message is decoded alone, without being copied."""


class Request(msgspec.Struct, tag_field="jsonrpc", tag="2.0", gc=False):
    """A request."""

    method: str
    id: int
    params: Any


class Client:
    """One connection, one thread; as bench.rivals.sockets.Client, with types."""

    def __init__(self, port: int, result_type: Any) -> None:
        """Connect."""
        reply = msgspec.defstruct(
            "Reply", [("id", int), ("result", result_type, None), ("error", Any, None)]
        )
        self._decode = msgspec.json.Decoder(reply).decode
        self._decode_many = msgspec.json.Decoder(list[reply]).decode  # type: ignore[valid-type]
        self._encode = msgspec.json.Encoder().encode
        self._socket = socket.create_connection((HOST, port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
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
        body = self._encode(Request(method, id_, params))
        self._out.append(b"%d:%b," % (len(body), body))

    def turn(self) -> None:
        """Send what is gathered, and run the callbacks of what has come."""
        if self._out:
            self._socket.sendall(b"".join(self._out))
            self._out.clear()
        pop = self._calls.pop
        for reply in self._receive():
            on_result, on_error = pop(reply.id)
            if reply.error is None:
                on_result(reply.result)
            else:
                on_error(reply.error)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _receive(self) -> list[Any]:
        """Wait for at least one reply and take all that have come."""
        replies: list[Any] = []
        rest, missing = self._rest, 0
        while not replies:
            if missing > CHUNK:
                data = self._socket.recv(missing, socket.MSG_WAITALL)
            else:
                data = self._socket.recv(CHUNK)
            if not data:
                raise ConnectionError
            replies, rest, missing = self._split(rest + data if rest else data)
        self._rest = rest
        return replies

    def _split(self, data: bytes) -> tuple[list[Any], bytes, int]:
        """As bench.rivals.wire.split(), which explains it."""
        messages: list[bytes] = []
        decoded: list[Any] = []
        at, size, missing = 0, len(data), 0
        find, starts, add = data.find, data.startswith, messages.append
        header, skip, step = b":", 1, 1
        while at < size:
            if not starts(header, at):
                colon = find(b":", at, at + 11)
                if colon < 0:
                    break
                header = data[at : colon + 1]
                skip = colon + 1 - at
                step = skip + int(data[at:colon]) + 1
            end = at + step
            if end > size:
                missing = end - size
                break
            if step > BIG:
                decoded.append(self._decode(memoryview(data)[at + skip : end - 1]))
            else:
                add(data[at + skip : end])
            at = end
        if len(messages) == 1:
            decoded.append(self._decode(messages[0][:-1]))
        elif messages:
            messages[-1] = messages[-1][:-1]
            decoded += self._decode_many(b"[%b]" % b"".join(messages))
        return decoded, data[at:], missing


def typed(job: Job) -> None:
    """Each callback submits the next call."""
    work, result_type = TYPED[job.workload.replace("_", "-")]
    client = Client(job.port, result_type)
    running = True

    def stop() -> None:
        nonlocal running
        running = False

    def run(calls: int) -> None:
        nonlocal running
        running = True
        chains(
            client.request, work, calls, job.window, job.latencies, stop, failed=fail
        )
        while running:
            client.turn()

    run(job.warmup)
    with job.measure():
        run(job.calls)
    client.close()


blob64k_typed = blob64k_partial = typed
