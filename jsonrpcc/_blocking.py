"""Blocking calls: what _fast leaves over, and what it asks for."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from jsonrpcc._errors import refused
from jsonrpcc._fast import Blocking
from jsonrpcc._jsonrpcc import ffi, lib
from jsonrpcc._options import remaining
from jsonrpcc._records import refusal
from jsonrpcc._session import SLICE_MS, pointer, view

if TYPE_CHECKING:
    from jsonrpcc._codec import Codec
    from jsonrpcc._params import Texts
    from jsonrpcc._records import Outcomes

OK: int = lib.JSONRPCC_OK
EPENDING: int = lib.JSONRPCC_EPENDING
EFULL: int = lib.JSONRPCC_EFULL


class Waiting:
    """Waits for calls of one client, which it does not know."""

    def __init__(
        self,
        handle: Any,
        outcomes: Outcomes,
        codec: Codec,
        texts: Texts,
        *,
        timeout: float,
    ) -> None:
        self._handle = handle
        self._outcomes = outcomes
        self._codec = codec
        self._texts = texts
        self._timeout = timeout

    def short_cut(self) -> Blocking:
        """Return what does the same as `call`, where the arguments are usual."""
        return Blocking(
            codec=self._codec,
            make=self._make,
            fail=self._error,
            otherwise=self.call,
            slice_ms=SLICE_MS,
        )

    def call(
        self,
        method: str,
        params: Any = None,
        *,
        timeout: float | None = None,
        idempotent: bool = False,
        wait_for_ready: bool = False,
    ) -> Any:
        """As `Client.call`."""
        name, text, ms, flags = self._texts.call(
            method,
            params,
            timeout,
            idempotent=idempotent,
            wait_for_ready=wait_for_ready,
        )
        address, sync = self._make()
        args = (name, len(name), *pointer(text))
        status = lib.jsonrpcc_sync_call(sync, *args, ms, flags, SLICE_MS)
        deadline = time.monotonic() + (ms / 1000 or self._timeout)
        while status == EFULL and (left := remaining(deadline)):
            lib.jsonrpcc_room(self._handle, min(left, SLICE_MS))
            # What was spent on waiting is gone from the call's time.
            left = remaining(deadline) or 1
            status = lib.jsonrpcc_sync_call(sync, *args, left, flags, SLICE_MS)
        # An exception from a signal handler lands between two slices: the sync
        # goes then, and with it the call.
        while status == EPENDING:
            status = lib.jsonrpcc_sync_wait(sync, SLICE_MS)
        outcome = lib.jsonrpcc_sync_outcome(sync)
        if not outcome:
            raise refusal(status, method, text, flags)
        if status != OK:
            raise self._error(address, method)
        try:
            return self._codec.decode(view(outcome.json, outcome.json_len))
        except MemoryError:
            raise
        except Exception as cause:
            raise self._outcomes.undecodable(method, cause, outcome) from cause

    def _make(self) -> tuple[int, Any]:
        """Return a new sync: its address, and what keeps it."""
        free = partial(lib.jsonrpcc_sync_free)
        vars(free)["client"] = self._handle  # which has to outlive it
        # By C alone: an exception from a signal handler never finds a sync that
        # nobody would free, and does not keep it from being freed.
        made = map(lib.jsonrpcc_sync_new, (self._handle,))
        (sync,) = map(ffi.gc, made, (free,))
        if sync == ffi.NULL:
            raise refused(ffi.errno)
        return int(ffi.cast("uintptr_t", sync)), sync

    def _error(self, address: int, method: str) -> Exception:
        """Return the exception of a call that has ended, but with no good result."""
        outcome = lib.jsonrpcc_sync_outcome(ffi.cast("jsonrpcc_sync *", address))
        if outcome.status != OK:
            return self._outcomes.error(outcome, method)
        try:
            self._codec.decode(view(outcome.json, outcome.json_len))
        except Exception as cause:
            return self._outcomes.undecoded(method, cause, outcome)
        return RuntimeError("the codec refused a result once and took it then")
