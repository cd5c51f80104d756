"""The client for asyncio, on any event loop that has add_reader."""

from __future__ import annotations

import asyncio
import os
import time
from functools import partial
from types import MethodType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack, cast

from jsonrpcc._delivery import PAUSE, Rest
from jsonrpcc._errors import ClientClosed, JsonRpcError, refused
from jsonrpcc._fast import AsyncClient as _Methods
from jsonrpcc._fast import Futures, Method, Pending
from jsonrpcc._jsonrpcc import ffi, lib
from jsonrpcc._log import Log
from jsonrpcc._options import remaining
from jsonrpcc._proxy import Proxy
from jsonrpcc._records import Event, refusal
from jsonrpcc._session import Base, check_threads, tell_event
from jsonrpcc._submit import address

if TYPE_CHECKING:
    from collections.abc import Callable

    from jsonrpcc._session import OptionArgs

_F = TypeVar("_F", bound="Callable[..., Any]")
EFULL: int = lib.JSONRPCC_EFULL


def _in_c(function: _F) -> _F:
    """Make a method of *function* that does the same in C, for usual arguments."""
    method: Any = Method(function, MethodType, _Methods)
    return cast("_F", method)


_ROOM_CHECK = 0.02  # seconds between two looks for room


class AsyncClient(_Methods, Base):
    """
    A JSON-RPC 2.0 client for asyncio.

    Arguments as for `jsonrpcc.Client`; *on_event* runs in the event loop.  It
    belongs to the loop in which it is first used, and to that loop's thread.

    Raises:
        TypeError, ValueError: An option or the servers string is wrong.
        OSError: There are no descriptors (EMFILE, ENFILE) or threads (EAGAIN)
            left; the first use may raise it as well.
        RuntimeError: Later on, if it is used in another event loop.
    """

    def __init__(
        self,
        servers: str,
        *,
        codec: Any = None,
        on_event: Callable[[Event], object] | None = None,
        **options: Unpack[OptionArgs],
    ) -> None:
        super().__init__(servers, codec=codec, on_event=on_event, **options)
        self._on_event = on_event
        self._loop: Any = None
        self._queue: Any = None
        self._pid = 0
        self._log = Log()
        self._looks_at_log = False
        self._batch = ffi.new("jsonrpcc_batch *")
        self._futures: Any = None
        self._rest: Any = None
        self._fds: list[int] = []

    def _open(self) -> Any:
        """
        Return what calls are made by, in the loop that runs: the first one's.

        Raises:
            RuntimeError: It is another one.
        """
        loop = asyncio.get_running_loop()
        if self._loop is not None:
            if self._loop is not loop:
                msg = "this AsyncClient belongs to another event loop"
                raise RuntimeError(msg)
            return self._futures
        check_threads()
        flags = lib.JSONRPCC_QUEUE_FD | lib.JSONRPCC_QUEUE_EVENTS
        queue = lib.jsonrpcc_queue_new(self._handle, flags)
        if queue == ffi.NULL:
            raise refused(ffi.errno)
        handle = self._handle
        self._queue = ffi.gc(
            queue, lambda queue, _=handle: lib.jsonrpcc_queue_free(queue)
        )
        self._futures = Futures(
            client=address(handle),
            queue=address(queue),
            batch=address(self._batch),
            keep=(self._queue, self._batch),
            handle=handle,
            codec=self._codec,
            refuse=refusal,
            read=self._texts.awaited,
            rest=self._deliver_rest,
            loop=loop,
            when_room=self._when_room,
            get_running_loop=asyncio.get_running_loop,
            pending=Pending,
        )
        self._rest = Rest(
            self._batch,
            self._futures,
            self._codec,
            self._outcomes,
            undecoded=self._outcomes.undecoded,
            guarded=Exception,
            finish=self._finish,
            repeatable=True,
            tell=self._tell,
        )
        self._bind(self._futures)
        self._loop = loop
        self._pid = os.getpid()
        # The second one is for the client's sockets: this loop drives them while
        # it is awake, and no other thread has to be woken for a call.
        # It may not be known; the event thread drives them then.
        fds = (lib.jsonrpcc_queue_fd(queue), lib.jsonrpcc_queue_poll_fd(queue))
        self._fds = [fd for fd in fds if fd >= 0]
        for fd in self._fds:
            loop.add_reader(fd, self._futures.on_ready)
        self._futures.on_ready()
        return self._futures

    @_in_c
    async def call(
        self,
        method: str,
        params: Any = None,
        *,
        timeout: float | None = None,  # noqa: ASYNC109  (ours reaches the C core)
        idempotent: bool = False,
        wait_for_ready: bool = False,
    ) -> Any:
        """
        Call *method*; return the result or raise the error.

        It is sent when it is first awaited, or by the task that it is made; once it
        was sent, cancelling the task cancels the call.  Arguments and errors as for
        `jsonrpcc.Client.call`; when the client's bounds are reached it waits.

        Raises:
            RuntimeError: The client belongs to another event loop, see there.
        """
        call = self._open().call
        return await call(method, params, timeout, wait_for_ready, idempotent)

    async def notification(
        self,
        method: str,
        params: Any = None,
        *,
        timeout: float | None = None,  # noqa: ASYNC109
        wait_for_ready: bool = False,
    ) -> None:
        """
        Send a notification; returns as soon as it is queued.

        Waits only when the client's bounds are reached.  Arguments and errors as
        for `jsonrpcc.Client.notification`.
        """
        room = self._open().notification(method, params, timeout, wait_for_ready)
        if room is not None:
            await room

    async def _when_room(self, call: Any) -> Any:
        """
        Wait until there is room for a call, and then for its outcome.

        *call* is what `_fast.Futures` has made of its arguments.
        """
        again = self._futures.again
        method, text, ms, flags = call[:4] if type(call) is tuple else call.arguments
        deadline = time.monotonic() + (ms / 1000 or self._options.timeout)
        while left := remaining(deadline):
            self._futures.flush()
            await asyncio.sleep(min(left / 1000, _ROOM_CHECK))
            # What was spent on waiting is gone from the call's time.
            if again(call, remaining(deadline) or 1):
                return None if type(call) is tuple else await call.future
        raise refusal(EFULL, method, text, flags)

    def _deliver_rest(self) -> bool:
        """Deliver what is in the batch beside good results; whether all of it."""
        try:
            self._rest.deliver()
        except MemoryError:
            self._loop.call_later(PAUSE, self._futures.fetch)
            return False
        return True

    @staticmethod
    def _finish(
        entry: tuple[asyncio.Future[Any], str], result: Any, error: Exception | None
    ) -> None:
        future, _ = entry
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def _tell(self, event: Any) -> None:
        try:
            tell_event(self._log, self._outcomes, event, self._on_event)
        except Exception as error:
            # As with any callback of the loop's; what follows must not miss its
            # turn.
            message = f"on_event {self._on_event!r} failed"
            context = {"message": message, "exception": error}
            self._loop.call_exception_handler(context)
        self._look_at_log()

    def _look_at_log(self, *, again: bool = False) -> None:
        """Have the log tell what it keeps back, when it is time."""
        if again:
            self._looks_at_log = False
            self._log.flush()
        if self._log.wait_ms > 0 and not self._looks_at_log:
            self._looks_at_log = True
            look = partial(self._look_at_log, again=True)
            self._loop.call_later(self._log.wait_ms / 1000, look)

    @property
    def proxy(self) -> Proxy:
        """``await client.proxy.math.add(1, 2)`` calls ``math.add``."""
        return Proxy(self.call, "")

    async def close(self) -> None:
        """
        Stop, and wait until every pending call has ended with `ClientClosed`.

        Notifications not sent yet get up to a second.  May be repeated.
        """
        self._closed = True
        loop = asyncio.get_running_loop()
        # Before the client closes its descriptors, and others get their numbers.
        # A forked child shares the loop's epoll with its parent, who goes on.
        forked = self._pid != os.getpid()
        if self._loop is not None and not self._loop.is_closed() and not forked:
            for fd in self._fds:
                self._loop.remove_reader(fd)
        self._fds = []
        lib.jsonrpcc_client_close(self._handle, 0)
        while not await loop.run_in_executor(
            None, lib.jsonrpcc_client_close, self._handle, 1000
        ):
            pass
        self._log.flush(everything=True)
        if self._futures is None:
            return
        self._futures.fetch()
        for future, method in self._futures.take_all():
            if not future.done():
                error: JsonRpcError = ClientClosed("client closed", method=method)
                future.set_exception(error)

    async def __aenter__(self) -> Self:
        self._open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
