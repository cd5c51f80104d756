"""The client for asyncio, on any event loop that has add_reader."""

from __future__ import annotations

import asyncio
import inspect
import time
import warnings
import weakref
from functools import partial
from types import MethodType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, Unpack, cast, overload

from jsonrpcc._async_map import AsyncMap
from jsonrpcc._base import Base, pauses
from jsonrpcc._channel import LATER, SOON, Channel
from jsonrpcc._errors import ClientClosed
from jsonrpcc._jsonrpcc import lib
from jsonrpcc._params import call_options, check_window
from jsonrpcc._protocol import proxy_for
from jsonrpcc._proxy import Proxy
from jsonrpcc._records import Event, refusal
from jsonrpcc._speedups import SLICE_MS, Call, Futures, Pending
from jsonrpcc._speedups import AsyncClient as _Methods
from jsonrpcc._submit import address
from jsonrpcc._types import decoder_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable

    from jsonrpcc._options import OptionArgs
    from jsonrpcc._params import CallArgs, MapArgs, Params

_F = TypeVar("_F", bound="Callable[..., Any]")
_T = TypeVar("_T")


def _in_c(function: _F) -> _F:
    """Make a method that does in C what *function* does, for usual arguments."""
    method: Any = _Methods._method(function, MethodType)  # noqa: SLF001
    return cast("_F", method)


def _check_callback(name: str, function: Any) -> None:
    """
    Refuse what cannot be a callback.

    Raises:
        TypeError: It is no function, or one whose coroutine nobody would await.
    """
    if function is None:
        return
    if not callable(function):
        msg = f"{name} must be callable or None, not {function!r}"
        raise TypeError(msg)
    if inspect.iscoroutinefunction(function):
        msg = f"{name} must not be a coroutine function: await call() in a task instead"
        raise TypeError(msg)


_ANOTHER_LOOP = "this AsyncClient belongs to another event loop"


def _running_loop() -> asyncio.AbstractEventLoop | None:
    """Return None if the coroutine is driven by something other than a loop."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class AsyncClient(_Methods, Base):
    """
    A JSON-RPC 2.0 client for asyncio.

    Takes the arguments of `jsonrpcc.Client`; *on_event* runs in the event loop.  A
    client belongs to the loop in which it is first used, and to that loop's thread.

    Raises:
        TypeError, ValueError: An option or the servers string is wrong.
        OSError: No descriptors (EMFILE, ENFILE) or threads (EAGAIN) are left; the
            first use may raise it as well.
        RuntimeError: Later, if a call is made in another event loop.
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
        self._loop: Any = None
        self._futures: Any = None
        self._channel: Channel | None = None

    def _open(self, method: str = "") -> Any:
        """
        Return what calls go through in the running loop, which must be the first one.

        Raises:
            RuntimeError: It is another loop.
            ClientClosed: No more calls can be made.
        """
        loop = asyncio.get_running_loop()
        if self._loop is not None and self._loop is not loop:
            raise RuntimeError(_ANOTHER_LOOP)
        if self._closed:
            msg = "client closed"
            raise ClientClosed(msg, method=method, fate="not_sent")
        if self._loop is not None:
            return self._futures
        session = self._session
        channel = Channel(loop, session)
        # The loop knows what follows, which must therefore not know this object.
        end = weakref.WeakMethod(self._let_go)

        def on_end() -> None:
            let_go = end()
            if let_go is not None:
                let_go()

        futures = Futures(
            client=address(session.handle),
            queue=address(channel.queue),
            completions=address(channel.completions),
            keep=(channel.queue, channel.completions),
            handle=session.handle,
            codec=session.codec,
            refuse=refusal,
            rest=channel.deliver_rest,
            loop=loop,
            when_room=channel.when_room,
            get_running_loop=asyncio.get_running_loop,
            pending=Pending,
            call=Call,
        )
        self._futures = futures
        self._bind(futures)
        self._loop, self._channel = loop, channel
        try:
            channel.start(futures, on_end)
        except BaseException:
            self._let_go()
            self._loop = None
            raise
        return futures

    def _let_go(self) -> None:
        """Drop everything that has a descriptor."""
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

        Returns as soon as the call is queued; it waits only when the client's bounds
        are reached, and not with ``block=False``.  Cancelling that wait makes no call.
        The callbacks are functions, not coroutine functions.  Arguments and errors
        are those of `jsonrpcc.Client.request`.

        Raises:
            RuntimeError: The client belongs to another event loop.
        """
        self._open(method)
        _check_callback("on_result", on_result)
        _check_callback("on_error", on_error)
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

        It is sent when it is first awaited or its task starts; cancelling the task
        cancels the call.  Arguments and errors are those of `jsonrpcc.Client.call`.
        When the client's bounds are reached, it waits for room; with ``block=False``
        it raises `QueueFull` at once.

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

        It waits only when the client's bounds are reached, and not with
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
        turn, unless *return_exceptions* places errors among the results; an exception
        of the iterator of *params* is raised in its turn in either case.

        A cancelled ``anext()`` loses no result: another one goes on.  Calls in flight
        are cancelled when an error is raised, and when the iterator is dropped or
        its ``aclose()`` awaited.

        One task at a time may use the iterator.  It raises as `call` does, each error
        in its turn.

        Raises:
            TypeError, ValueError: An argument is wrong.
        """
        options = call_options(
            timeout, idempotent=idempotent, wait_for_ready=wait_for_ready
        )
        texts = self._session.texts
        texts.method(method)
        decoder_for(result_type)  # which refuses it here
        return AsyncMap(
            partial(self._open, method),
            partial(texts.read_call, method, options=options, result_type=result_type),
            params,
            window=check_window(window),
            return_exceptions=return_exceptions,
        )

    @property
    def proxy(self) -> Proxy:
        """``await client.proxy.math.add(1, 2)`` calls ``math.add``."""
        return Proxy(self.call, "")

    def typed(self, protocol: Callable[..., _T], *, prefix: str = "") -> _T:
        """
        Return an object with the methods of a class, which are those of the server.

        ``users = client.typed(Users)``, where *Users* is a `typing.Protocol` or another
        class whose methods have annotations and no use for their bodies: ``def
        get(self, id: int) -> User`` calls ``get`` with params ``[id]``, and the result
        is a `User`.  *prefix* is put before each name.  Params are an array; they are
        an object if they are keyword-only, or with ``@jsonrpcc.rpc(by="name")``.
        Its methods are ``async def``.

        Raises:
            TypeError: The class cannot be such an object; says which method.
        """
        return proxy_for(self, protocol, prefix, is_async=True)  # type: ignore[no-any-return]

    async def drain(
        self,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> bool:
        """
        Wait until every call has had its outcome, and its callback has run.

        Return False if *timeout* seconds were not enough.  None waits as long as it
        takes; the calls' own deadlines bound that.  Calls made meanwhile count.

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

        As `jsonrpcc.Client.wait_ready`.

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
            await asyncio.sleep(pause)
        return self._is_ready(all_servers=all)

    async def close(self) -> None:
        """
        Stop, and wait until every pending call has ended with `ClientClosed`.

        Notifications not sent yet get up to a second.  May be called again, even by
        several tasks at once.  If it is cancelled, the client still closes, and
        another close() waits for that.

        Raises:
            RuntimeError: The client belongs to another event loop that is not closed.
        """
        loop, channel = _running_loop(), self._channel
        if channel is not None and channel.is_alive():
            if channel.loop is not loop:
                raise RuntimeError(_ANOTHER_LOOP)
            self._closed = True
            await channel.closed()
            return
        self._closed = True
        pause = SOON
        while not self._session.close(0 if loop else SLICE_MS):
            if loop is not None:
                await asyncio.sleep(pause)
                pause = min(2 * pause, LATER)
        if channel is not None:
            channel.end()

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        # Not if __init__() failed; and a forked child leaves that to its parent.
        session = getattr(self, "_session", None)
        if self._closed or session is None or session.is_foreign():
            return
        if self._channel is not None:
            self._channel.forget()
        else:
            self._session.close(0)
        _warn(f"unclosed {self!r}", ResourceWarning, source=self)

    async def __aenter__(self) -> Self:
        self._open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
