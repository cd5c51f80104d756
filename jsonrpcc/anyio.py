"""The client for anyio, and so for trio; `pip install 'jsonrpcc[anyio]'`."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Self

import anyio
from anyio.abc import TaskGroup

from jsonrpcc._async_base import AsyncBase
from jsonrpcc._channel import LATER, SOON
from jsonrpcc._pump import Pump

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Client"]


class Client(AsyncBase):
    """
    A JSON-RPC 2.0 client for trio, and for asyncio by anyio.

    It is used by ``async with``, once, which opens the task group that it runs in.
    Otherwise it is as `jsonrpcc.AsyncClient`: the same methods and arguments, and
    *on_event* runs in the event loop.  A cancelled scope cancels the calls in it.

    Raises:
        TypeError, ValueError: An option or the servers string is wrong.
        OSError: No descriptors (EMFILE, ENFILE) or threads (EAGAIN) are left; ``async
            with`` may raise it as well.
        RuntimeError: Later, without ``async with``, or in another thread.
    """

    _pump: Pump | None = None
    _group: TaskGroup | None = None

    @property
    def _waits(self) -> Pump:
        if self._pump is None:
            raise RuntimeError("this client is used by `async with`")
        return self._pump

    async def close(self) -> None:
        """
        Stop, and wait until every pending call has ended with `ClientClosed`.

        Notifications not sent yet get up to a second; if it is cancelled, none.
        ``async with`` calls it; it may be called again.

        Raises:
            RuntimeError: The client belongs to another thread.
        """
        channel = self._channel
        if channel is not None:
            self._waits.running_loop()
            self._closed = True
            await channel.closed()
            return
        self._closed = True
        pause = SOON
        while not self._session.close(0):
            await anyio.sleep(pause)
            pause = min(2 * pause, LATER)

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        session = getattr(self, "_session", None)
        if self._closed or session is None or session.is_foreign():
            return
        session.close(0)
        _warn(f"unclosed {self!r}", ResourceWarning, source=self)

    async def __aenter__(self) -> Self:
        if self._group is not None:
            raise RuntimeError("a client can be entered once")
        group = anyio.create_task_group()
        await group.__aenter__()
        self._group, self._pump = group, Pump(group)
        try:
            self._open()
        except BaseException:
            self._pump.close()
            await group.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await self.close()
        finally:
            if self._channel is not None:  # close() was cancelled
                self._channel.end()
            if self._pump is not None and self._group is not None:
                self._pump.close()
                # It is not told of what the block raised, which it would wrap in an
                # ExceptionGroup.
                await self._group.__aexit__(None, None, None)
