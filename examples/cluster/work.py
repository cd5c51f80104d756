"""
What each of the 24 workers does: a thousand calls a task, in one of three styles.

Half of the calls, those with odd numbers, are idempotent.  Every outcome is noted.
"""

from __future__ import annotations

import concurrent.futures
import os
import threading
from collections import deque
from functools import cache, partial
from pathlib import Path

from ledger import Ledger, idempotent

import jsonrpcc

TASK = 1000  # calls
AHEAD = 8  # of them in flight


@cache
def ledger() -> Ledger:
    """Map the file that the environment names."""
    return Ledger(Path(os.environ["LEDGER"]), int(os.environ["CALLS"]))


@cache
def client() -> jsonrpcc.Client:
    """Make this process's client when it is first used."""
    return jsonrpcc.Client(
        os.environ["SERVERS"],
        name="cluster",
        timeout=10,
        connect_timeout=2,
        reconnect_delay_max=2,
        dns_refresh=2,
        hello=[("rpc.ping", None)],  # a balancer may have nobody behind it
    )


def note(number: int, outcome: object) -> None:
    """Note an outcome; what failed is also written to a file, with its reason."""
    if not isinstance(outcome, jsonrpcc.JsonRpcError):
        ledger().note(number, "answered")
        return
    kind = "idempotent" if idempotent(number) else "once"
    with ledger().path.with_name("failures.txt").open("a") as file:
        file.write(f"{kind} {number}: {outcome!r}\n")
    ledger().note(number, str(outcome.fate))


def by_map(first: int) -> None:
    """Make the calls of a task as a stream of results."""
    for start in (first, first + 1):
        numbers = range(start, first + TASK, 2)
        outcomes = client().map(
            "work",
            ([n] for n in numbers),
            idempotent=idempotent(start),
            window=AHEAD,
            return_exceptions=True,
        )
        for number, outcome in zip(numbers, outcomes, strict=True):
            note(number, outcome)


def by_future(first: int) -> None:
    """Make the calls of a task as futures."""
    waiting: deque[tuple[int, concurrent.futures.Future[object]]] = deque()

    def wait() -> None:
        number, future = waiting.popleft()
        note(number, future.exception())

    for number in range(first, first + TASK):
        if len(waiting) == AHEAD:
            wait()
        future = client().submit("work", [number], idempotent=idempotent(number))
        waiting.append((number, future))
    while waiting:
        wait()


def by_callback(first: int) -> None:
    """Make the calls of a task with callbacks."""
    room = threading.Semaphore(AHEAD)

    def told(number: int, outcome: object) -> None:
        note(number, outcome)
        room.release()

    for number in range(first, first + TASK):
        room.acquire()
        both = partial(told, number)
        client().request("work", [number], both, both, idempotent=idempotent(number))
    for _ in range(AHEAD):
        room.acquire()
