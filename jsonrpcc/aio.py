"""The client for asyncio, on any event loop that has add_reader."""

from __future__ import annotations

import asyncio
import warnings
import weakref
from types import MethodType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack, cast

from jsonrpcc._base import Base
from jsonrpcc._channel import LATER, SOON, Channel
from jsonrpcc._errors import ClientClosed
from jsonrpcc._params import call_options
from jsonrpcc._proxy import Proxy
from jsonrpcc._records import Event, refusal
from jsonrpcc._speedups import SLICE_MS, Futures, Pending
from jsonrpcc._speedups import AsyncClient as _Methods
from jsonrpcc._submit import address

if TYPE_CHECKING:
    from collections.abc import Callable

    from jsonrpcc._options import OptionArgs

_F = TypeVar("_F", bound="Callable[..., Any]")


def _in_c(function: _F) -> _F:
    """Make a method that does in C what *function* does, for usual arguments."""
    method: Any = _Methods._method(function, MethodType)  # noqa: SLF001
    return cast("_F", method)


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

        It is sent when it is first awaited or its task starts; cancelling the task
        cancels the call.  Arguments and errors are those of `jsonrpcc.Client.call`.
        When the client's bounds are reached, it waits for room.

        Raises:
            RuntimeError: The client belongs to another event loop.
        """
        call = self._open(method).call
        options = call_options(
            timeout, idempotent=idempotent, wait_for_ready=wait_for_ready
        )
        return await call(self._session.texts.prepare(method, params, options))

    async def notification(
        self,
        method: str,
        params: Any = None,
        *,
        timeout: float | None = None,  # noqa: ASYNC109
        wait_for_ready: bool = False,
    ) -> None:
        """
        Send a notification; return as soon as it is queued.

        It waits only when the client's bounds are reached.  Arguments and errors
        are those of `jsonrpcc.Client.notification`.
        """
        notification = self._open(method).notification
        options = call_options(timeout, wait_for_ready=wait_for_ready)
        room = notification(self._session.texts.prepare(method, params, options))
        if room is not None:
            await room

    @property
    def proxy(self) -> Proxy:
        """``await client.proxy.math.add(1, 2)`` calls ``math.add``."""
        return Proxy(self.call, "")

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
