"""
A witness: a server that shares no code with what it observes.

It reads netstrings with its own reader and JSON with json.loads, and records
every frame that it received whole, with its connection and time, before it
answers.  A function chooses the answers, see misbehaviour.py.
"""

import asyncio
import contextlib
import json
import logging
import re
import socket
import ssl
import struct
import threading
import time
from dataclasses import dataclass

import everywhere

LIMIT = 10.0
MOST_DIGITS = 9
HEADER = re.compile(rb"0|[1-9][0-9]*")


class NotANetstring(Exception):  # noqa: N818
    pass


def take_payloads(buffer):
    """Remove the whole netstrings at the start of a bytearray; return payloads."""
    payloads = []
    while buffer:
        colon = buffer.find(b":", 0, MOST_DIGITS + 1)
        header = bytes(buffer[: max(colon, 0)])
        if colon < 0:
            if len(buffer) > MOST_DIGITS or not buffer.isdigit():
                raise NotANetstring(bytes(buffer[:40]))
            break
        if not HEADER.fullmatch(header):
            raise NotANetstring(bytes(buffer[:40]))
        end = colon + 1 + int(header)
        if len(buffer) <= end:
            break
        if buffer[end : end + 1] != b",":
            raise NotANetstring(bytes(buffer[:40]))
        payloads.append(bytes(buffer[colon + 1 : end]))
        del buffer[: end + 1]
    return payloads


def netstring(payload):
    return b"%d:%s," % (len(payload), payload)


def _members(pairs):
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise ValueError(f"a name stands twice in {names}")
    return dict(pairs)


def _no_constant(name):
    raise ValueError(f"{name} is no JSON")


def loads(payload):
    """Like json.loads, but refuse NaN and, at the top level, duplicate names."""
    text = payload.decode()
    message = json.loads(text, parse_constant=_no_constant)
    if isinstance(message, dict):
        _members(json.JSONDecoder(object_pairs_hook=list).decode(text))
    return message


@dataclass(frozen=True)
class Frame:
    """One frame that was received whole."""

    connection: int
    time: float
    payload: bytes

    def message(self):
        """The JSON-RPC 2.0 request or notification that it is; else ValueError."""
        message = loads(self.payload)
        if not isinstance(message, dict):
            raise ValueError(f"no object: {message!r}")  # noqa: TRY004  (one error for all)
        if not {"jsonrpc", "method"} <= message.keys() <= {
            "jsonrpc", "method", "params", "id",
        }:  # fmt: skip
            raise ValueError(f"members {sorted(message)}")
        if message["jsonrpc"] != "2.0" or not isinstance(message["method"], str):
            raise ValueError(f"version or method: {message!r}")
        if not isinstance(message.get("params", []), list | dict):
            raise ValueError(f"params: {message['params']!r}")  # noqa: TRY004
        if type(message.get("id", 0)) is not int:
            raise ValueError(f"id: {message['id']!r}")
        return message


def echo(frame):
    """Answer with the params, without any fault."""
    message = loads(frame.payload)
    if "id" not in message:
        return []
    answer = {"jsonrpc": "2.0", "id": message["id"], "result": message.get("params")}
    return [(0, netstring(json.dumps(answer).encode()))]


CLOSE = "close"
RESET = "reset"


def _report(loop, context):
    """Handle errors, except what asyncio reports when TLS was damaged."""
    if not isinstance(context.get("exception"), ssl.SSLError):
        loop.default_exception_handler(context)


class _Connection(asyncio.Protocol):
    def __init__(self, witness):
        self.witness = witness
        self.buffer = bytearray()

    def connection_made(self, transport):
        self.transport = transport
        witness = self.witness
        witness.connections += 1
        self.number = witness.connections
        witness.open.add(self)

    def data_received(self, data):
        witness = self.witness
        witness.bytes += len(data)
        self.buffer += data
        try:
            payloads = take_payloads(self.buffer)
        except NotANetstring as error:
            witness.garbage.append(error.args[0])
            self.transport.abort()
            return
        now = time.monotonic()
        frames = [Frame(self.number, now, payload) for payload in payloads]
        witness.note(frames)
        for frame in frames:
            for delay, what in witness.answer(frame):
                if delay:
                    witness.loop.call_later(delay, self.give, what)
                else:
                    self.give(what)

    def give(self, what):
        if self.transport.is_closing():
            return
        if what == CLOSE:
            self.transport.close()
        elif what == RESET:
            sock = self.transport.get_extra_info("socket")
            with contextlib.suppress(OSError):
                linger = struct.pack("ii", 1, 0)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.transport.abort()
        else:
            self.transport.write(what)

    def connection_lost(self, exc):
        self.witness.open.discard(self)
        if self.buffer:
            self.witness.partial.append(bytes(self.buffer[:200]))


class Witness:
    """
    The witness; in a with block on an event loop in a thread of its own.

    *answer(frame)* returns (delay, bytes or CLOSE or RESET) pairs.
    """

    def __init__(self, answer=echo, *, note=None, port=0):
        self.answer = answer
        self.frames = []
        self.garbage = []  # bytes that were not a netstring
        self.partial = []  # frames cut off by the end of a connection
        self.bytes = 0
        self.connections = 0
        self.open = set()
        self.note = note or self.frames.extend
        self.port = port
        self.loop = None

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    async def listen(self):
        self._server = await self.loop.create_server(
            lambda: _Connection(self), "127.0.0.1", self.port, backlog=1024,
            ssl=everywhere.server_context(),
        )  # fmt: skip
        if everywhere.is_wished_for():
            self.loop.set_exception_handler(_report)
            logging.getLogger("asyncio").setLevel(logging.ERROR)
        self.port = self._server.sockets[0].getsockname()[1]

    def __enter__(self):
        listening = threading.Event()
        self.loop = asyncio.new_event_loop()

        def run():
            self.loop.run_until_complete(self.listen())
            listening.set()
            self.loop.run_forever()
            self._server.close()
            for each in list(self.open):
                each.transport.abort()
            self.loop.run_until_complete(asyncio.sleep(0))
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.close()

        self._thread = threading.Thread(target=run, name="witness")
        self._thread.start()
        assert listening.wait(LIMIT)
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(LIMIT)
        assert not self._thread.is_alive()
