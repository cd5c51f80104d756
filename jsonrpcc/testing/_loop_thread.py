"""
The event loop of a `jsonrpcc.testing.Server`, and the thread that runs it.

Nothing here knows what runs on the loop.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
import warnings
from collections.abc import Callable
from typing import Any, Self, TypeVar

T = TypeVar("T")

logger = logging.getLogger("jsonrpcc.testing")

CALL_LIMIT = 10.0  # seconds that a control waits for a function that blocks the loop


class Home:
    """An event loop, and the thread that runs it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ident: int | None) -> None:
        self.loop: asyncio.AbstractEventLoop = loop
        self.ident: int | None = ident

    def here(self) -> bool:
        """Whether this is the loop's thread."""
        return threading.get_ident() == self.ident

    def call(self, function: Callable[..., T], *args: Any) -> T:
        """Call *function* on the loop's thread and wait for what it returns."""
        if self.here():
            return function(*args)
        future: concurrent.futures.Future[T] = concurrent.futures.Future()

        def run() -> None:
            try:
                future.set_result(function(*args))
            except BaseException as error:  # noqa: BLE001 - raised in the caller
                future.set_exception(error)

        self.loop.call_soon_threadsafe(run)
        return future.result(CALL_LIMIT)


class LoopThread(Home):
    """
    An event loop on its own thread, shared by several servers.

    A thousand servers with a thread each would be slow, and need four descriptors
    each.  Stop the servers first: ``with LoopThread() as thread, Server(methods,
    thread=thread) as server``.
    """

    def __init__(self) -> None:
        super().__init__(asyncio.new_event_loop(), None)
        self._thread = threading.Thread(
            target=self._run, name="jsonrpcc-testing", daemon=True
        )

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Start the thread; once."""
        self._thread.start()
        self.ident: int | None = self._thread.ident
        return self

    def stop(self, timeout: float = 2.0) -> None:
        """
        Stop the loop and wait for the thread to end.

        A function that blocks the loop cannot be stopped: after *timeout* seconds
        there is a ResourceWarning, and the thread ends when the function returns.
        """
        if not self._thread.is_alive():
            return
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(timeout)
        if self._thread.is_alive():
            warnings.warn(
                "a function still blocks the server's thread",
                ResourceWarning,
                stacklevel=3,
            )

    def _run(self) -> None:
        try:
            self._run_until_stopped()
            left = asyncio.all_tasks(self.loop)  # tasks that functions started
            for task in left:
                task.cancel()
            if left:
                self.loop.run_until_complete(asyncio.wait(left, timeout=0.5))
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        finally:
            self.loop.close()

    def _run_until_stopped(self) -> None:
        """Asyncio lets these two end the loop, and with it all who wait for it."""
        while True:
            try:
                self.loop.run_forever()
            except (SystemExit, KeyboardInterrupt):  # of a task, or a fault
                logger.exception("a function of the program raised, and we go on")
            else:
                return


def freeze(home: Home, thaw: threading.Event) -> None:
    """Let the loop do nothing at all until *thaw* is set, once this returns."""
    frozen = threading.Event()

    def wait() -> None:
        frozen.set()
        thaw.wait()

    home.loop.call_soon_threadsafe(wait)
    frozen.wait(CALL_LIMIT)
