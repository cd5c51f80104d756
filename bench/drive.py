"""
The callers of the callback and blocking workloads, the same for us and every rival.

They know nothing but ``request(method, params, on_result, on_error)``, of which a few
are timed from submit to callback while the others pay nothing for it, and
``call(method, params)``, which is always timed.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from bench.job import USER, WrongResultError, check_user, fail

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.job import Job

    Call = Callable[[str, Any], Any]
    """A client's way to make a blocking call."""

CHUNK = 100
"""How many calls submit() submits before it looks at the window again."""


class Request(Protocol):
    """A client's way to submit a call."""

    def __call__(
        self,
        method: str,
        params: Any,
        on_result: Callable[[Any], None],
        on_error: Callable[[Any], None],
        /,
    ) -> object:
        """Submit; exactly one of the callbacks is run."""


@dataclass(frozen=True)
class Work:
    """What is called, and what its result has to be."""

    method: str
    params: Any
    check: Callable[[Any], None]


GET_USER = Work("get_user", USER, check_user)


def blob(method: str) -> Work:
    """Documents of the size that *method* names."""

    def check(result: Any) -> None:
        if result["rows"][0]["name"] != "User 1" or not result["rows"][-1]["email"]:
            raise WrongResultError(method)

    return Work(method, {"id": 1234}, check)


class Location(msgspec.Struct, gc=False):
    """Where a user is."""

    lat: float
    lon: float
    city: str


class User(msgspec.Struct):
    """What get_user gives."""

    id: int
    name: str
    roles: list[str]


class Row(msgspec.Struct):
    """A row of a document, with every member of it."""

    id: int
    uuid: str
    name: str
    email: str
    active: bool
    balance: float
    location: Location
    roles: list[str]
    scores: list[int]
    manager: str | None
    note: str


class Part(msgspec.Struct, gc=False):
    """A row, with three members of eleven."""

    id: int
    name: str
    email: str


class Document(msgspec.Struct):
    """A document of rows."""

    rows: list[Row]
    pad: str


class Parts(msgspec.Struct):
    """The same, read in part."""

    rows: list[Part]


def _check_typed_user(user: User) -> None:
    if user.id != 1234 or user.name != "Petros":
        raise WrongResultError(user)


def _check_rows(document: Document | Parts) -> None:
    if document.rows[0].name != "User 1" or not document.rows[-1].email:
        raise WrongResultError(document.rows[0])


TYPED: dict[str, tuple[Work, Any]] = {
    "typed": (Work("get_user", USER, _check_typed_user), User),
    "blob64k-typed": (Work("blob64k", {"id": 1234}, _check_rows), Document),
    "blob64k-partial": (Work("blob64k", {"id": 1234}, _check_rows), Parts),
}
"""The workloads with typed results: what is called, and the type of the result."""


def check_matching(
    request: Request,
    finished: Callable[[], None],
    calls: int = 1000,
    failed: Any = fail,
) -> None:
    """Ask for *calls* different results; each has to come to its own callback."""
    left = calls

    def ask(number: int) -> None:
        def on_result(result: Any) -> None:
            nonlocal left
            if result != {"number": number, "id": -number}:
                raise WrongResultError(result)
            left -= 1
            if left == 0:
                finished()

        request("echo", {"number": number, "id": -number}, on_result, failed)

    for number in range(calls):
        ask(number)


def chains(
    request: Request,
    work: Work,
    calls: int,
    window: int,
    latencies: list[float],
    finished: Callable[[], None],
    failed: Any = fail,
) -> None:
    """
    Keep *window* calls in flight: each callback submits the next one.

    Returns after submitting the first ones; *finished* is called by the last
    callback.  One chain in 25 is timed.
    """
    method, params, check = work.method, work.params, work.check
    window = min(window, calls)
    left = calls - window
    alive = window

    def end() -> None:
        nonlocal alive
        alive -= 1
        if alive == 0:
            finished()

    def on_result(result: Any) -> None:
        nonlocal left
        check(result)
        if left > 0:
            left -= 1
            request(method, params, on_result, failed)
        else:
            end()

    def timed() -> Callable[[Any], None]:
        begun = perf_counter()

        def on_timed(result: Any) -> None:
            nonlocal left, begun
            latencies.append(perf_counter() - begun)
            check(result)
            if left > 0:
                left -= 1
                begun = perf_counter()
                request(method, params, on_timed, failed)
            else:
                end()

        return on_timed

    for number in range(window):
        request(method, params, on_result if number % 25 else timed(), failed)


def side_chains(
    requests: Sequence[Request],
    calls: int,
    window: int,
    latencies: list[float],
    finished: Callable[[], None],
    failed: Any = fail,
) -> None:
    """Chains of get_user for each of these, with as many calls in flight in all."""
    count = left = len(requests)

    def end() -> None:
        nonlocal left
        with lock:
            left -= 1
            if left > 0:
                return
        finished()

    lock = threading.Lock()  # each client has callbacks of its own
    for request in requests:
        chains(
            request, GET_USER, calls // count, window // count, latencies, end, failed
        )


def submit(
    request: Request,
    work: Work,
    calls: int,
    window: int,
    latencies: list[float],
    opened: Callable[[], None],
    wait: Callable[[], None],
    failed: Any = fail,
) -> None:
    """
    Submit from this thread, at most *window* in flight; returns after the last.

    The window opens in steps: *opened* is called on the callbacks' thread when
    CHUNK more calls are done, and *wait* on this one for each of these.
    """
    method, params, check = work.method, work.params, work.check
    chunk = min(CHUNK, window // 2)
    done = 0

    def on_result(result: Any) -> None:
        nonlocal done
        check(result)
        done += 1
        if done % chunk == 0 or done == calls:
            opened()

    def timed() -> Callable[[Any], None]:
        begun = perf_counter()

        def on_timed(result: Any) -> None:
            latencies.append(perf_counter() - begun)
            on_result(result)

        return on_timed

    ahead = window // chunk
    for first in range(0, calls, chunk):
        if first >= ahead * chunk:
            wait()
        request(method, params, timed(), failed)
        for _ in range(min(chunk, calls - first) - 1):
            request(method, params, on_result, failed)
    for _ in range(min(ahead, -(-calls // chunk))):
        wait()


def one_by_one(job: Job, call: Call) -> None:
    """Make blocking calls, each as soon as the one before has its result."""
    for _ in range(job.warmup):
        check_user(call("get_user", USER))
    with job.measure():
        _repeat(job, call, job.calls)


def sparsely(job: Job, call: Call, pause: float) -> None:
    """Make blocking calls, each *pause* seconds after the result of the one before."""
    for _ in range(job.warmup):
        check_user(call("get_user", USER))
    with job.measure():
        for _ in range(job.calls):
            sleep(pause)
            begun = perf_counter()
            result = call("get_user", USER)
            job.latencies.append(perf_counter() - begun)
            check_user(result)


def side_by_side(job: Job, threads: int, client: Callable[[], Call]) -> None:
    """Make blocking calls in so many threads, each with what *client* returns."""
    gates = [threading.Barrier(threads + 1) for _ in range(3)]

    def work() -> None:
        call = client()
        for _ in range(job.warmup // threads):
            check_user(call("get_user", USER))
        gates[0].wait()
        gates[1].wait()
        _repeat(job, call, job.calls // threads)
        gates[2].wait()

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    gates[0].wait()
    with job.measure():
        gates[1].wait()
        gates[2].wait()
    for worker in workers:
        worker.join()


def _repeat(job: Job, call: Call, calls: int) -> None:
    for _ in range(calls):
        begun = perf_counter()
        result = call("get_user", USER)
        job.latencies.append(perf_counter() - begun)
        check_user(result)
