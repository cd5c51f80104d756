"""
An event loop as asynchronous clients know it, made of tasks of anyio.

All of it belongs to the thread of the client's task group, except
`Pump.call_soon_threadsafe`.
"""

from __future__ import annotations

import asyncio
import collections
import logging
from functools import partial
from threading import get_ident
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine, Generator

    from anyio.abc import TaskGroup

logger = logging.getLogger("jsonrpcc")


class Future:
    """As asyncio has it, but cancelled only by `cancel`: there is no task behind it."""

    __slots__ = ("_callbacks", "_error", "_event", "_is_done", "_pump", "_result")

    def __init__(self, pump: Pump) -> None:
        self._pump = pump
        self._is_done = False
        self._result: Any = None
        self._error: BaseException | None = None
        self._event: anyio.Event | None = None
        self._callbacks: list[Callable[[Any], object]] = []

    def __await__(self) -> Generator[Any, Any, Any]:
        if not self._is_done:
            if self._event is None:
                self._event = anyio.Event()
            yield from self._event.wait().__await__()
        return self.result()

    __iter__ = __await__  # as C code asks for it

    def get_loop(self) -> Pump:
        """Return what it belongs to."""
        return self._pump

    def done(self) -> bool:
        """Whether it has an outcome, or was cancelled."""
        return self._is_done

    def result(self) -> Any:
        """Return the result, or raise the error."""
        if self._error is None:
            return self._result
        try:
            raise self._error
        finally:
            del self  # which the traceback would know

    def exception(self) -> BaseException | None:
        """Return the error, or None."""
        return self._error

    def cancel(self) -> bool:
        """End it; False: it had ended."""
        if self._is_done:
            return False
        self._end(None, asyncio.CancelledError())
        return True

    def set_result(self, result: Any) -> None:
        """End it with a result; RuntimeError: it had ended."""
        self._end(result, None)

    def set_exception(self, error: BaseException) -> None:
        """End it with an error; RuntimeError: it had ended."""
        self._end(None, error)

    def add_done_callback(self, callback: Callable[[Any], object]) -> None:
        """Have the pump call *callback* with this when it has ended."""
        if self._is_done:
            self._pump.call_soon(callback, self)
        else:
            self._callbacks.append(callback)

    def remove_done_callback(self, callback: Callable[[Any], object]) -> None:
        """Do not have it called."""
        if callback in self._callbacks:
            self._callbacks.remove(callback)

    def _end(self, result: Any, error: BaseException | None) -> None:
        if self._is_done:
            raise RuntimeError("the future has an outcome")
        self._is_done = True
        self._result, self._error = result, error
        if self._event is not None:
            self._event.set()
        for callback in self._callbacks:
            self._pump.call_soon(callback, self)
        self._callbacks.clear()


class Task(Future):
    """The outcome of a coroutine; to cancel it cancels the coroutine."""

    __slots__ = ("_scope",)

    def __init__(self, pump: Pump) -> None:
        super().__init__(pump)
        self._scope = anyio.CancelScope()

    def cancel(self) -> bool:
        """End it, and the coroutine."""
        self._scope.cancel()
        return super().cancel()

    async def run(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Be the task."""
        result, error = None, None
        try:
            with self._scope:
                result = await coroutine
        except Exception as raised:
            error = raised
        except BaseException:
            super().cancel()
            raise
        if self._scope.cancelled_caught:
            super().cancel()
        if not self.done():
            self._end(result, error)


class Pump:
    """The event loop: it watches descriptors, and calls what is due."""

    def __init__(self, group: TaskGroup) -> None:
        """Run in the tasks of *group*, from the next checkpoint on."""
        self._group = group
        self._thread = get_ident()
        self._token: Any = anyio.lowlevel.current_token().native_token
        self._is_closed = False
        self._scopes: set[anyio.CancelScope] = set()
        self._readers: set[int] = set()
        self._due: collections.deque[Callable[[], object]] = collections.deque()
        self._wake = anyio.Event()
        self._start(self._run)

    def close(self) -> None:
        """End the tasks; the group is then to be left."""
        self._is_closed = True
        for scope in self._scopes:
            scope.cancel()

    def _start(
        self, function: Callable[..., Coroutine[Any, Any, None]], *args: Any
    ) -> anyio.CancelScope:
        """Start a task, which ends by the scope that is returned."""
        # Shielded: calls of a block that is cancelled may be shielded as well, and
        # need the pump.
        scope = anyio.CancelScope(shield=True)

        async def run() -> None:
            try:
                with scope:
                    await function(*args)
            finally:
                self._scopes.discard(scope)

        if not self._is_closed:
            self._scopes.add(scope)
            self._group.start_soon(run)
        return scope

    def _call(self, function: Callable[..., object], *args: Any) -> None:
        # Nothing that a callback raises may end the tasks of the client's user.
        try:
            function(*args)
        except Exception:
            logger.exception("%r failed", function)

    async def _run(self) -> None:
        due = self._due
        while True:
            for _ in range(len(due)):
                self._call(due.popleft())
            if due:
                await anyio.lowlevel.checkpoint()
                continue
            self._wake = anyio.Event()
            await self._wake.wait()

    async def _read(self, fd: int, function: Callable[[], object]) -> None:
        while fd in self._readers:
            try:
                await anyio.wait_readable(fd)
            except anyio.ClosedResourceError:  # by notify_closing()
                return
            if fd in self._readers:
                self._call(function)

    # ---- as an event loop of asyncio has it -----------------------------------

    def is_running(self) -> bool:
        """Whether it runs, as it does until it is closed."""
        return not self._is_closed

    def is_closed(self) -> bool:
        """Whether it calls nothing any more."""
        return self._is_closed

    def create_future(self) -> Future:
        """Return a new future."""
        return Future(self)

    def call_soon(self, function: Callable[..., object], *args: Any) -> None:
        """Call a function in the pump's next turn."""
        self._due.append(partial(function, *args) if args else function)
        self._wake.set()

    def call_soon_threadsafe(self, function: Callable[..., object]) -> None:
        """
        Call a function soon, asked by any thread.

        Raises:
            RuntimeError: All has ended.
        """
        token = self._token
        soon = getattr(token, "run_sync_soon", None) or token.call_soon_threadsafe
        soon(self.call_soon, function)

    def call_later(
        self, seconds: float, function: Callable[..., object], *args: Any
    ) -> anyio.CancelScope:
        """Call a function later, unless what is returned is cancelled."""

        async def wait() -> None:
            await anyio.sleep(seconds)
            self._call(function, *args)

        return self._start(wait)

    def add_reader(self, fd: int, function: Callable[[], object]) -> None:
        """Call a function whenever a descriptor is readable."""
        self._readers.add(fd)
        self._start(self._read, fd, function)

    def remove_reader(self, fd: int) -> None:
        """Do not look at a descriptor any more, which may be closed at once."""
        if fd in self._readers:
            self._readers.discard(fd)
            anyio.notify_closing(fd)

    # ---- how tasks wait -------------------------------------------------------

    def running_loop(self) -> Pump:
        """
        Return this, which runs here.

        Raises:
            RuntimeError: This is another thread, or all has ended.
        """
        if self._thread != get_ident() or self._is_closed:
            raise RuntimeError("this client belongs to another event loop")
        return self

    def takes_any_future(self, _loop: object) -> bool:
        """Return False: tasks wait for an anyio.Event."""
        return False

    async def sleep(self, seconds: float) -> None:
        """Wait for some time."""
        await anyio.sleep(seconds)

    async def wait(
        self,
        futures: Collection[Future],
        seconds: float | None = None,
        *,
        first: bool = False,
    ) -> bool:
        """Wait for all, or for the first of them; False: not in that time."""
        pending = [each for each in futures if not each.done()]
        if not pending or (first and len(pending) < len(futures)):
            await anyio.lowlevel.checkpoint()
            return True
        event = anyio.Event()
        left = 1 if first else len(pending)

        def count(_: Future) -> None:
            nonlocal left
            left -= 1
            if left <= 0:
                event.set()

        for each in pending:
            each.add_done_callback(count)
        try:
            with anyio.move_on_after(seconds):
                await event.wait()
        finally:
            for each in pending:
                each.remove_done_callback(count)
        return event.is_set()

    async def settle(self) -> None:
        """Wait until everything has been called that is due."""
        event = anyio.Event()
        self.call_soon(event.set)
        await event.wait()

    def create_task(self, coroutine: Coroutine[Any, Any, Any]) -> Task:
        """Run a coroutine in a task of the client's group."""
        task = Task(self)
        self._group.start_soon(task.run, coroutine)
        return task
