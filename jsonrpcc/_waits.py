"""What tasks wait for: by asyncio, or by whatever else drives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from jsonrpcc._lazy import LazyModule

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Collection, Coroutine
else:
    asyncio = LazyModule("asyncio")


class Future(Protocol):
    """A future, as far as it is waited for."""

    def done(self) -> bool:
        """Whether it has an outcome."""

    def result(self) -> Any:
        """Return its result, or raise its error."""

    def exception(self) -> BaseException | None:
        """Return its error, or None."""

    def cancel(self) -> Any:
        """End it without an outcome."""

    def get_loop(self) -> Any:
        """Return the event loop that it belongs to."""


class Waits(Protocol):
    """How the tasks of an event loop wait."""

    def running_loop(self) -> Any:
        """
        Return the event loop that runs here.

        Raises:
            RuntimeError: There is none, or not the right one.
        """

    def takes_any_future(self, loop: Any) -> bool:
        """Whether tasks may wait for other futures than those the loop makes."""

    async def sleep(self, seconds: float) -> None:
        """Wait for some time."""

    async def wait(
        self,
        futures: Collection[Any],
        seconds: float | None = None,
        *,
        first: bool = False,
    ) -> bool:
        """Wait for all, or for the first of them; False: not in that time."""

    async def settle(self) -> None:
        """Wait until what the loop is about to call has been called."""

    def create_task(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine in a task, and return the future of its outcome."""


class AsyncioWaits:
    """Those of asyncio."""

    def __init__(self) -> None:
        self.running_loop = asyncio.get_running_loop  # C code calls it

    def takes_any_future(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether the loop has no futures of its own, which it might need."""
        return type(loop.create_future()) is asyncio.Future

    async def sleep(self, seconds: float) -> None:
        """Wait for some time."""
        await asyncio.sleep(seconds)

    async def wait(
        self,
        futures: Collection[asyncio.Future[Any]],
        seconds: float | None = None,
        *,
        first: bool = False,
    ) -> bool:
        """Wait for all, or for the first of them; False: not in that time."""
        when = asyncio.FIRST_COMPLETED if first else asyncio.ALL_COMPLETED
        done, left = await asyncio.wait(futures, timeout=seconds, return_when=when)
        return bool(done) if first else not left

    async def settle(self) -> None:
        """Wait for one turn of the loop."""
        await asyncio.sleep(0)

    def create_task(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Future[Any]:
        """Run a coroutine in a task, and return the future of its outcome."""
        return asyncio.ensure_future(coroutine)
