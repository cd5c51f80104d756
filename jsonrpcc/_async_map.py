"""Many calls of one method in an event loop: so many in flight, results in order."""

from __future__ import annotations

import asyncio
import collections
from typing import TYPE_CHECKING, Any, Self, cast

from jsonrpcc._channel import ROOM_CHECK
from jsonrpcc._errors import ClientClosed

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable

    from jsonrpcc._speedups import Call, Prepared

    Started = tuple[Call, asyncio.Future[Any]]

_NO_MORE: Any = object()


class AsyncMap:
    """
    What `AsyncClient.map` returns: an asynchronous iterator of results.

    Calls are sent when the first result is asked for, and when half of those in
    flight have been returned.  A cancelled ``anext()`` loses nothing; the next one
    goes on.  When the iterator is closed or dropped, its calls are cancelled.
    """

    def __init__(
        self,
        client: Callable[[], Any],
        read_call: Callable[[Any], tuple[Prepared, Exception | None]],
        params: Iterable[Any] | AsyncIterable[Any],
        *,
        window: int,
        return_exceptions: bool,
    ) -> None:
        """*client* opens the client; *read_call* makes a call of params, or a fault."""
        self._client = client
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
        self._unsent: Prepared | None = None  # it found no room
        self._reading: asyncio.Future[Any] | None = None  # of asynchronous params
        self._end: BaseException | None = None  # what is raised behind all outcomes
        self._executing = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        """
        Return the next result, or raise its error.

        Raises:
            RuntimeError: Another task is in here, or it is another event loop.
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
        """Nothing is in flight: wait for params, or for room; or raise the end."""
        if self._unsent is not None:
            await asyncio.sleep(ROOM_CHECK)  # others fill the client
        elif self._reading is not None:
            await asyncio.wait([self._reading])
        else:
            error, self._end = self._end, None
            raise StopAsyncIteration if error is None else error

    async def _wait(self, future: asyncio.Future[Any]) -> None:
        """Wait for an outcome, or for params that can be sent meanwhile."""
        both = [future] if self._reading is None else [future, self._reading]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not future.done():
            self._fill()

    # ---- reading and sending --------------------------------------------------

    def _fill(self) -> None:
        """Read and send until so many are in flight, or there is no room."""
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
        """Return the next params, or that none are there."""
        if self._params is None:
            return _NO_MORE
        try:
            if not self._is_async:
                return next(self._params)
            if self._reading is None:
                self._reading = asyncio.ensure_future(_anext(self._params))
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
        """One call was not accepted: that is its outcome."""
        self._outcomes.append(error)
        if not self._return_exceptions:
            self._params = None  # it will be raised; nothing behind it is sent

    def _end_with(self, error: BaseException) -> None:
        self._params = self._unsent = None
        self._end = error

    # ---- the end --------------------------------------------------------------

    def close(self) -> None:
        """Cancel what is in flight; nothing comes any more."""
        self._params = self._unsent = self._end = None
        while self._outcomes:
            each = self._outcomes.popleft()
            if isinstance(each, tuple):
                call, future = each
                call.cancel()
                future.cancel()  # it keeps quiet about an error that nobody fetches
        if self._reading is not None:
            reading, self._reading = self._reading, None
            _forget(reading)

    async def aclose(self) -> None:
        """Cancel what is in flight, as an asynchronous generator has it."""
        self.close()

    def __del__(self) -> None:
        if "_executing" in vars(self):  # it is the last that __init__() makes
            self.close()


async def _anext(params: AsyncIterator[Any]) -> Any:
    return await anext(params, _NO_MORE)


def _forget(reading: asyncio.Future[Any]) -> None:
    """Cancel a task from any thread, also inside of a finalizer."""
    loop = reading.get_loop()
    if not loop.is_closed():
        loop.call_soon_threadsafe(reading.cancel)
