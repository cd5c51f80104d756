"""
The callers of the callback workloads, the same for us and for every rival.

They know nothing but ``request(method, params, on_result, on_error)``.  A few
of the calls are timed from submit to callback; the others pay nothing for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

from bench.job import USER, WrongResultError, check_user, fail

if TYPE_CHECKING:
    from collections.abc import Callable

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
