"""What the client logs: limited, and never about the effects of its own log lines."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jsonrpcc._errors import RemoteError
from jsonrpcc._speedups import hush, set_quieten

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

logger = logging.getLogger("jsonrpcc")

BURST = 10
"""How many records of a kind are written one by one."""

PERIOD = 10.0
"""Seconds in which no more of a kind are written; then one record counts the rest."""

REMIND_FIRST, REMIND_LAST = 60.0, 3600.0
"""Seconds until a state is reported again that lasts: each time twice as long."""

MOST_KINDS = 1000
"""How many kinds are distinguished."""

LOOK_MS = 1000
"""Milliseconds between two calls of flush() while there is something to write."""


@dataclass(slots=True)
class _Kind:
    start: float
    written: int = 0
    kept: int = 0
    last: tuple[int, str, tuple[Any, ...]] = (0, "", ())


class Log:
    """
    Writes for one client; for one thread at a time.

    Of each kind of record the first `BURST` are written.  The rest of a `PERIOD` is
    summarised in its last one, ``..., and 19,989 more``; as long as more come, there
    is one record per period.  The owner calls flush() when *wait_ms* is over, and at
    the end.

    Handlers may use clients.  What that leads to is not logged again: neither
    directly, nor when calls that were made meanwhile fail, or their callbacks do.
    What a handler raises is printed to stderr, as by `logging`, and goes no further.

    Attributes:
        wait_ms: Milliseconds until flush() has something to do, -1: nothing.
    """

    def __init__(
        self, name: str | None = None, guarded: type[BaseException] = Exception
    ) -> None:
        """
        Write lines that begin with *name*, if the client has one.

        *guarded* are the exceptions of handlers that do not reach the caller.
        """
        self.wait_ms = -1
        self._name = name
        self._guarded = guarded
        self._kinds: dict[Hashable, _Kind] = {}
        self._has_kept = False
        self._reminder: tuple[str, Callable[[], str]] | None = None
        self._remind_at = self._remind_after = 0.0

    def write(
        self,
        level: int,
        kind: Hashable,
        text: str,
        *args: Any,
        error: BaseException | None = None,
    ) -> None:
        """Write a record of this kind, with the traceback of *error*; or count it."""
        try:
            if _here.depth or not logger.isEnabledFor(level):
                return
            self.flush()
            if len(self._kinds) >= MOST_KINDS and kind not in self._kinds:
                self.flush(everything=True)
            text, args = self._named(text, args)
            seen = self._kinds.setdefault(kind, _Kind(time.monotonic()))
            if seen.written < BURST:
                seen.written += 1
                _emit(level, text, args, error)
            else:
                seen.kept += 1
                seen.last = level, text, args
                self._has_kept = True
                self.wait_ms = LOOK_MS
        except self._guarded:
            tell()

    def report(self, method: str, error: BaseException) -> None:
        """Log what a callback raised."""
        kind = "callback", method
        self.write(logging.ERROR, kind, "callback of %r failed", method, error=error)

    def report_unheard(self, method: str, error: Exception) -> None:
        """Log an error that there is no callback for."""
        # str() of a remote error is the server's message and no more.
        what = repr(error) if isinstance(error, RemoteError) else error
        kind = "error", method, type(error)
        self.write(logging.ERROR, kind, "%s (no on_error was given)", what)

    def _named(self, text: str, args: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
        if self._name is None:
            return text, args
        return f"%s: {text}", (self._name, *args)

    def remind(self, text: str = "", what: Callable[[], str] | None = None) -> None:
        """
        Say now and then that a state lasts, by an error record, until called again.

        *text* has a place for what *what* returns; without it, nothing lasts.
        """
        self._reminder = None if what is None else (text, what)
        self._remind_after = REMIND_FIRST
        now = time.monotonic()
        self._remind_at = now + REMIND_FIRST
        self._set_wait(now)

    def flush(self, *, everything: bool = False) -> None:
        """Write how many more there were in past periods, or in all."""
        try:
            self._flush(0.0 if everything else PERIOD)
        except self._guarded:
            tell()

    def _flush(self, period: float) -> None:
        now = time.monotonic()
        self._has_kept = False
        for key, kind in [*self._kinds.items()]:
            if now - kind.start < period:
                self._has_kept = self._has_kept or kind.kept > 0
                continue
            (level, text, args), kept = kind.last, kind.kept
            kind.start, kind.kept, kind.last = now, 0, (0, "", ())
            if not kept or not period:
                del self._kinds[key]
            if kept == 1:
                _emit(level, text, args)
            elif kept:
                _emit(level, f"{text}, and %s more", (*args, f"{kept - 1:,}"))
        if self._reminder is not None and period and now >= self._remind_at:
            self._remind_after = min(2 * self._remind_after, REMIND_LAST)
            self._remind_at = now + self._remind_after
            text, what = self._reminder
            if logger.isEnabledFor(logging.ERROR):
                _emit(logging.ERROR, *self._named(text, (what(),)))
        self._set_wait(now)

    def _set_wait(self, now: float) -> None:
        self.wait_ms = LOOK_MS if self._has_kept else -1
        if self._reminder is not None and not self._has_kept:
            self.wait_ms = max(1, int((self._remind_at - now) * 1000) + 1)


# ---- writing, and what it leads to ------------------------------------------------


class _Here(threading.local):
    depth = 0  # records of ours, or their effects, that this thread is handling


_here = _Here()


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    _here.depth += 1
    hush(1)
    try:
        yield
    finally:
        hush(-1)
        _here.depth -= 1


def _emit(
    level: int,
    text: str,
    args: tuple[Any, ...],
    error: BaseException | None = None,
) -> None:
    with hushed():
        logger.log(level, text, *args, exc_info=error)


def is_hushed() -> bool:
    """Whether this thread handles a record of ours, or what one led to."""
    return _here.depth > 0


def tell() -> None:
    """As `logging.Handler.handleError`; there may be no memory for it."""
    if logging.raiseExceptions and sys.stderr:
        with contextlib.suppress(OSError, ValueError, MemoryError):
            traceback.print_exc()


class _Quiet:
    """A callback of a call made while a record of ours was handled."""

    def __init__(self, function: Callable[[Any], object] | None) -> None:
        self._function = function

    def __call__(self, outcome: Any) -> None:
        if self._function is None:
            return
        # This is the thread that runs all callbacks: nothing may end it.
        with hushed(), contextlib.suppress(BaseException):
            self._function(outcome)


def _quieten(on_result: Any, on_error: Any) -> tuple[Any, Any]:
    """Return the callbacks to use for a call that is made here and now."""
    if not _here.depth:
        return on_result, on_error
    return _Quiet(on_result), _Quiet(on_error)


set_quieten(_quieten)
