"""The part of an async client in its event loop: readers, deliveries, the end."""

from __future__ import annotations

import time
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

from jsonrpcc._delivery import PAUSE, Delivery
from jsonrpcc._durations import remaining
from jsonrpcc._errors import Cancelled, ClientClosed
from jsonrpcc._host import check_threads
from jsonrpcc._jsonrpcc import ffi, lib
from jsonrpcc._log import Log
from jsonrpcc._refusals import refusal
from jsonrpcc._slow import methods_in
from jsonrpcc._speedups import Call, Futures, Pending, Wait
from jsonrpcc._submit import address

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from jsonrpcc._delivery import Calls
    from jsonrpcc._session import Session
    from jsonrpcc._speedups import Prepared
    from jsonrpcc._types import Decoder
    from jsonrpcc._waits import Waits

EFULL: int = lib.JSONRPCC_EFULL

ROOM_CHECK = 0.02
"""Seconds between two looks for room."""

SOON, LATER = 0.001, 0.02
"""Seconds between two looks whether the core has ended, at first and at last."""


class FutureDelivery(Delivery):
    """Delivers to futures; a repetition finds them done."""

    guarded = Exception
    repeatable = True

    def __init__(
        self,
        session: Session,
        completions: Any,
        calls: Calls,
        log: Log,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(session, completions, calls, log)
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None

    def finish(
        self,
        entry: tuple[asyncio.Future[Any], Decoder | None, str],
        result: Any,
        error: Exception | None,
    ) -> None:
        """Set the future, unless it was cancelled or its loop closed meanwhile."""
        future, *_ = entry
        if future.done() or self._loop.is_closed():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def tell(self, record: Any) -> None:
        """Like the base class, and make sure that the log is flushed."""
        super().tell(record)
        self._look_at_log()

    def run(
        self, method: str, on_result: Any, on_error: Any, future: asyncio.Future[Any]
    ) -> None:
        """Run the callback of a call whose future is done; log what has none."""
        error = future.exception()
        try:
            if error is None:
                if on_result is not None:
                    on_result(future.result())
            elif on_error is not None:
                on_error(error)
            elif isinstance(error, Exception) and not isinstance(error, Cancelled):
                self.log.report_unheard(method, error)
        except Exception as raised:
            self.log.report(method, raised)
        self._look_at_log()

    def _look_at_log(self, *, again: bool = False) -> None:
        """Have the log write what it holds back, when it is time."""
        if again:
            self.log.flush()
        self.stop()
        if self.log.wait_ms > 0:
            look = partial(self._look_at_log, again=True)
            self._timer = self._loop.call_later(self.log.wait_ms / 1000, look)

    def stop(self) -> None:
        """Have the loop know nothing of this any more."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None


class Channel:
    """
    What an asynchronous client has in its event loop.

    The loop knows it, so it must not know the client, which would otherwise never
    become garbage while the loop exists.  All methods but `forget` belong to the loop's
    thread.

    Attributes:
        queue: The C queue.
        completions: The C struct that outcomes are fetched into.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, session: Session, waits: Waits
    ) -> None:
        check_threads()
        flags = lib.JSONRPCC_QUEUE_FD | lib.JSONRPCC_QUEUE_EVENTS
        self.queue = session.new_queue(flags)
        self.completions = ffi.new("jsonrpcc_completions *")
        self.loop = loop
        self._session = session
        self._waits = waits
        self._log = Log(session.name)
        self._futures: Any = None
        self._rest: Any = None
        self._fds: list[int] = []
        self._on_end: Callable[[], object] = lambda: None
        self._is_closing = False
        self._has_ended = False
        self._waiters: list[asyncio.Future[None]] = []
        self._left: list[tuple[asyncio.Future[Any], str]] = []  # to be ended

    def new_futures(self) -> Futures:
        """Return what makes calls whose outcomes come here, for `start`."""
        session = self._session
        return Futures(
            client=address(session.handle),
            queue=address(self.queue),
            completions=address(self.completions),
            keep=(self.queue, self.completions),
            handle=session.handle,
            codec=session.codec,
            refuse=refusal,
            rest=self.deliver_rest,
            loop=self.loop,
            when_room=self.when_room,
            get_running_loop=self._waits.running_loop,
            pending=Pending,
            call=Call,
            slow=None if session.slow is None else self.tell_slow,
            slow_us=0 if session.slow is None else session.slow.us,
            wait=Wait if self._waits.takes_any_future(self.loop) else None,
        )

    def start(self, futures: Any, on_end: Callable[[], object]) -> None:
        """
        Deliver outcomes to *futures*; call *on_end* at the end, once.

        If this raises, `stop` has to follow.
        """
        self._futures = futures
        self._on_end = on_end
        self._rest = FutureDelivery(
            self._session, self.completions, futures, self._log, self.loop
        )
        # The second one is for the client's sockets: this loop drives them while
        # it is awake, and no other thread has to be woken for a call.
        # If it is not known, the event thread drives them.
        fds = (
            lib.jsonrpcc_queue_fd(self.queue),
            lib.jsonrpcc_queue_poll_fd(self.queue),
        )
        self._fds = [fd for fd in fds if fd >= 0]
        for fd in self._fds:
            self.loop.add_reader(fd, futures.on_ready)

    def stop(self) -> None:
        """Take back `start`, even if it was interrupted."""
        self._remove_readers(0)
        self._session.owner = self._futures = self._rest = None

    def is_foreign(self) -> bool:
        """Whether the loop belongs to the process that forked this one."""
        return bool(lib.jsonrpcc_queue_is_foreign(self.queue))

    def is_alive(self) -> bool:
        """Whether the loop can run its callbacks in this process."""
        return not self.loop.is_closed() and not self.is_foreign()

    # ---- deliveries -----------------------------------------------------------

    def deliver_rest(self) -> bool:
        """Deliver what is left beside good results; return whether that was all."""
        if self._rest is None:
            return True
        try:
            self._rest.deliver()
        except MemoryError:
            self.loop.call_later(PAUSE, self._futures.fetch)
            return False
        return True

    def tell_slow(self) -> None:
        """Log what was slow of the results that were fetched."""
        if self._session.slow is not None and self._futures is not None:
            self._session.slow.results(self.completions, methods_in(self._futures))

    # ---- the wait for room ----------------------------------------------------

    async def when_room(self, call: Any) -> Any:
        """
        Wait until there is room for a call, and then for its outcome.

        *call* is what `_speedups.Futures` has made of its arguments.
        """
        futures = self._futures  # whose reference is dropped at the end
        arguments = call if type(call) is tuple else call.arguments
        await self._until_room(arguments, futures, partial(futures.again, call))
        return None if type(call) is tuple else await call.future

    async def _until_room(
        self, arguments: Any, futures: Any, again: Callable[[int], Any]
    ) -> Any:
        """
        Call *again* with the milliseconds left, until it returns what is true.

        Raises:
            QueueFull: The call's time is over.
        """
        method, text, ms, flags = arguments[:4]
        deadline = time.monotonic() + (ms or self._session.timeout_ms) / 1000
        while left := remaining(deadline):
            futures.look()
            await self._waits.sleep(min(left / 1000, ROOM_CHECK))
            # The time spent waiting is taken from the call's.
            if made := again(remaining(deadline) or 1):
                return made
        raise refusal(EFULL, method, text, flags)

    # ---- calls with callbacks -------------------------------------------------

    async def request(self, prepared: Prepared) -> Call:
        """Submit a call with its callbacks; wait if there is no room."""
        futures, rest = self._futures, self._rest
        method, (on_result, on_error) = prepared[0], prepared[5:7]
        on_done = partial(rest.run, method, on_result, on_error)
        started = futures.start(prepared, on_done, 0)
        if started is None:
            since_us = time.monotonic_ns() // 1000

            def again(_: int) -> Any:
                return futures.start(prepared, on_done, since_us)

            started = await self._until_room(prepared, futures, again)
        call: Call = started[0]
        return call

    async def drained(self, deadline: float | None) -> bool:
        """Wait until no call is in flight; False: not by then, a monotonic time."""
        while self._futures is not None and (pending := self._futures.pending()):
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not await self._waits.wait(pending, left):
                return False
        await self._waits.settle()  # callbacks of the last ones are about to run
        return True

    # ---- the end --------------------------------------------------------------

    async def closed(self) -> None:
        """
        Close, and wait for the end; any number of tasks may do that.

        Everything but the waiting is done by callbacks of the loop or by the core, so
        a task that is cancelled in here leaves nothing half done.
        """
        self.shut()
        if self._has_ended:
            return
        waiter = self.loop.create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    def shut(self) -> None:
        """Begin to close; the rest follows by itself."""
        if self._is_closing:
            return
        # The core closes the sockets' descriptor, and its number is reused.
        self._remove_readers(1)
        self._session.close(0)
        self._look(SOON)
        self._is_closing = True  # not before: another try goes on with the rest

    def _look(self, pause: float) -> None:
        # First, since what a signal handler raises may end this at any moment.
        again = self.loop.call_later(pause, self._look, min(2 * pause, LATER))
        if self._session.close(0):
            self.end()
            again.cancel()

    def end(self) -> None:
        """
        End all calls: the core has ended, or the loop has and calls nothing more.

        If this is interrupted, it goes on where it was when it is called again.
        """
        if self._has_ended:
            return
        self._is_closing = True
        if self._futures is not None:
            self._futures.fetch()
        self._remove_readers(0)
        self._log.flush(everything=True)
        if self._session.slow is not None:
            self._session.slow.flush()
        if self._rest is not None and self.is_alive():
            self._rest.stop()
        if self._futures is not None:
            self._left += self._futures.take_all()
        while self._left:
            future, method = self._left[-1]
            if self.is_alive() and not future.done():
                error = ClientClosed("client closed", method=method)
                future.set_exception(error)
            self._left.pop()
        self._on_end()
        # A cycle would keep the queue's descriptor until the garbage collector comes.
        self._session.owner = self._futures = self._rest = None
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._has_ended = True

    def _remove_readers(self, first: int) -> None:
        # A forked child shares the loop's epoll with its parent, which continues.
        if self.is_alive():
            for fd in self._fds[first:]:
                self.loop.remove_reader(fd)
        del self._fds[first:]

    def forget_with(self, owner: object) -> None:
        """
        Close without waiting when the client object is gone.

        Its __del__() does so as well, but an exception from a signal handler may end
        each of these at any moment.  So there are three, which do not know each other.
        """

        def forget(_: object) -> None:
            self.forget()

        self._session.owner = [weakref.ref(owner, forget) for _ in range(2)]

    def forget(self) -> None:
        """
        Close without waiting, from any thread, even in a finalizer.

        The readers have to go first, which only the loop can do.
        """
        if self.is_foreign():  # waking the loop would wake the parent's
            self._session.close(0)
            return
        try:
            self.loop.call_soon_threadsafe(self.shut)
        except RuntimeError:  # it has been closed, and its readers with it
            self._session.close(0)
