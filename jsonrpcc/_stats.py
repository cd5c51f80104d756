"""Counters and the latency histogram of a client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jsonrpcc._jsonrpcc import ffi, lib

_BOUNDS_US = tuple(
    lib.jsonrpcc_latency_bound_us(i) for i in range(lib.JSONRPCC_LATENCY_BUCKETS)
)


@dataclass(frozen=True, slots=True)
class Latency:
    """
    A histogram of the seconds from call to answer, four buckets an octave.

    Attributes:
        counts: Answers per bucket.
    """

    counts: tuple[int, ...]

    @property
    def count(self) -> int:
        """All answers counted."""
        return sum(self.counts)

    @staticmethod
    def bounds() -> tuple[float, ...]:
        """Return the upper bounds of the buckets, in seconds; the last is infinite."""
        return (*(bound / 1e6 for bound in _BOUNDS_US[:-1]), float("inf"))

    def percentile(self, percent: float) -> float:
        """
        Return an upper bound in seconds for *percent* of the answers.

        At most a quarter too large; 0 when nothing was counted.
        """
        if not 0 <= percent <= 100:  # noqa: PLR2004
            msg = f"percent must be from 0 to 100, not {percent!r}"
            raise ValueError(msg)
        wanted = self.count * percent / 100
        seen = 0
        for bound, count in zip(self.bounds(), self.counts, strict=True):
            seen += count
            if count and seen >= wanted:
                return bound
        return 0.0


@dataclass(frozen=True, slots=True)
class Stats:
    """
    Counters since the client was made; see the fields' groups.

    Accepted: requests, notifications; refused_full was not accepted.  In the
    end each accepted call is counted in exactly one of ok, remote_errors,
    timeouts, failures, connections_lost, invalid_responses, cancelled, closed,
    out_of_memory (a notification is ok once it is sent).

    resent: idempotent calls sent once more; moved: unsent calls that went to
    another server; unmatched: responses whose id is nobody's any more; ignored:
    messages that are no responses; bad_frames: connections ended for one;
    events_dropped: nobody took them in time; turns and wakeups of the loop.

    Now: in_flight calls, queued_bytes (not sent), undelivered_bytes.
    """

    requests: int
    notifications: int
    refused_full: int
    ok: int
    remote_errors: int
    timeouts: int
    failures: int
    connections_lost: int
    invalid_responses: int
    cancelled: int
    closed: int
    out_of_memory: int
    resent: int
    moved: int
    unmatched: int
    ignored: int
    bad_frames: int
    events_dropped: int
    turns: int
    wakeups: int
    in_flight: int
    queued_bytes: int
    undelivered_bytes: int
    latency: Latency


_COUNTERS = tuple(name for name in Stats.__dataclass_fields__ if name != "latency")


def read_stats(client: Any) -> Stats:
    """Return the counters of a C client as they are now."""
    struct = ffi.new("jsonrpcc_stats *")
    lib.jsonrpcc_client_stats(client, struct, ffi.sizeof(struct[0]))
    counters = {name: getattr(struct, name) for name in _COUNTERS}
    return Stats(**counters, latency=Latency(tuple(struct.latency)))
