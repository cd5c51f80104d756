"""Counters and the latency histogram of a client."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jsonrpcc._jsonrpcc import ffi, lib
from jsonrpcc._records import EVENT_KINDS, EventKind
from jsonrpcc._tls import TlsFiles, read_files

_BOUNDS_US = tuple(
    lib.jsonrpcc_latency_bound_us(i) for i in range(lib.JSONRPCC_LATENCY_BUCKETS)
)


@dataclass(frozen=True, slots=True)
class Latency:
    """
    A histogram of the times from call to answer, with four buckets per octave.

    Results and remote errors count as answers.

    Attributes:
        counts: Answers per bucket; as many as `bounds` returns.
        sum: Seconds that all of these answers took together.
    """

    counts: tuple[int, ...]
    sum: float = 0.0

    @property
    def count(self) -> int:
        """The number of all answers."""
        return sum(self.counts)

    @staticmethod
    def bounds() -> tuple[float, ...]:
        """Return the upper bounds of the buckets, in seconds; the last is infinite."""
        return (*(bound / 1e6 for bound in _BOUNDS_US[:-1]), float("inf"))

    def percentile(self, percent: float) -> float:
        """
        Return an upper bound in seconds for *percent* of the answers.

        It is at most a quarter too large; 0 if nothing was counted.
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
    Counters since the client was created, and four gauges; see `Client.stats`.

    Each accepted call, notifications included, is finally counted in exactly one of
    the nine outcomes from *ok* to *out_of_memory*.

    Attributes:
        requests: Requests accepted.
        notifications: Notifications accepted.
        refused_full: Calls refused because a bound was reached; not accepted.
        ok: Results, and notifications handed to the kernel whole.
        remote_errors: Calls that the server answered with an error.
        timeouts: Calls whose deadline passed.
        failures: Calls that failed because no server could be reached.
        connections_lost: Calls whose connection broke after they were sent.
        invalid_responses: Calls whose response broke JSON-RPC 2.0 or a limit.
        cancelled: Calls cancelled by their caller.
        closed: Calls still in flight when the client was closed.
        out_of_memory: Calls that ended for lack of memory.
        resent: Idempotent calls sent again; each repetition counts.
        moved: Unsent calls that moved to another server.
        unmatched: Responses that belong to no call in flight: late, repeated, or
            with a foreign id.
        ignored: Well-framed messages that are not responses.
        bad_frames: Connections ended because of a broken or too large netstring.
        rejected: Errors with id null (a server could not read a request) that
            could have been about more than one request.
        lookups: Lookups of names in the list, such as ``dns:host:port``, and looks at
            files.
        lookups_failed: Those that found nothing.
        list_changes: How often names and files stood for other servers than before.
        hellos: Requests of hellos that were sent, pings included; they are not
            in *requests*.
        hellos_failed: Connections that could not be used because of their hello.
        pings: Pings that were sent, see *ping_interval*.
        pings_failed: Connections that were replaced for want of a response to one.
        events_dropped: Events that were not fetched in time.
        turns: Turns of the client's loop.
        wakeups: How often another thread had to wake the loop.
        in_flight: Now: accepted calls that have no outcome yet.
        queued_bytes: Now: bytes of frames accepted and not sent.
        kept_bytes: Now: bytes of idempotent calls kept for resending; they also
            count in max_queued_bytes.
        undelivered_bytes: Now: bytes of outcomes received and not fetched.
        latency: Times from call to result or remote error.
        events: How many of each kind of `Event` there were, whether heard or not.
        tls: What the client has read from the files of its `Tls`; None without TLS.
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
    rejected: int
    lookups: int
    lookups_failed: int
    list_changes: int
    hellos: int
    hellos_failed: int
    pings: int
    pings_failed: int
    events_dropped: int
    turns: int
    wakeups: int
    in_flight: int
    queued_bytes: int
    kept_bytes: int
    undelivered_bytes: int
    latency: Latency
    events: Mapping[EventKind, int]
    tls: TlsFiles | None = None


OTHER = "_OTHER"
"""What the methods are called that are not counted one by one."""


@dataclass(frozen=True, slots=True)
class MethodStats:
    """
    What became of the calls of a method; see `Client.methods`.

    Attributes:
        calls: Calls that have ended, notifications included.
        ok: Results, and notifications handed to the kernel whole.
        remote_errors: Calls that the server answered with an error.
        timeouts: Calls whose deadline passed.  What is left of *calls* ended in
            another way.
        latency: Times from call to result or remote error.
    """

    calls: int
    ok: int
    remote_errors: int
    timeouts: int
    latency: Latency


def read_methods(client: Any) -> dict[str, MethodStats]:
    """Return the numbers of each method of a C client that was called."""
    info = ffi.new("jsonrpcc_method_info *")
    methods: dict[str, MethodStats] = {}
    number = 0
    while lib.jsonrpcc_method_get(client, number, info, ffi.sizeof(info[0])):
        number += 1
        if not info.calls:
            continue
        name = bytes(ffi.buffer(info.name, info.name_len)) if info.name else None
        methods[OTHER if name is None else name.decode(errors="replace")] = MethodStats(
            calls=info.calls,
            ok=info.ok,
            remote_errors=info.remote_errors,
            timeouts=info.timeouts,
            latency=Latency(tuple(info.latency), info.latency_sum_us / 1e6),
        )
    return methods


_COUNTERS = tuple(
    name
    for name in Stats.__dataclass_fields__
    if name not in {"latency", "events", "tls"}
)


def read_stats(client: Any) -> Stats:
    """Return the counters of a C client as they are now."""
    struct = ffi.new("jsonrpcc_stats *")
    lib.jsonrpcc_client_stats(client, struct, ffi.sizeof(struct[0]))
    counters = {name: getattr(struct, name) for name in _COUNTERS}
    latency = Latency(tuple(struct.latency), struct.latency_sum_us / 1e6)
    events = {name: struct.events[kind] for kind, name in EVENT_KINDS.items()}
    files = read_files(client)
    return Stats(**counters, latency=latency, events=events, tls=files)
