"""The futures of calls."""

from __future__ import annotations

import concurrent.futures
from typing import TYPE_CHECKING, Any

from jsonrpcc._dispatcher import settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from jsonrpcc._errors import JsonRpcError
    from jsonrpcc._speedups import Call


class Future(concurrent.futures.Future[Any]):
    """
    A future whose cancel() also cancels the call.

    It keeps the client until the outcome, which would be `ClientClosed` otherwise.
    """

    __slots__ = ("call", "client", "error", "result_")  # set without allocating

    _done_callbacks: list[Callable[[Any], object]]

    def __init__(self) -> None:
        super().__init__()
        self.call: Call | None = None
        self.client: Any = None
        self.result_: Any = None
        self.error: BaseException | None = None

    def cancel(self) -> bool:
        cancelled = super().cancel()
        if cancelled and self.call is not None:
            self.call.cancel()
        return cancelled

    def deliver(self, result: Any) -> None:
        self.client = None
        self.result_ = result
        settle(self)

    def fail(self, error: JsonRpcError) -> None:
        self.client = None
        # If there is no memory to decode a result, the response is not at fault.
        cause = error.__cause__
        self.error = cause if isinstance(cause, MemoryError) else error
        settle(self)

    def is_locked_here(self) -> bool:
        condition: Any = self._condition
        return bool(condition._is_owned())  # noqa: SLF001

    def settle(self, *, wait: bool) -> bool:
        if not self._condition.acquire(blocking=wait):
            return False
        try:
            if not self.set_running_or_notify_cancel():
                return True
            told, self._done_callbacks = self._done_callbacks, []  # while unlocked
            if self.error is None:
                self.set_result(self.result_)
            else:
                self.set_exception(self.error)
        finally:
            self._condition.release()
        self._done_callbacks = told
        self._invoke_callbacks()  # type: ignore[attr-defined]
        return True
