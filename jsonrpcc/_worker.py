"""Threads and waiting without a lock that is held while Python code runs."""

from __future__ import annotations

import contextlib
import sys
import threading
import weakref
from _thread import allocate_lock, get_ident, start_new_thread
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NAME = "jsonrpcc"


class Bell:
    """
    Wakes waiting threads.

    A `threading.Condition` has a lock, and a signal handler or a finalizer may run
    while its thread holds it.  If that handler then waits for the thread that would
    ring, it waits forever.  Here each waiting thread has its own lock.
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
            with contextlib.suppress(ValueError):  # it has been woken
                self._waiting.remove(told)

    def ring(self) -> None:
        """Wake all; allocates nothing."""
        try:
            while self._waiting:
                self._waiting.pop().release()
        except IndexError:
            pass  # the last one has just stopped waiting


class Worker:
    """
    A thread that runs a function until it has returned.

    `threading.Thread.start` waits for the thread, with a lock held that the thread
    wants; this start() does not.

    An exception from outside (PyThreadState_SetAsyncExc) may come between any two
    steps, even before the first: before CPython 3.13, a new thread can get the one that
    was meant for the thread that starts it.  Then the thread is gone, and another one
    calls the function again.
    """

    def __init__(self) -> None:
        self._threads: list[weakref.ref[Any]] = []  # those that are started
        self._turns: dict[int, weakref.ref[Any]] = {}  # which thread ran, by turn
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
        if self.has_begun():
            return
        mine: list[weakref.ref[Any]] = []
        thread = self._begin(mine, run, args)
        mine.append(weakref.ref(thread, partial(self._on_gone, run, args)))
        self._threads.append(mine[0])
        try:
            # Its arguments go with it, even if a traceback keeps its frames.
            start_new_thread(next, (thread, None))
        except RuntimeError:
            self._threads.remove(mine[0])
            raise

    def _on_gone(
        self, run: Callable[..., None], args: tuple[Any, ...], thread: weakref.ref[Any]
    ) -> None:
        """Continue in another thread, if this one was started and is not done."""
        if thread in self._threads:
            self._threads.remove(thread)
            with contextlib.suppress(RuntimeError):  # the next start() may succeed
                self.start(run, *args)

    def _begin(
        self,
        mine: list[weakref.ref[Any]],
        run: Callable[..., None],
        args: tuple[Any, ...],
    ) -> Iterator[None]:
        turn, me = 0, mine[0]
        while (other := self._turns.setdefault(turn, me)) is not me:
            if self._ended or other() is not None:
                return
            turn += 1
        self._ident = ident = get_ident()
        try:
            with contextlib.suppress(MemoryError):
                self._dress(hooks=turn == 0)  # a hook that raises is not called again
            run(*args)
            self._ended = True
        finally:
            self._ident = 0
            # Before Python 3.13 threading keeps a thread that it has not started.
            threading._active.pop(ident, None)  # type: ignore[attr-defined]  # noqa: SLF001
            if self._ended:
                self._end.ring()
        yield  # a generator: a weak reference to it tells when the thread is gone

    @staticmethod
    def _dress(*, hooks: bool) -> None:
        """Do what Thread does: debuggers, profilers and log lines rely on it."""
        threading.current_thread().name = NAME
        if not hooks:
            return
        if trace := threading.gettrace():
            sys.settrace(trace)
        if profile := threading.getprofile():
            sys.setprofile(profile)

    def is_current(self) -> bool:
        """Whether this is the thread."""
        return self._ident == get_ident()

    def has_begun(self) -> bool:
        """Whether the function runs, or has returned."""
        if self._ended:
            return True
        last = list(self._turns.values())[-1:]
        return bool(last) and last[0]() is not None

    def has_ended(self) -> bool:
        """Whether the function has returned."""
        return self._ended

    def join(self, seconds: float = -1) -> bool:
        """Wait until the function has returned; False: not in that time."""
        self._end.wait(self.has_ended, seconds)
        return self._ended
