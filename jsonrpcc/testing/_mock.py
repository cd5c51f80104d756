"""
`jsonrpcc.testing.MockServer`: canned replies, and a record of everything else.

A request of a method that the server does not have goes to the `Stub`.  It is
called on the server's loop, the expectations are made in the test's thread: the
lock of what the server has seen is held for both, and never while a function of
the test runs.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Self

import msgspec
from msgspec.json import encode

from jsonrpcc.testing._faults import Fault, FaultLike, Request
from jsonrpcc.testing._methods import Error, Method, result_outcome
from jsonrpcc.testing._schedule import Plan
from jsonrpcc.testing._server import Server

Outcome = Callable[[Request], bytes | Awaitable[Any]]
"""The response's result or error member as JSON text, or a method's coroutine."""

LONGEST = 200  # of params in a message, in characters


def shown(method: str, params: Any) -> str:
    """Return a request as shown in messages."""
    if params is ...:
        return method
    text = repr(params) if params is None else _json(params)
    return f"{method} {text if len(text) <= LONGEST else text[:LONGEST] + '…'}"


def _json(params: Any) -> str:
    try:
        return encode(params).decode()
    except (TypeError, ValueError):  # it contains ANY, or another object of a test
        return repr(params)


class _Pattern:
    """Requests of one method, with these params; ``...`` for any."""

    def __init__(self, method: str, params: Any) -> None:
        self.method = method
        self.params = list(params) if isinstance(params, tuple) else params

    def __str__(self) -> str:
        return shown(self.method, self.params)

    def fits(self, request: Request) -> bool:
        return request.method == self.method and (
            self.params is ... or bool(self.params == request.params)
        )


class _Step:
    """One reply of an expectation, and how often it is given."""

    def __init__(self) -> None:
        self.outcome: Outcome = lambda _: result_outcome(None)
        self.plan: Plan = Plan()
        self.times: int | None = None  # None: any number
        self.used = 0

    def open(self) -> bool:
        return self.times is None or self.used < self.times

    def met(self) -> bool:
        return self.times is None or self.used == self.times


class Expectation:
    """
    What a `MockServer` answers to the requests of one method.

    Each method returns the expectation, so that they can be chained.  By default the
    answer is null, for any number of requests.
    """

    def __init__(self, stub: Stub, method: str, params: Any) -> None:
        self._pattern = _Pattern(method, params)
        self._stub = stub
        self._steps = [_Step()]
        self._optional = False

    def __repr__(self) -> str:
        used = " + ".join(f"{step.used}/{step.times or 'any'}" for step in self._steps)
        return f"<Expectation {self._pattern}: {used}>"

    def returns(self, result: Any) -> Self:
        """
        Answer with *result*.

        Raises:
            TypeError: It cannot be JSON.
        """
        text = result_outcome(result)
        return self._set(outcome=lambda _: text)

    def raises(self, code: int, message: str = "", data: Any = msgspec.UNSET) -> Self:
        """
        Answer with an error.

        Raises:
            TypeError: *data* cannot be JSON.
        """
        text = Error(code, message or "canned error", data).outcome()
        return self._set(outcome=lambda _: text)

    def calls(self, function: Callable[..., Any]) -> Self:
        """Answer with what *function* returns for the params; it may be async."""
        method = Method(function)
        return self._set(outcome=lambda request: method.outcome(request.params))

    def faults(self, *faults: FaultLike) -> Self:
        """Apply these faults to the answer, as with `Server.misbehave`."""
        return self._set(plan=Plan.of(faults))

    def times(self, count: int) -> Self:
        """
        Answer like this *count* times, no more and no fewer by the end of the test.

        After that, the request is not expected, or gets the answer after `then`.
        """
        if count < 1:
            raise ValueError(f"times must be 1 or more, not {count}")
        return self._set(times=count)

    def once(self) -> Self:
        """Answer like this once: ``times(1)``."""
        return self.times(1)

    def then(self) -> Self:
        """Continue with the next answer once the one before was given (once)."""
        with self._stub.changed:
            if self._steps[-1].times is None:
                self._steps[-1].times = 1
            self._steps.append(_Step())
        return self

    def optional(self) -> Self:
        """Accept it if answers with a number of times are not used up."""
        self._optional = True
        return self

    def _set(self, **parts: Any) -> Self:
        with self._stub.changed:
            for name, value in parts.items():
                setattr(self._steps[-1], name, value)
        return self

    # --- for the stub, which holds its lock ---

    def bounded(self) -> bool:
        """Whether it ends after a number of requests."""
        return self._steps[-1].times is not None

    def fits(self, request: Request) -> bool:
        """Whether *request* is one of those, and there is an answer left."""
        return self._pattern.fits(request) and any(step.open() for step in self._steps)

    def take(self) -> _Step:
        """Return the next answer and count it."""
        step = next(step for step in self._steps if step.open())
        step.used += 1
        return step

    def missing(self) -> str | None:
        """Say which expected requests did not come."""
        if self._optional or all(step.met() for step in self._steps):
            return None
        used = sum(step.used for step in self._steps if step.times is not None)
        wanted = sum(step.times or 0 for step in self._steps)
        return f"{self._pattern} ({used} of {wanted})"


class Stub:
    """Chooses the answers of a `MockServer`."""

    def __init__(self, changed: threading.Condition) -> None:
        self.changed = changed
        self.expectations: list[Expectation] = []
        self.unexpected: list[Request] = []
        self._chosen: tuple[Request, _Step | None] | None = None

    def faults_for(self, request: Request) -> list[Fault]:
        """Choose the answer to a request, and return its faults."""
        step = self._choose(request)
        self._chosen = request, step
        if step is None:
            return []
        return step.plan.for_request(request, server_wide=False)

    def answer(self, request: Request) -> bytes | Awaitable[Any]:
        """Return the answer that was chosen, or choose one."""
        chosen, self._chosen = self._chosen, None
        if chosen is not None and chosen[0] is request:
            step = chosen[1]
        else:  # a notification, or one of a batch
            step = self._choose(request)
        if step is None:
            text = f"unexpected request: {_shown(request)}"
            return Error(-32601, text).outcome()
        return step.outcome(request)

    def _choose(self, request: Request) -> _Step | None:
        with self.changed:
            self.changed.notify_all()
            fitting = [each for each in self.expectations if each.fits(request)]
            # Those that end come first, in order; then the newest, so that a test
            # overrides what its fixtures set up.
            for each in fitting:
                if each.bounded():
                    return each.take()
            if fitting:
                return fitting[-1].take()
            self.unexpected.append(request)
            return None

    def missing(self) -> list[str]:
        """Say which requests should have come and did not."""
        with self.changed:
            found = [each.missing() for each in self.expectations]
        return [text for text in found if text is not None]


class MockServer(Server):
    """
    A `Server` with canned answers, which reports everything that was not expected.

        with MockServer() as mock:
            mock.on("add").returns(3)
            ...
            mock.assert_called("add", [1, 2])
            mock.verify()

    A request that was not expected is answered with -32601 and a message that says
    so.  Functions, faults and the arguments are those of a `Server`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._stub = Stub(self._records.changed)
        self._core.fallback = self._stub

    @property
    def calls(self) -> list[Request]:
        """The requests and notifications seen so far, in order of arrival."""
        return self.requests

    @property
    def unexpected(self) -> list[Request]:
        """The requests that matched neither an expectation nor a method."""
        with self._stub.changed:
            return list(self._stub.unexpected)

    def on(self, method: str, params: Any = ...) -> Expectation:
        """
        Expect requests of *method* with these *params*; ``...``: any.

        *params* are compared with ``==``: `unittest.mock.ANY` inside them matches
        anything.  None stands for requests without params.

        If several expectations fit a request, those with a number of `times` go
        first, in their order; then the newest without.
        """
        expectation = Expectation(self._stub, method, params)
        with self._stub.changed:
            self._stub.expectations.append(expectation)
        return expectation

    def reset(self) -> None:
        """Forget the expectations and the requests seen so far."""
        with self._stub.changed:
            self._stub.expectations.clear()
            self._stub.unexpected.clear()
        self.clear()

    def assert_called(
        self,
        method: str,
        params: Any = ...,
        *,
        times: int | None = None,
        timeout: float = 1.0,
    ) -> None:
        """
        Assert that *method* was called, with these *params*, this often.

        Without *times*, at least once.  It waits up to *timeout* seconds, since a
        notification may arrive late.

        Raises:
            AssertionError: It was not; says what was called.
        """
        __tracebackhide__ = True
        pattern = _Pattern(method, params)

        def made() -> int:
            return sum(map(pattern.fits, self.requests))

        self._until(lambda: made() >= (1 if times is None else times), timeout)
        count = made()
        if count >= 1 if times is None else count == times:
            return
        expected = "" if times is None else f" {times} times"
        seen = _lines(map(_shown, self.requests))
        raise AssertionError(
            f"{pattern} was called {count} times, expected"
            f"{expected or ' at least once'}; requests so far:{seen or ' none'}"
        )

    def assert_not_called(self, method: str, params: Any = ...) -> None:
        """
        Assert that *method* was not called (with these *params*) so far.

        Raises:
            AssertionError: It was.
        """
        __tracebackhide__ = True
        self.assert_called(method, params, times=0)

    def verify(
        self,
        *,
        unexpected_ok: bool = False,
        unused_ok: bool = False,
        timeout: float = 1.0,
    ) -> None:
        """
        Assert that all was as expected.  The pytest fixture does this at the end.

        Waits up to *timeout* seconds for what is still missing.

        Raises:
            AssertionError: A request was not expected, or an answer with a number
                of times was not asked for that often.
        """
        __tracebackhide__ = True
        if not unused_ok:
            self._until(lambda: not self._stub.missing(), timeout)
        text = self.complaint(unexpected_ok=unexpected_ok, unused_ok=unused_ok)
        if text:
            raise AssertionError(text)

    def complaint(self, *, unexpected_ok: bool = False, unused_ok: bool = False) -> str:
        """Return what `verify` would say now; empty if all is as expected."""
        surplus = [] if unexpected_ok else self.unexpected
        missing = [] if unused_ok else self._stub.missing()
        parts = []
        if surplus:
            lines = _lines(map(_shown, surplus))
            parts.append(f"requests that were not expected:{lines}")
        if missing:
            parts.append(f"expected and not made:{_lines(missing)}")
        return "\n".join(parts)

    def _until(self, done: Callable[[], bool], timeout: float) -> None:
        seen = self._records
        if self._home is None or not self._home.here():
            with seen.changed:
                seen.changed.wait_for(done, timeout)


def _shown(request: Request) -> str:
    return shown(request.method, request.params)


def _lines(texts: Iterable[str]) -> str:
    return "".join(f"\n- {text}" for text in texts)
