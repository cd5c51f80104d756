"""
One process of ``jsonrpcc bench``: makes calls when they are due, and measures.

It reads a plan from stdin, says on stdout that it is ready, begins when the next line
comes, and writes what it has measured.
"""

from __future__ import annotations

import collections
import importlib
import itertools
import signal
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import msgspec

import jsonrpcc
from jsonrpcc._cli.bench_plan import MICROSECONDS, Outcome, Plan, arrivals, calls

HOUR = 3600 * MICROSECONDS
PAUSE = 0.1  # seconds of waiting at a time, so that signals are seen
SWITCH = 0.0002  # seconds; by default a thread waits 5 ms for another to let it run


class Unread:
    """Does not decode results: the client has checked them, and nobody looks."""

    encode = staticmethod(msgspec.json.encode)
    decode = staticmethod(len)


def histogram_of(counts: dict[int, int]) -> Any:
    """Return a histogram of numbers of microseconds, three digits exact."""
    histogram = new_histogram()
    for us, count in counts.items():
        histogram.record_value(min(max(us, 1), HOUR), count)
    return histogram


def new_histogram() -> Any:
    """Return an empty histogram, from a microsecond to an hour."""
    return importlib.import_module("hdrh.histogram").HdrHistogram(1, HOUR, 3)


class Generator:
    """
    Makes the calls of a plan; `run` once.

    The main thread starts them, and the client's thread counts what became of them:
    each number has one thread that writes it.
    """

    def __init__(self, plan: Plan, client: jsonrpcc.Client) -> None:
        self._plan = plan
        self._client = client
        self._latency: dict[int, int] = collections.defaultdict(int)
        self._lag: dict[int, int] = collections.defaultdict(int)
        self._errors: dict[str, int] = collections.defaultdict(int)
        self._unstarted: dict[int, int] = collections.defaultdict(int)
        self._refused: dict[str, int] = collections.defaultdict(int)
        self._begun = 0  # calls, those of the warm-up too
        self._ended = 0
        self._started = 0
        self._answered = 0
        self._last = 0.0  # when a call ended
        self._bell = threading.Event()
        self._waits = False

    # ---- on the client's thread ----------------------------------------------------

    def _end(self, now: float) -> None:
        self._last = now
        self._ended += 1
        if self._waits:
            self._waits = False
            self._bell.set()

    def _on_result(self, due: float, counts: bool, _result: Any) -> None:
        now = time.monotonic()
        if counts:
            self._latency[int((now - due) * MICROSECONDS)] += 1
            self._answered += 1
        self._end(now)

    def _on_error(self, due: float, counts: bool, error: jsonrpcc.JsonRpcError) -> None:
        now = time.monotonic()
        if counts:
            kind = type(error).__name__
            is_answer = isinstance(error, jsonrpcc.RemoteError)
            if isinstance(error, jsonrpcc.RemoteError):
                kind = f"{kind} {error.code}"
            self._errors[kind] += 1
            self._answered += is_answer
            # A timeout took at least as long; other failures took no server's time.
            if is_answer or isinstance(error, jsonrpcc.RequestTimeout):
                self._latency[int((now - due) * MICROSECONDS)] += 1
        self._end(now)

    # ---- on the main thread ----------------------------------------------------------

    def _wait_for_room(self) -> bool:
        """Wait until another call may be in flight; whether that took any time."""
        if self._begun - self._ended < self._plan.in_flight:
            return False
        while self._begun - self._ended >= self._plan.in_flight:
            self._bell.clear()
            self._waits = True
            if self._begun - self._ended >= self._plan.in_flight:
                self._bell.wait(PAUSE)
        return True

    def _call(self, method: str, params: str | None, due: float, counts: bool) -> None:
        self._begun += 1
        self._started += counts
        try:
            self._client.request(
                method,
                params,
                partial(self._on_result, due, counts),
                partial(self._on_error, due, counts),
                block=False,
            )
        except jsonrpcc.QueueFull:
            self._refused["QueueFull"] += counts
            self._begun -= 1

    def _due(self, begin: float) -> Iterator[float]:
        """Return when calls are to begin: as planned, or as soon as there is room."""
        if self._plan.is_open:
            return (begin + offset for offset in arrivals(self._plan))
        return iter(time.monotonic, None)

    def _give_up(self, due: Iterator[float], end: float) -> None:
        """
        Count the calls that could not begin, for want of room.

        Leaving them out would make a server look better, the slower it is.
        """
        now = time.monotonic()
        for each in itertools.takewhile(lambda each: each < end, due):
            self._started += 1
            self._refused["NotStarted"] += 1
            self._unstarted[int((now - each) * MICROSECONDS)] += 1

    def run(self) -> Outcome:
        """Make all calls, and return what was measured."""
        plan = self._plan
        begin = time.monotonic()
        counted_from = begin + plan.warmup
        end = counted_from + plan.duration
        cpu: tuple[float, float] | None = None
        blameless = begin  # until then, calls were late for want of room
        due = self._due(begin)
        for (method, params), planned in zip(calls(plan), due, strict=False):
            if planned >= end:
                break
            if time.monotonic() >= end + plan.timeout:
                self._give_up(itertools.chain([planned], due), end)
                break
            while (left := planned - time.monotonic()) > 0:
                time.sleep(min(left, PAUSE))
            if self._wait_for_room():
                blameless = time.monotonic()
            start = planned if plan.is_open else max(planned, blameless)
            counts = start >= counted_from
            if counts and cpu is None:
                cpu = time.monotonic(), time.process_time()
            if counts and planned > blameless:
                self._lag[int((time.monotonic() - planned) * MICROSECONDS)] += 1
            self._call(method, params, start, counts)
        now = time.monotonic()
        wall, used = cpu or (now, time.process_time())
        share = (time.process_time() - used) / max(now - wall, 1e-6)
        self._client.drain(plan.timeout + 1.0)
        return self._outcome(counted_from, share)

    def _outcome(self, counted_from: float, cpu: float) -> Outcome:
        plan = self._plan
        errors = collections.Counter(self._errors) + collections.Counter(self._refused)
        latency = collections.Counter(self._latency)
        latency.update(self._unstarted)
        return Outcome(
            latency=histogram_of(latency).encode().decode(),
            lag=histogram_of(self._lag if plan.is_open else {}).encode().decode(),
            started=self._started,
            answered=self._answered,
            errors=dict(errors),
            seconds=max(plan.duration, self._last - counted_from),
            cpu=cpu,
            servers={
                each.address: {"answers": each.responses, "timeouts": each.timeouts}
                for each in self._client.servers()
            },
        )


def main() -> None:
    """Carry out the plan on stdin."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # without a traceback
    sys.setswitchinterval(SWITCH)
    plan = msgspec.json.decode(sys.stdin.buffer.readline(), type=Plan)
    tls = None if plan.tls is None else jsonrpcc.Tls(**plan.tls)  # type: ignore[arg-type]
    most = max(2 * plan.in_flight, 1024)
    with jsonrpcc.Client(
        plan.servers, codec=Unread, timeout=plan.timeout, max_in_flight=most, tls=tls
    ) as client:
        is_ready = client.wait_ready(plan.timeout)
        print("ready" if is_ready else "not ready", flush=True)
        if not sys.stdin.buffer.readline():
            return
        outcome = Generator(plan, client).run()
    sys.stdout.buffer.write(msgspec.json.encode(outcome) + b"\n")


if __name__ == "__main__":
    main()
