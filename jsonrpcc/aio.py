"""The client for asyncio, on any event loop that has add_reader."""

from __future__ import annotations

import asyncio
import itertools
import os
from typing import TYPE_CHECKING, Any, Self, Unpack

from jsonrpcc._base import (
    IDEMPOTENT,
    WAIT_FOR_READY,
    Base,
    queue_request,
    tell_event,
)
from jsonrpcc._codec import check_finite
from jsonrpcc._errors import ClientClosed, JsonRpcError
from jsonrpcc._jsonrpcc import ffi, lib
from jsonrpcc._options import milliseconds
from jsonrpcc._outcome import Event, refusal
from jsonrpcc._proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Callable

    from jsonrpcc._base import OptionArgs

NOTIFICATION: int = lib.JSONRPCC_NOTIFICATION
CORKED: int = lib.JSONRPCC_CORKED
_flush = lib.jsonrpcc_flush
_GONE: tuple[None, str] = (None, "")  # a call that its caller gave up in between
_ROOM_CHECK = 0.02  # seconds between two looks for room


class AsyncClient(Base):
    """
    A JSON-RPC 2.0 client for asyncio.

    Arguments as for `jsonrpcc.Client`; *on_event* runs in the event loop.  It
    belongs to the loop in which it is first used, and to that loop's thread.
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
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queue: Any = None
        self._address = 0
        self._pid = 0
        self._batch = ffi.new("jsonrpcc_batch *")
        self._calls: dict[int, tuple[asyncio.Future[Any], str]] = {}
        self._next_token = itertools.count(1).__next__
        self._corked = False

    def _open(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.get_running_loop()
        if self._loop is not None:
            if self._loop is not loop:
                msg = "this AsyncClient belongs to another event loop"
                raise RuntimeError(msg)
            return loop
        flags = lib.JSONRPCC_QUEUE_FD | lib.JSONRPCC_QUEUE_EVENTS
        queue = lib.jsonrpcc_queue_new(self._handle, flags)
        if queue == ffi.NULL:
            msg = "out of memory or descriptors"
            raise MemoryError(msg)
        handle = self._handle
        self._queue = ffi.gc(
            queue, lambda queue, _=handle: lib.jsonrpcc_queue_free(queue)
        )
        self._address = int(ffi.cast("uintptr_t", queue))
        self._loop = loop
        self._pid = os.getpid()
        loop.add_reader(lib.jsonrpcc_queue_fd(self._queue), self._on_ready)
        self._on_ready()
        return loop

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

        Cancelling the task cancels the call.  Arguments and errors as for
        `jsonrpcc.Client.call`; when the client's bounds are reached it waits.
        """
        loop = self._loop if self._loop is not None else self._open()
        text: bytes | None
        kind = type(params)
        if kind is dict or kind is list:  # the way of nearly all, without a call
            text = encoded = self._dumps(params)
            # find(), as "in" raises and swallows a TypeError on its way.
            if encoded.find(b"null") >= 0 and self._hides_nan:
                check_finite(params)
            flags = 0
        else:
            text, flags = self._text(params)
        name = self._methods.get(method) or self._method(method)
        ms = 0 if timeout is None else milliseconds("timeout", timeout)
        if idempotent:
            flags |= IDEMPOTENT
        if wait_for_ready:
            flags |= WAIT_FOR_READY
        future = loop.create_future()
        token = self._next_token()
        self._calls[token] = (future, method)
        try:
            call_id = queue_request(
                self._address, token, name, text, ms, flags | CORKED
            )
            if call_id <= 0:
                args = (token, name, text, ms, flags)
                call_id = await self._again(method, call_id, args)
        except BaseException:
            self._calls.pop(token, None)
            raise
        if not self._corked:
            self._corked = True
            loop.call_soon(self._flush)
        try:
            return await future
        except asyncio.CancelledError:
            lib.jsonrpcc_cancel(self._handle, call_id)
            raise

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
        loop = self._loop if self._loop is not None else self._open()
        text, flags = self._text(params)
        name = self._methods.get(method) or self._method(method)
        ms = 0 if timeout is None else milliseconds("timeout", timeout)
        flags |= NOTIFICATION
        if wait_for_ready:
            flags |= WAIT_FOR_READY
        result = queue_request(self._address, 0, name, text, ms, flags | CORKED)
        if result <= 0:
            await self._again(method, result, (0, name, text, ms, flags))
        if not self._corked:
            self._corked = True
            loop.call_soon(self._flush)

    async def _again(self, method: str, result: int, args: tuple[Any, ...]) -> int:
        """
        Deal with a call that was not accepted: wait for room, or raise.

        Returns the call's id.
        """
        text, ms, flags = args[-3:]
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (ms / 1000 or self._options.timeout)
        while result == -lib.JSONRPCC_EFULL and loop.time() < deadline:
            self._flush()
            await asyncio.sleep(_ROOM_CHECK)
            result = queue_request(self._address, *args)
        if result > 0:
            return result
        raise refusal(-result, method, text, flags)

    def _flush(self) -> None:
        self._corked = False
        _flush(self._handle)

    def _on_ready(self) -> None:
        """Deliver all that is there; the empty fetch arms the descriptor again."""
        batch = self._batch
        while lib.jsonrpcc_queue_fetch(self._queue, batch):
            if batch.count:
                self._deliver(batch, batch.count)
            for i in range(batch.failure_count):
                failure = batch.failures[i]
                future, method = self._calls.pop(failure.token, _GONE)
                if future is not None and not future.done():
                    future.set_exception(self._outcomes.error(failure.outcome, method))
            for i in range(batch.event_count):
                tell_event(self._outcomes, batch.events[i], self._on_event)

    def _deliver(self, batch: Any, count: int) -> None:
        tokens = ffi.unpack(batch.tokens, count)
        pop = self._calls.pop
        try:
            text = ffi.buffer(batch.results, batch.results_len)
            results = self._codec.decode_many(text)
        except Exception:
            results = [self._decode_one(batch, i) for i in range(count)]
        for token, result in zip(tokens, results, strict=True):
            future, method = pop(token, _GONE)
            if future is None or future.done():
                continue
            if isinstance(result, _Undecodable):
                future.set_exception(self._outcomes.undecodable(method, result.cause))
            else:
                future.set_result(result)

    def _decode_one(self, batch: Any, i: int) -> Any:
        start = batch.starts[i] - batch.starts[0] + 1
        try:
            return self._codec.decode(ffi.buffer(batch.results + start, batch.lens[i]))
        except Exception as cause:
            return _Undecodable(cause)

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
        lib.jsonrpcc_client_close(self._handle, 0)
        loop = asyncio.get_running_loop()
        while not await loop.run_in_executor(
            None, lib.jsonrpcc_client_close, self._handle, 1000
        ):
            pass
        if self._queue is None:
            return
        self._on_ready()
        for future, method in self._calls.values():
            if not future.done():
                error: JsonRpcError = ClientClosed("client closed", method=method)
                future.set_exception(error)
        self._calls.clear()
        # A forked child shares the loop's epoll with its parent, who goes on.
        forked = self._pid != os.getpid()
        if self._loop is not None and not self._loop.is_closed() and not forked:
            self._loop.remove_reader(lib.jsonrpcc_queue_fd(self._queue))

    async def __aenter__(self) -> Self:
        self._open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class _Undecodable:
    """Stands among the results for one that the codec refused."""

    __slots__ = ("cause",)

    def __init__(self, cause: BaseException) -> None:
        self.cause = cause
