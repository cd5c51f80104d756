"""
The ways in which a `jsonrpcc.testing.Server` misbehaves on demand.

A fault changes the `Reply` to one request before it is sent, or the `Opening` of
one connection.  Each sets parts of its own, so faults can be combined freely and
their order does not matter.  Nothing here knows a socket or a clock.

Here is what faults change, and those of the reply alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from msgspec.json import encode

from jsonrpcc.testing._netstring import netstring

Text = str | bytes


@dataclass(frozen=True, slots=True)
class Request:
    """A request or notification as the server saw it."""

    method: str
    params: list[Any] | dict[str, Any] | None
    """None if the request had no params."""
    id: Any
    """The id; None for a notification, too: ask `notification`."""
    connection: int
    """The number of its connection; the first one accepted is 1."""
    time: float
    """When it had arrived whole, by `time.monotonic()`."""
    raw: bytes
    """The payload of its frame; that of the whole batch if it came in one."""
    notification: bool = False


@dataclass(slots=True)
class Reply:
    """
    What will be sent for one request; faults change it.

    To write your own fault, derive a frozen dataclass from `Fault` whose `apply`
    sets any of these.
    """

    request: Request
    faults: list[Fault]
    id: bytes
    """The response's id as JSON text."""
    outcome: bytes
    """The response's result or error member as JSON text."""
    others: list[bytes] | None = None
    """The other responses if this answers a batch."""
    payload: bytes | None = None
    """Replaces the response, inside the frame."""
    frame: Frame | None = None
    """How to frame, if not as the specification says."""
    data: bytes | None = None
    """Replaces the frame."""
    before: bytes = b""
    after: bytes = b""
    copies: int = 1
    """How often the frame is sent; 0: no answer."""
    delay: float = 0.0
    sizes: int | tuple[int, ...] = ()
    """How to cut what is sent: pieces of one size, or these and then the rest."""
    pause: float = 0.0
    """Seconds between two pieces."""
    merge: Merge | None = None
    flood: Flood | None = None
    end: Literal["", "close", "reset"] = ""
    """What becomes of the connection afterwards."""
    end_after: int | None = None
    """Where to cut off before *end*: a slice's end, None for the middle."""
    read_rate: float = math.inf
    """Bytes per second that the connection reads from now on."""

    def plain(self) -> bool:
        """Whether it is one write at once, and nothing happens afterwards."""
        return not (self.delay or self.sizes or self.merge or self.flood or self.end)

    def wire(self) -> bytes:
        """All bytes to be sent."""
        if not self.copies:
            return b""
        data = self.data
        if data is None:
            payload = self.payload
            if payload is None:
                payload = response(self.id, self.outcome)
                if self.others is not None:
                    payload = b"[%b]" % b",".join([payload, *self.others])
            data = self.frame.around(payload) if self.frame else netstring(payload)
        data = self.before + data * self.copies + self.after
        if not self.end:
            return data
        return data[: len(data) // 2 if self.end_after is None else self.end_after]

    def result(self) -> bytes:
        """Cut the result out as JSON text; null if the response is an error."""
        name, _, value = self.outcome.partition(b":")
        return value if name == b'"result"' else b"null"


def response(id_text: bytes, outcome: bytes) -> bytes:
    """Build the text of a response from the texts of its members."""
    return b'{"jsonrpc":"2.0","id":%b,%b}' % (id_text, outcome)


@dataclass(slots=True)
class Opening:
    """How a connection begins; faults change it."""

    end: Literal["", "close", "reset"] = ""
    banner: bytes = b""
    read_rate: float = math.inf
    early: bool = False


@dataclass(frozen=True)
class Fault:
    """
    A way to misbehave, *times* times; None: until `Server.behave`.

    Raises:
        TypeError, ValueError: *times*, or another number, cannot be one.
    """

    times: int | None = field(default=None, kw_only=True)

    of_connection: ClassVar[bool] = False
    """Whether a server-wide one is about connections instead of requests."""
    lasting: ClassVar[bool] = False
    """Whether it is a state that connections already open can be put into."""

    def __post_init__(self) -> None:
        if self.times is not None:
            check_number("times", self.times, 0, int)

    def apply(self, reply: Reply) -> None:
        """Change what is sent for a request."""

    def open(self, opening: Opening) -> None:
        """Change how a connection begins."""


FaultChoice = Fault | Callable[[Request], Fault | Iterable[Fault] | None]
"""A fault, or what chooses one for each request."""
FaultLike = FaultChoice | Iterable[FaultChoice]


# --- when the response comes ---------------------------------------------------


@dataclass(frozen=True)
class Delay(Fault):
    """Answer *seconds* late; other responses may overtake it."""

    seconds: float

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("seconds", self.seconds, 0)

    def apply(self, reply: Reply) -> None:
        reply.delay += self.seconds


@dataclass(frozen=True)
class Drop(Fault):
    """Never answer."""

    def apply(self, reply: Reply) -> None:
        reply.copies = 0


@dataclass(frozen=True)
class Duplicate(Fault):
    """Send the response *copies* times in all."""

    copies: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("copies", self.copies, 0, int)

    def apply(self, reply: Reply) -> None:
        reply.copies *= self.copies


@dataclass(frozen=True)
class Merge(Fault):
    """Hold responses back until a connection has *count*; send them in one write."""

    count: int
    reverse: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("count", self.count, 1, int)

    def apply(self, reply: Reply) -> None:
        reply.merge = self


# --- in which pieces -----------------------------------------------------------


@dataclass(frozen=True)
class Split(Fault):
    """
    Send in pieces, each a write of its own, *pause* seconds between them.

    *sizes* is the size of every piece, or the sizes of the first ones.
    """

    sizes: int | Sequence[int] = 1
    pause: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        sizes = self.sizes
        if isinstance(sizes, Sequence):
            for size in sizes:
                check_number("sizes", size, 0, int)
        else:
            check_number("sizes", sizes, 1, int)  # or it would never end
        check_number("pause", self.pause, 0)

    def apply(self, reply: Reply) -> None:
        sizes = self.sizes
        reply.sizes = sizes if isinstance(sizes, int) else tuple(sizes)
        reply.pause = self.pause


@dataclass(frozen=True)
class Drip(Fault):
    """Send slowly."""

    bytes_per_second: float

    def __post_init__(self) -> None:
        super().__post_init__()
        check_rate(self.bytes_per_second)

    def apply(self, reply: Reply) -> None:
        reply.sizes, reply.pause = piece(self.bytes_per_second)


def check_number(name: str, value: Any, least: int, kind: Any = float) -> None:
    """Raise TypeError or ValueError unless it is a number of that size and kind."""
    allowed = (int, float) if kind is float else (int,)
    if isinstance(value, bool) or not isinstance(value, allowed):
        what = "a number" if kind is float else "an integer"
        raise TypeError(f"{name} must be {what}, not {value!r}")
    if not value >= least:
        raise ValueError(f"{name} must be at least {least}, not {value!r}")


def check_rate(rate: float) -> None:
    """Raise TypeError or ValueError unless it is a rate."""
    check_number("bytes_per_second", rate, 0)
    if not rate > 0:
        raise ValueError("the rate must be more than 0 bytes per second")


def piece(rate: float) -> tuple[int, float]:
    """Bytes at once, and seconds to wait after them, for *rate* bytes a second."""
    size = max(1, round(rate / 100))
    return size, size / rate if rate else math.inf


# --- what it says --------------------------------------------------------------


@dataclass(frozen=True)
class WrongId(Fault):
    """Answer with another id: any JSON value, or a function of the request."""

    id: Any

    def apply(self, reply: Reply) -> None:
        value = self.id(reply.request) if callable(self.id) else self.id
        reply.id = encode(value)


@dataclass(frozen=True)
class Payload(Fault):
    """
    Answer with any payload, correctly framed.

    ``$id`` and ``$result`` in it are replaced by the true ones, so that
    ``{"id":$id,"result":$result}`` lacks only the version, and ``$id.0`` is a number
    that equals the true id but is written differently.
    """

    text: Text | Callable[[Request], Text]

    def apply(self, reply: Reply) -> None:
        text = self.text(reply.request) if callable(self.text) else self.text
        data = text.encode() if isinstance(text, str) else text
        # The result goes in last: it may contain "$id" itself.
        data = data.replace(b"$id", reply.id)
        reply.payload = data.replace(b"$result", reply.result())


@dataclass(frozen=True)
class Frame(Fault):
    """
    Break the netstring around the response.

    ``$len`` in *header* becomes the payload's length plus *off*: ``Frame("0$len:")``
    pads with a zero, ``Frame(comma="")`` forgets the comma, ``Frame(off=1)`` lies.
    """

    header: str = "$len:"
    comma: str = ","
    off: int = 0

    def apply(self, reply: Reply) -> None:
        reply.frame = self

    def around(self, payload: bytes) -> bytes:
        """Frame *payload*."""
        header = self.header.replace("$len", str(len(payload) + self.off))
        return header.encode() + payload + self.comma.encode()


@dataclass(frozen=True)
class Raw(Fault):
    """Answer with exactly these bytes, unframed, or with what a function makes."""

    data: bytes | Callable[[Request], bytes]

    def apply(self, reply: Reply) -> None:
        data = self.data
        reply.data = data(reply.request) if callable(data) else data


@dataclass(frozen=True)
class Around(Fault):
    """Send more bytes, such as unasked frames, before and after the response."""

    before: bytes = b""
    after: bytes = b""

    def apply(self, reply: Reply) -> None:
        reply.before += self.before
        reply.after += self.after


@dataclass(frozen=True)
class Flood(Fault):
    """Answer with *data* over and over, without end or for *limit* bytes."""

    data: bytes = b"x"
    limit: int | None = None

    def apply(self, reply: Reply) -> None:
        reply.flood = self
