"""JSON-RPC in netstrings for the rivals written in Python, with orjson."""

from __future__ import annotations

from typing import Any

import orjson

loads = orjson.loads
dumps = orjson.dumps

BIG = 16 * 1024
"""From this size on a message is decoded alone, without being copied."""

HEADERS = tuple(b"%d:" % size for size in range(1024))
"""Of small frames: a look-up is cheaper than formatting a number."""


def split(data: bytes) -> tuple[list[Any], bytes, int]:
    """
    All whole messages in *data*, decoded.

    Also what is left over, and how many bytes its frame lacks (0: unknown).

    Two things make it fast.  Messages are mostly as long as the one before, so
    the header before is tried first: comparing is half the work of reading a
    number.  And small messages are decoded together, as one array text; they
    keep the comma that ends their netstring, as it is just what an array needs.
    """
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
            decoded.append(loads(memoryview(data)[at + skip : end - 1]))
        else:
            add(data[at + skip : end])
        at = end
    if len(messages) == 1:
        decoded.append(loads(messages[0][:-1]))
    elif messages:
        messages[-1] = messages[-1][:-1]
        decoded += loads(b"[%b]" % b"".join(messages))
    return decoded, data[at:], missing


def frame(body: bytes) -> bytes:
    """A frame without its last byte: frames are joined by commas."""
    size = len(body)
    return (HEADERS[size] if size < 1024 else b"%d:" % size) + body


def notification(method: str, params: Any) -> bytes:
    """A message without an id."""
    return dumps({"jsonrpc": "2.0", "method": method, "params": params})


def request(id_: int, method: str, params: Any) -> bytes:
    """A frame with an id."""
    body = dumps({"jsonrpc": "2.0", "method": method, "id": id_, "params": params})
    return b"%d:%b," % (len(body), body)
