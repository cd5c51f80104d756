"""What AsyncClient and jsonrpcc.anyio.Client share: all but the event loop."""

from __future__ import annotations

import inspect
import time
import weakref
from functools import partial
from types import MethodType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Unpack, cast, overload

from jsonrpcc._async_map import AsyncMap
from jsonrpcc._base import Base, pauses
from jsonrpcc._channel import Channel
from jsonrpcc._errors import ClientClosed
from jsonrpcc._jsonrpcc import lib
from jsonrpcc._params import call_options, check_callback, check_window
from jsonrpcc._records import Event
from jsonrpcc._refusals import refusal
from jsonrpcc._speedups import AsyncClient as _Methods
from jsonrpcc._types import decoder_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable

    from jsonrpcc._codec import CodecArg
    from jsonrpcc._options import OptionArgs
    from jsonrpcc._params import CallArgs, MapArgs, Params
    from jsonrpcc._speedups import Call
    from jsonrpcc._waits import Waits

_F = TypeVar("_F", bound="Callable[..., Any]")
_T = TypeVar("_T")


def _in_c(function: _F) -> _F:
    """Make a method in C that leaves only unusual arguments to *function*."""
    method: Any = _Methods._method(function, MethodType)  # noqa: SLF001
    return cast("_F", method)


ANOTHER_LOOP = "this client belongs to another event loop"


class AsyncBase(_Methods, Base):
    """A client whose calls are awaited; subclasses say on which event loops."""

    _is_async = True

    @property
    def _waits(self) -> Waits:
        """How tasks wait in this kind of event loop."""
        raise NotImplementedError

    def __init__(
        self,
        servers: str,
        *,
        codec: CodecArg = None,
        on_event: Callable[[Event], object] | None = None,
        **options: Unpack[OptionArgs],
    ) -> None:
        """Create a client; the class describes the arguments."""
        super().__init__(servers, codec=codec, on_event=on_event, **options)
        self._loop: Any = None
        self._futures: Any = None
        self._channel: Channel | None = None

    def _open(self, method: str = "") -> Any:
        """
        Return what makes calls in the running loop; the first loop is the only one.

        Raises:
            RuntimeError: The client was used in another loop before.
            ClientClosed: The client is closed.
        """
        waits = self._waits
        loop = waits.running_loop()
        if self._loop is not None and self._loop is not loop:
            raise RuntimeError(ANOTHER_LOOP)
        if self._closed:
            msg = "client closed"
            raise ClientClosed(msg, method=method, fate="not_sent")
        if self._loop is not None:
            return self._futures
        session = self._session
        channel = Channel(loop, session, waits)
        # The loop refers to what follows, which must not keep this object alive.
        end = weakref.WeakMethod(self._let_go)

        def on_end() -> None:
            let_go = end()
            if let_go is not None:
                let_go()

        futures = channel.new_futures()
        try:
            channel.start(futures, on_end)
            channel.forget_with(self)
            self._loop, self._channel, self._futures = loop, channel, futures
            self._bind(futures)  # last: calls know nothing but that
        except BaseException:
            channel.stop()
            self._let_go()
            self._loop = None
            raise
        futures.look()  # whose listener may make calls
        return futures

    def _let_go(self) -> None:
        """Drop everything that holds a descriptor."""
        self._bind(None)
        self._futures = self._channel = None

    @overload
    async def request(
        self,
        method: str,
        params: Params = None,
        on_result: Callable[[_T], object] | None = None,
        on_error: Callable[[Any], object] | None = None,
        *,
        result_type: type[_T],
        **options: Unpack[CallArgs],
    ) -> Call: ...

    @overload
    async def request(
        self,
        method: str,
        params: Params = None,
        on_result: Callable[[Any], object] | None = None,
        on_error: Callable[[Any], object] | None = None,
        *,
        result_type: Any = None,
        **options: Unpack[CallArgs],
    ) -> Call: ...

    async def request(
        self,
        method: str,
        params: Params = None,
        on_result: Callable[[Any], object] | None = None,
        on_error: Callable[[Any], object] | None = None,
        *,
        result_type: Any = None,
        timeout: float | None = None,  # noqa: ASYNC109  (ours reaches the C core)
        idempotent: bool = False,
        wait_for_ready: bool = False,
        block: bool = True,
    ) -> Call:
        """
        Call *method*; exactly one of *on_result* and *on_error* runs in the loop.

        Returns as soon as the call is queued.  It waits only when the client's bounds
        are reached, and never with ``block=False``; if that wait is cancelled, no call
        is made.  The callbacks must not be coroutine functions.  Arguments and errors
        are those of `jsonrpcc.Client.request`.

        Raises:
            RuntimeError: The client belongs to another event loop.
        """
        self._open(method)
        check_callback("on_result", on_result)
        check_callback("on_error", on_error)
        options = call_options(
            timeout, idempotent=idempotent, wait_for_ready=wait_for_ready
        )
        prepared = self._session.texts.prepare(
            method,
            params,
            options,
            block=block,
            on_result=on_result,
            on_error=on_error,
            result_type=result_type,
        )
        channel = cast("Channel", self._channel)
        return await channel.request(prepared)

    @overload
    async def call(
        self,
        method: str,
        params: Params = None,
        *,
        result_type: type[_T],
        **options: Unpack[CallArgs],
    ) -> _T: ...

    @overload
    async def call(
        self,
        method: str,
        params: Params = None,
        *,
        result_type: Any = None,
        **options: Unpack[CallArgs],
    ) -> Any: ...

    @_in_c
    async def call(
        self,
        method: str,
        params: Params = None,
        *,
        result_type: Any = None,
        timeout: float | None = None,  # noqa: ASYNC109
        idempotent: bool = False,
        wait_for_ready: bool = False,
        block: bool = True,
    ) -> Any:
        """
        Call *method*; return the result or raise the error.

        The call is sent when it is first awaited or its task starts; cancelling the
        task cancels the call.  When the client's bounds are reached, it waits for
        room; with ``block=False`` it raises `QueueFull` at once.  Arguments and errors
        are those of `jsonrpcc.Client.call`.

        Raises:
            RuntimeError: The client belongs to another event loop.
        """
        call = self._open(method).call
        options = call_options(
            timeout, idempotent=idempotent, wait_for_ready=wait_for_ready
        )
        prepared = self._session.texts.prepare(
            method, params, options, block=block, result_type=result_type
        )
        return await call(prepared)

    async def notification(
        self,
        method: str,
        params: Params = None,
        *,
        timeout: float | None = None,  # noqa: ASYNC109
        wait_for_ready: bool = False,
        block: bool = True,
    ) -> None:
        """
        Send a notification; return as soon as it is queued.

        It waits only when the client's bounds are reached, and never with
        ``block=False``.  Arguments and errors are those of
        `jsonrpcc.Client.notification`.
        """
        notification = self._open(method).notification
        options = call_options(timeout, wait_for_ready=wait_for_ready)
        prepared = self._session.texts.prepare(method, params, options, block=block)
        room = notification(prepared)
        if room is not None:
            await room

    @overload
    def map(
        self,
        method: str,
        params: Iterable[Params] | AsyncIterable[Params],
        *,
        result_type: type[_T],
        return_exceptions: Literal[False] = False,
        **options: Unpack[MapArgs],
    ) -> AsyncIterator[_T]: ...

    @overload
    def map(
        self,
        method: str,
        params: Iterable[Params] | AsyncIterable[Params],
        *,
        result_type: type[_T],
        return_exceptions: bool,
        **options: Unpack[MapArgs],
    ) -> AsyncIterator[_T | Exception]: ...

    @overload
    def map(
        self,
        method: str,
        params: Iterable[Params] | AsyncIterable[Params],
        *,
        result_type: Any = None,
        return_exceptions: bool = False,
        **options: Unpack[MapArgs],
    ) -> AsyncIterator[Any]: ...

    def map(
        self,
        method: str,
        params: Iterable[Params] | AsyncIterable[Params],
        *,
        result_type: Any = None,
        timeout: float | None = None,
        idempotent: bool = False,
        wait_for_ready: bool = False,
        return_exceptions: bool = False,
        window: int = 1024,
    ) -> AsyncIterator[Any]:
        """
        Call *method* for each of *params*; iterate over the results, in order.

        *params* may be asynchronous.  At most *window* calls are in flight, and
        *params* is read no further ahead than that.  The first error is raised in its
        turn, unless *return_exceptions* puts errors among the results; an exception
        from the iterator of *params* is raised in its turn in either case.

        A cancelled ``anext()`` loses no result: the next one returns it.  Calls in
        flight are cancelled when an error is raised, when the iterator is dropped and
        when its ``aclose()`` is awaited.

        One task at a time may use the iterator.  It raises what `call` does, each
        error in its turn.

        Raises:
            TypeError, ValueError: An argument is wrong.
        """
        options = call_options(
            timeout, idempotent=idempotent, wait_for_ready=wait_for_ready
        )
        texts = self._session.texts
        texts.method(method)
        decoder_for(result_type)  # raises what is wrong with it now, not later
        return AsyncMap(
            partial(self._open, method),
            partial(texts.read_call, method, options=options, result_type=result_type),
            params,
            waits=self._waits,
            window=check_window(window),
            return_exceptions=return_exceptions,
        )

    async def drain(
        self,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> bool:
        """
        Wait until every call has its outcome and its callback has run.

        Return False if *timeout* seconds were not enough.  None waits as long as it
        takes, which the calls' own deadlines limit.  Calls made meanwhile count.

        Raises:
            RuntimeError: The client belongs to another event loop.
        """
        if self._channel is None or self._closed:
            return True
        self._open()
        deadline = None if timeout is None else time.monotonic() + timeout
        return await self._channel.drained(deadline)

    async def wait_ready(
        self,
        timeout: float | None = None,  # noqa: ASYNC109
        *,
        all: bool = False,  # noqa: A002
    ) -> bool:
        """
        Wait until a call would find a server; with *all*, until all servers are in use.

        Like `jsonrpcc.Client.wait_ready`.

        Raises:
            ClientClosed: The client is closed, or is closed meanwhile.
            RuntimeError: The client belongs to another event loop.
        """
        until_then = pauses(timeout)
        self._open()
        if self._channel is not None and self._channel.is_foreign():
            raise refusal(lib.JSONRPCC_EFOREIGN, "", None, 0)
        for pause in until_then:
            if self._is_ready(all_servers=all):
                return True
            await self._waits.sleep(pause)
        return self._is_ready(all_servers=all)


# Errors about arguments name the class that users know.
for _name, _function in vars(AsyncBase).items():
    _is_public = _name == "__init__" or not _name.startswith("_")
    if inspect.isfunction(_function) and _is_public:
        _function.__qualname__ = f"AsyncClient.{_name}"
