"""Threads and waiting without a lock that is held while Python code runs."""

from __future__ import annotations

import contextlib
import sys
import threading
from _thread import allocate_lock, get_ident, start_new_thread
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "jsonrpcc"


class Bell:
    """
    Wakes waiting threads.

    A `threading.Condition` has a lock, and a signal handler or a finalizer may run
    while its thread holds it.  If that handler then waits for the thread that would
    ring, it waits for ever.  Here each waiting thread has its own lock.
    """

    def __init__(self) -> None:
        self._waiting: list[Any] = []

    def __bool__(self) -> bool:
        """Whether any thread waits."""
        return bool(self._waiting)

    def wait(self, has_come: Callable[[], bool], seconds: float) -> None:
        """Wait for a ring(), at most *seconds*; not at all if *has_come()*."""
        told = allocate_lock()
        told.acquire()
        self._waiting.append(told)
        try:
            if not has_come():
                told.acquire(timeout=seconds)
        finally:
            with contextlib.suppress(ValueError):  # it has been told
                self._waiting.remove(told)

    def ring(self) -> None:
        """Wake all; takes no memory."""
        try:
            while self._waiting:
                self._waiting.pop().release()
        except IndexError:
            pass  # the last one has just gone by itself


class Worker:
    """
    A thread that runs a function once.

    `threading.Thread.start` waits for the thread, with a lock held that the thread
    wants; this start() does not.
    """

    def __init__(self) -> None:
        self._begun = allocate_lock()
        self._ended = False
        self._end = Bell()
        self._ident = 0

    def start(self, run: Callable[..., None], *args: Any) -> None:
        """
        Start the thread, unless it is running or has run.

        A call before it has begun starts another thread: the first one runs, and the
        others end.

        Raises:
            RuntimeError: There are too many threads, or the interpreter ends.
        """
        if not self._begun.locked():
            start_new_thread(self._begin, (run, args))

    def _begin(self, run: Callable[..., None], args: tuple[Any, ...]) -> None:
        if not self._begun.acquire(blocking=False):
            return
        self._ident = ident = get_ident()
        try:
            with contextlib.suppress(MemoryError):
                self._dress()
            run(*args)
        finally:
            self._ident = 0
            self._ended = True
            self._end.ring()
            # Before Python 3.13 threading keeps a thread that it has not started.
            threading._active.pop(ident, None)  # type: ignore[attr-defined]  # noqa: SLF001

    @staticmethod
    def _dress() -> None:
        """Do as Thread does: debuggers, profilers and log lines rely on it."""
        threading.current_thread().name = NAME
        if trace := threading.gettrace():
            sys.settrace(trace)
        if profile := threading.getprofile():
            sys.setprofile(profile)

    def is_current(self) -> bool:
        """Whether this is the thread."""
        return self._ident == get_ident()

    def has_begun(self) -> bool:
        """Whether the function runs, or has run."""
        return self._begun.locked()

    def has_ended(self) -> bool:
        """Whether the function has returned."""
        return self._ended

    def join(self, seconds: float = -1) -> bool:
        """Wait until the function has returned; False: not within so many seconds."""
        self._end.wait(self.has_ended, seconds)
        return self._ended
