"""The client for asyncio, on any event loop that has add_reader."""

from __future__ import annotations

import functools
import warnings
from typing import TYPE_CHECKING, Self

from jsonrpcc._async_base import ANOTHER_LOOP, AsyncBase
from jsonrpcc._channel import LATER, SOON
from jsonrpcc._lazy import LazyModule
from jsonrpcc._speedups import SLICE_MS
from jsonrpcc._waits import AsyncioWaits

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
else:
    asyncio = LazyModule("asyncio")

_waits = functools.cache(AsyncioWaits)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    """Return None if the coroutine is driven by something other than a loop."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class AsyncClient(AsyncBase):
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

    @property
    def _waits(self) -> AsyncioWaits:
        return _waits()

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
                raise RuntimeError(ANOTHER_LOOP)
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
