"""The thread that fetches outcomes and runs callbacks."""

from __future__ import annotations

import collections
import contextlib
import errno
import logging
import time
from _thread import get_ident
from typing import TYPE_CHECKING, Any, Protocol

from jsonrpcc._crew import worker_for
from jsonrpcc._delivery import PAUSE, Delivery
from jsonrpcc._errors import Cancelled, refused
from jsonrpcc._host import check_threads
from jsonrpcc._jsonrpcc import ffi, lib
from jsonrpcc._log import Log
from jsonrpcc._slow import methods_in
from jsonrpcc._speedups import SLICE_MS
from jsonrpcc._submit import callbacks_for
from jsonrpcc._worker import Bell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jsonrpcc._errors import JsonRpcError
    from jsonrpcc._session import Session
    from jsonrpcc._speedups import Callbacks
    from jsonrpcc._types import Decoder

    OnResult = Callable[[Any], object]
    OnError = Callable[[JsonRpcError], object]
    # And the decoder of the result's type, and the method.
    Entry = tuple[OnResult | None, OnError | None, Decoder | None, str]


OK: int = lib.JSONRPCC_OK
_GOES_ON = (OK, lib.JSONRPCC_EPENDING)

SOON_MS = 1
"""Milliseconds until a future whose lock was taken is tried again."""


class CallbackDelivery(Delivery):
    """
    Delivers to callbacks.

    Whatever a callback raises, including SystemExit and asyncio.CancelledError, must
    not end the thread that runs them all.  But if it has forked and this is the child,
    the others belong to the parent, as does the thread's task: the thread ends.
    """

    guarded = BaseException
    repeatable = False
    _calls: Callbacks

    def finish(self, entry: Entry, result: Any, error: JsonRpcError | None) -> None:
        """Run one of the callbacks; without on_error, log the error."""
        on_result, on_error, _, method = entry
        try:
            # No step that could be interrupted lies between forgetting the call and
            # the callback: it runs once, whatever is raised from outside.
            if error is None:
                self.held = None
                if on_result is not None:
                    on_result(result)
            elif on_error is not None:
                self.held = None
                on_error(error)
            elif not isinstance(error, Cancelled):
                self.log.report_unheard(method, error)
        except BaseException as raised:
            self.log.report(method, raised)
        self.held = None
        if self._calls.is_foreign():
            raise SystemExit

    def tell(self, record: Any) -> None:
        """Like the base class."""
        super().tell(record)
        if self._calls.is_foreign():
            raise SystemExit

    def undecoded(self, method: str, cause: BaseException, origin: Any) -> JsonRpcError:
        """Return the error for on_error, which is always a JsonRpcError."""
        return self.session.outcomes.undecodable(method, cause, origin)


_running: dict[int, Dispatcher] = {}  # by the threads that run callbacks


class Future(Protocol):
    """What gets its outcome by `settle`."""

    def settle(self, *, wait: bool) -> bool:
        """Wake the waiting threads.  False: the lock is taken, and nothing was done."""

    def is_locked_here(self) -> bool:
        """Whether this thread holds its lock."""


def settle(future: Future) -> None:
    """
    In a callback: set a future's outcome, at once or when its lock is free.

    The thread that holds the lock may be interrupted by a signal handler that waits
    for this thread, in close() or for another outcome.  So this never waits for it.
    """
    if future.settle(wait=False):
        return
    try:
        _running[get_ident()].unsettled.append(future)
    except MemoryError:
        future.settle(wait=True)


class Dispatcher:
    """
    What fetches outcomes and runs callbacks: on a thread of its own, or of a crew.

    It must not know the client, which would otherwise never become garbage.

    Signal handlers, finalizers and logging handlers may use the client, between any
    two steps of any thread.  So no lock is held while Python code runs: what is created
    here takes effect when a client has it, and the thread may be started twice.
    """

    waits_for: Dispatcher | None = None  # as one of its callbacks does

    def __init__(self, session: Session) -> None:
        check_threads()
        self.queue = session.new_queue(lib.JSONRPCC_QUEUE_EVENTS)
        self._log = Log(session.name, BaseException)
        self._slow = session.slow
        self.calls = callbacks_for(session, self.queue, self._log.report)
        self._take = self.calls.take
        self._completions = ffi.new("jsonrpcc_completions *")
        self._address = int(ffi.cast("uintptr_t", self._completions))
        self._rest = CallbackDelivery(session, self._completions, self.calls, self._log)
        self._idle = Bell()
        self._delivering = False  # calls that have left `calls` may still run
        self._has_all = False  # nothing more will arrive
        self._done = True  # what was fetched is delivered
        self.unsettled: collections.deque[Future] = collections.deque()
        self.worker = worker_for(self, shares=session.shares)

    def is_foreign(self) -> bool:
        """Whether the process that forked this one created it."""
        return self.calls.is_foreign()

    def start(self) -> None:
        """
        Start the thread, unless it has begun.

        Raises:
            OSError: There are too many threads, EAGAIN.
        """
        try:
            self.worker.start(self._run)
        except RuntimeError as error:
            raise refused(errno.EAGAIN) from error

    def _keep_up(self) -> None:
        """Start the thread if it is gone and could not be replaced at once."""
        with contextlib.suppress(OSError):
            self.start()

    def _run(self) -> None:
        """
        Fetch and deliver until the client is closed and all is delivered.

        After an exception from outside, it is called again and continues.
        """
        ident = get_ident()
        try:
            self.calls.adopt(0)
            _running[ident] = self
            self._serve()
        except SystemExit:
            if not self.is_foreign():
                raise
        finally:
            _running.pop(ident, None)

    def take_turn(self, is_last: bool, seat: int) -> int:
        """Be served by a thread of a crew, as `_crew.Member` says."""
        ident, calls = get_ident(), self.calls
        try:
            calls.adopt(seat)
            _running[ident] = self
            self._delivering = True
            more = self._deliver_all()
            self._delivering = False
            if self._idle and not calls:
                self._idle.ring()
            if more:
                return 0
            if is_last or self.unsettled or self._log.wait_ms > 0:
                return self._look_after(is_last=is_last)
        finally:
            calls.disown()
            _running.pop(ident, None)
        return -1

    def _deliver_all(self) -> bool:
        """Fetch and deliver.  True: others should have a turn before the rest."""
        take = self._take if self._slow is None else self._take_slow
        while True:
            while not self._done:  # C code could not, or was interrupted
                try:
                    self._done = self._rest.deliver()
                except MemoryError:
                    time.sleep(PAUSE)
            self._done = False
            left = take(self._address)
            if left is not None:
                self._done = True
                return left

    def _take_slow(self, address: int) -> bool | None:
        """Like `Callbacks.take`, with a log of slow calls."""
        if not lib.jsonrpcc_queue_fetch(self.queue, self._completions):
            return False
        return True if self._tell_and_deliver(address) else None

    def _look_after(self, *, is_last: bool) -> int:
        log, unsettled = self._log, self.unsettled
        if log.wait_ms > 0:
            log.flush()
        if unsettled:
            self._settle()
        if is_last:
            self._has_all = True
            self._idle.ring()
            if not unsettled:
                self._finish()
                return -1
        return SOON_MS if unsettled else log.wait_ms

    def is_running(self) -> bool:
        """Whether this thread runs its callbacks."""
        return _running.get(get_ident()) is self

    def warn(self, text: str, *args: object) -> None:
        """Log a warning; this thread runs the callbacks."""
        self._log.write(logging.WARNING, text, text, *args)

    def _serve(self) -> None:
        completions, address = self._completions, self._address
        queue, log, unsettled = self.queue, self._log, self.unsettled
        wait = lib.jsonrpcc_queue_wait
        deliver = self.calls.deliver if self._slow is None else self._tell_and_deliver
        deliver_rest = self._rest.deliver
        status, done = OK, False  # something is left where it was interrupted
        while status in _GOES_ON:
            # The outcomes of all calls go through this thread: nothing may end
            # it, and none of them may be lost.  Nothing outside the try allocates
            # memory, not even an int above 256.
            while not done:
                try:
                    done = deliver_rest()
                except MemoryError:
                    time.sleep(PAUSE)
            self._delivering = False
            if self._idle and not self.calls:
                self._idle.ring()
            status = wait(queue, completions, SOON_MS if unsettled else log.wait_ms)
            if log.wait_ms > 0:
                log.flush()
            if status == OK or unsettled:
                self._delivering = True
                if unsettled:
                    self._settle()
                done = status != OK or deliver(address)
        self._delivering = False
        self._has_all = True
        self._idle.ring()
        while unsettled:
            self._settle()
            time.sleep(SOON_MS / 1000)
        self._finish()

    def _finish(self) -> None:
        """Write what the log has kept."""
        self._log.flush(everything=True)
        if self._slow is not None:
            self._slow.flush()

    def _tell_and_deliver(self, address: int) -> bool:
        """Log what was slow of the results that were fetched, and deliver them."""
        if self._slow is not None:
            with contextlib.suppress(MemoryError):  # they are delivered all the same
                self._slow.results(self._completions, methods_in(self.calls))
        return self.calls.deliver(address)

    def _settle(self) -> None:
        """Try each once more."""
        unsettled = self.unsettled
        for _ in range(len(unsettled)):
            try:
                is_settled = unsettled[0].settle(wait=False)
            except BaseException as error:
                self._log.report("submit", error)
                is_settled = True
            if is_settled:
                unsettled.popleft()
            else:
                unsettled.rotate(-1)

    def _is_settled(self) -> bool:
        """Whether all is delivered except what waits for this thread."""
        return all(future.is_locked_here() for future in list(self.unsettled))

    @contextlib.contextmanager
    def waiting(self) -> Iterator[bool]:
        """
        Record that this thread waits for us.  False: it would wait forever.

        That is so if it runs callbacks and we wait for it, directly or indirectly.  It
        records this before it checks: of all threads in a ring, the last one sees it.
        """
        waiter = _running.get(get_ident())
        if waiter is None:
            yield True
            return
        before, waiter.waits_for = waiter.waits_for, self
        seen: list[Dispatcher] = []
        at: Dispatcher | None = self
        while at is not None and at is not waiter and at not in seen:
            seen.append(at)
            at = at.waits_for
        try:
            yield at is not waiter
        finally:
            waiter.waits_for = before

    def drain(self, deadline: float) -> bool:
        """Wait until no call is in flight, or the deadline or the end comes."""
        while not self._is_idle() and not self.worker.has_ended():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self._idle.wait(self._is_idle, min(left, SLICE_MS / 1000))
            self._keep_up()
        return self._is_idle()

    def _is_idle(self) -> bool:
        # In this order: a call leaves `calls` only while we deliver.
        return not self.calls and not self._delivering and self._is_settled()

    def await_end(self, seconds: float = -1) -> bool:
        """Wait until a closed client has delivered everything, or the time is up."""
        self.start()  # for an exception that ended our thread
        deadline = float("inf") if seconds < 0 else time.monotonic() + seconds
        while not self.worker.join(
            max(0.0, min(SLICE_MS / 1000, deadline - time.monotonic()))
        ):
            if self._has_all and self._is_settled():
                break
            if time.monotonic() >= deadline:
                return False
            self._keep_up()
        return True
