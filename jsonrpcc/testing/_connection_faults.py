"""
The faults of connections: how they begin, are read from, and end.

Those that end one do so with the reply to a request; the others change its
`Opening`, and most of them the reply as well, for those who want them for one
request.
"""

from __future__ import annotations

from dataclasses import dataclass

from jsonrpcc.testing._faults import Fault, Opening, Reply, check_rate

# --- how it ends -----------------------------------------------------------------


@dataclass(frozen=True)
class Close(Fault):
    """
    Close the connection (FIN) in the middle of the response.

    *after_bytes* is the end of a slice: 0 sends nothing, -1 all but the comma, a
    number past the end sends all of it; None sends half.
    """

    after_bytes: int | None = None

    def apply(self, reply: Reply) -> None:
        reply.end, reply.end_after = "close", self.after_bytes


@dataclass(frozen=True)
class Reset(Fault):
    """Reset the connection (RST) in the middle of the response; see `Close`."""

    after_bytes: int | None = None

    def apply(self, reply: Reply) -> None:
        reply.end, reply.end_after = "reset", self.after_bytes


# --- how it begins ---------------------------------------------------------------


@dataclass(frozen=True)
class Reject(Fault):
    """Accept a connection and reset it at once, or close it."""

    reset: bool = True

    of_connection = True

    def open(self, opening: Opening) -> None:
        opening.end = "reset" if self.reset else "close"

    def apply(self, reply: Reply) -> None:
        reply.end, reply.end_after = "reset" if self.reset else "close", 0


@dataclass(frozen=True)
class Banner(Fault):
    """Speak first: send *data* on each new connection."""

    data: bytes

    of_connection = True

    def open(self, opening: Opening) -> None:
        opening.banner += self.data

    def apply(self, reply: Reply) -> None:
        reply.before += self.data


# --- how it is read from ---------------------------------------------------------


@dataclass(frozen=True)
class Early(Fault):
    """
    Answer before the whole request has arrived, with the result null.

    That is as soon as its id is among the bytes received, or only the comma is
    missing.  The method is not called.
    """

    of_connection = lasting = True

    def open(self, opening: Opening) -> None:
        opening.early = True


@dataclass(frozen=True)
class SlowRead(Fault):
    """Read slowly from connections, from now on."""

    bytes_per_second: float

    of_connection = lasting = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_rate(self.bytes_per_second)

    def open(self, opening: Opening) -> None:
        opening.read_rate = min(opening.read_rate, self.bytes_per_second)

    def apply(self, reply: Reply) -> None:
        reply.read_rate = min(reply.read_rate, self.bytes_per_second)


@dataclass(frozen=True)
class NeverRead(Fault):
    """
    Keep connections open, but never read from them again, nor answer.

    Applied to one request, it leaves that one without an answer.
    """

    of_connection = lasting = True

    def open(self, opening: Opening) -> None:
        opening.read_rate = 0

    def apply(self, reply: Reply) -> None:
        reply.read_rate = 0
        reply.copies = 0
