"""Calls one method many times in an event loop; yields the results in order."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, Any, Self, cast

from jsonrpcc._channel import ROOM_CHECK
from jsonrpcc._errors import ClientClosed
from jsonrpcc._lazy import LazyModule

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable

    from jsonrpcc._speedups import Call, Prepared
    from jsonrpcc._waits import Future, Waits

    Started = tuple[Call, Future]
else:
    asyncio = LazyModule("asyncio")

_NO_MORE: Any = object()


class AsyncMap:
    """
    What `AsyncClient.map` returns: an asynchronous iterator of results.

    Calls are sent when the first result is requested, and again whenever half of the
    window has been returned.  A cancelled ``anext()`` loses no result: the next one
    returns it.  When the iterator is closed or dropped, its calls are cancelled.
    """

    def __init__(
        self,
        client: Callable[[], Any],
        read_call: Callable[[Any], tuple[Prepared, Exception | None]],
        params: Iterable[Any] | AsyncIterable[Any],
        *,
        waits: Waits,
        window: int,
        return_exceptions: bool,
    ) -> None:
        """*client* opens the client; *read_call* makes a call or a fault of params."""
        self._client = client
        self._waits = waits
        self._read_call = read_call
        self._is_async = hasattr(params, "__aiter__")
        self._params: Any = (
            aiter(cast("AsyncIterable[Any]", params))
            if self._is_async
            else iter(cast("Iterable[Any]", params))
        )
        self._window = window
        self._return_exceptions = return_exceptions
        self._outcomes: collections.deque[Started | Exception] = collections.deque()
        self._unsent: Prepared | None = None  # there was no room for it
        self._reading: Future | None = None  # a task that awaits the next params
        self._end: BaseException | None = None  # raised after all outcomes
        self._executing = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        """
        Return the next result, or raise its error.

        Raises:
            RuntimeError: Another task is using the iterator, or it belongs to another
                event loop.
        """
        if self._executing:
            msg = "map iterator already executing"
            raise RuntimeError(msg)
        self._executing = True
        try:
            return await self._next()
        finally:
            self._executing = False

    async def _next(self) -> Any:
        outcomes = self._outcomes
        while True:
            if len(outcomes) <= self._window // 2:
                self._fill()
            if not outcomes:
                await self._first()
                continue
            first = outcomes[0]
            if isinstance(first, Exception):
                break
            future = first[1]
            if future.done():
                break
            await self._wait(future)
        del outcomes[0]
        error = first if isinstance(first, Exception) else future.exception()
        if error is None:
            return future.result()
        if self._return_exceptions:
            return error
        self.close()
        raise error

    async def _first(self) -> None:
        """With nothing in flight, wait for params or room, or raise what ends it."""
        if self._unsent is not None:
            await self._waits.sleep(ROOM_CHECK)  # other calls take up all of it
        elif self._reading is not None:
            await self._waits.wait([self._reading])
        else:
            error, self._end = self._end, None
            raise StopAsyncIteration if error is None else error

    async def _wait(self, future: Future) -> None:
        """Wait for an outcome; send params that become available first."""
        both = [future] if self._reading is None else [future, self._reading]
        await self._waits.wait(both, first=True)
        if not future.done():
            self._fill()

    # ---- reading and sending --------------------------------------------------

    def _fill(self) -> None:
        """Read params and send calls until the window is full or there is no room."""
        if self._params is None and self._unsent is None:
            return
        try:
            futures = self._client()
        except ClientClosed as error:
            self._end_with(error)
            return
        while len(self._outcomes) < self._window:
            if self._unsent is None:
                params = self._read()
                if params is _NO_MORE:
                    return
                call, fault = self._read_call(params)
                if fault is not None:
                    self._refuse(fault)
                    continue
                self._unsent = call
            try:
                started = futures.start(self._unsent, None, 0)
            except ClientClosed as error:
                self._end_with(error)
                return
            except (TypeError, ValueError) as error:
                self._unsent = None
                self._refuse(error)
                continue
            if started is None:
                return
            self._unsent = None
            self._outcomes.append(started)

    def _read(self) -> Any:
        """Return the next params, or _NO_MORE if there are none now."""
        if self._params is None:
            return _NO_MORE
        try:
            if not self._is_async:
                return next(self._params)
            if self._reading is None:
                self._reading = self._waits.create_task(_anext(self._params))
            if not self._reading.done():
                return _NO_MORE
            reading, self._reading = self._reading, None
            params = reading.result()
        except StopIteration:
            params = _NO_MORE
        except (Exception, asyncio.CancelledError) as error:
            self._end_with(error)
            return _NO_MORE
        if params is _NO_MORE:
            self._params = None
        return params

    def _refuse(self, error: Exception) -> None:
        """Make *error* the outcome of a call that was not accepted."""
        self._outcomes.append(error)
        if not self._return_exceptions:
            self._params = None  # the error will be raised; nothing after it is sent

    def _end_with(self, error: BaseException) -> None:
        self._params = self._unsent = None
        self._end = error
        self._stop_reading()

    # ---- the end --------------------------------------------------------------

    def close(self) -> None:
        """Cancel the calls in flight; there are no more results."""
        self._params = self._unsent = self._end = None
        while self._outcomes:
            each = self._outcomes.popleft()
            if isinstance(each, tuple):
                call, future = each
                call.cancel()
                future.cancel()  # or it would log an error that nobody retrieves
        self._stop_reading()

    def _stop_reading(self) -> None:
        if self._reading is not None:
            reading, self._reading = self._reading, None
            _forget(reading)

    async def aclose(self) -> None:
        """Cancel the calls in flight; named as in asynchronous generators."""
        self.close()

    def __del__(self) -> None:
        if "_executing" in vars(self):  # the last one set by __init__()
            self.close()


async def _anext(params: AsyncIterator[Any]) -> Any:
    return await anext(params, _NO_MORE)


def _forget(reading: Future) -> None:
    """Cancel a task from any thread, even in a finalizer."""
    loop = reading.get_loop()
    if not loop.is_closed():
        loop.call_soon_threadsafe(reading.cancel)
