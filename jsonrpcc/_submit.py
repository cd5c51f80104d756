"""
Submitting what _fast leaves over: unusual arguments, and calls not accepted.

The functions of `Submitter` take the `_fast.Callbacks` of the client first, as if
they were its methods: it runs them in place of its own.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from jsonrpcc._fast import Call, Callbacks, bind
from jsonrpcc._jsonrpcc import ffi, lib
from jsonrpcc._options import remaining
from jsonrpcc._records import refusal
from jsonrpcc._session import SLICE_MS

if TYPE_CHECKING:
    from jsonrpcc._codec import Codec
    from jsonrpcc._params import Texts
    from jsonrpcc._worker import Worker

NOTIFICATION: int = lib.JSONRPCC_NOTIFICATION
EFULL: int = lib.JSONRPCC_EFULL


def address(name: str) -> int:
    """Return where a function of the core lies, for _fast to call it."""
    return int(ffi.cast("uintptr_t", ffi.addressof(lib, f"jsonrpcc_{name}")))


bind(
    {
        name: address(name)
        for name in (
            "queue_request",
            "queue_fetch",
            "queue_poll",
            "cancel",
            "flush",
            "sync_call",
            "sync_wait",
            "sync_outcome",
        )
    }
)


class Submitter:
    """Submits to one queue; knows neither its client nor its callbacks."""

    def __init__(
        self, texts: Texts, queue: Any, timeout: float, worker: Worker
    ) -> None:
        self._texts = texts
        self._queue = queue
        self._timeout = timeout
        self._worker = worker  # whose waiting would be for itself: it runs callbacks

    def request(
        self,
        callbacks: Callbacks,
        method: str,
        params: Any = None,
        on_result: Any = None,
        on_error: Any = None,
        *,
        timeout: float | None = None,
        idempotent: bool = False,
        wait_for_ready: bool = False,
        block: bool = True,
    ) -> Call:
        """As `Client.request`."""
        name, text, ms, flags = self._texts.call(
            method,
            params,
            timeout,
            idempotent=idempotent,
            wait_for_ready=wait_for_ready,
        )
        # All memory is taken before the call is submitted; and the callbacks are
        # there, for the answer may come first.
        call = callbacks.call(method)
        token = callbacks.put(on_result, on_error, method)
        try:
            args = (call, token, name, text, ms)
            self._submit(callbacks, method, args, flags, block=block)
        except BaseException:
            callbacks.discard(token)
            raise
        return call

    def notification(
        self,
        callbacks: Callbacks,
        method: str,
        params: Any = None,
        *,
        timeout: float | None = None,
        wait_for_ready: bool = False,
        block: bool = True,
    ) -> None:
        """As `Client.notification`."""
        name, text, ms, flags = self._texts.call(
            method, params, timeout, wait_for_ready=wait_for_ready
        )
        args = (None, 0, name, text, ms)
        self._submit(callbacks, method, args, flags | NOTIFICATION, block=block)

    def _submit(
        self,
        callbacks: Callbacks,
        method: str,
        args: tuple[Call | None, int, bytes, bytes | None, int],
        flags: int,
        *,
        block: bool,
    ) -> None:
        """Submit, where there is no room wait for it, or raise."""
        call, token, name, text, ms = args
        if self._worker.is_current():
            # Waiting here would wait for ourselves; there is a reserve.
            flags |= lib.JSONRPCC_RESERVE
            block = False
        deadline = time.monotonic() + (ms / 1000 or self._timeout)
        status = callbacks.submit(*args, flags)
        while block and status == EFULL and (left := remaining(deadline)):
            lib.jsonrpcc_queue_room(self._queue, min(left, SLICE_MS))
            # What was spent on waiting is gone from the call's time.
            args = (call, token, name, text, remaining(deadline) or 1)
            status = callbacks.submit(*args, flags)
        if status != lib.JSONRPCC_OK:
            raise refusal(status, method, text, flags)


def callbacks_for(
    handle: Any, queue: Any, codec: Codec, submitter: Submitter, report: Any
) -> Callbacks:
    """Return the table of callbacks for a queue."""
    return Callbacks(
        client=int(ffi.cast("uintptr_t", handle)),
        queue=int(ffi.cast("uintptr_t", queue)),
        handle=handle,
        keep=queue,
        codec=codec,
        request=submitter.request,
        notification=submitter.notification,
        report=report,
        call=Call,
    )
