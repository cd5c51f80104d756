"""Blocking calls: what _speedups asks for."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from jsonrpcc._errors import refused
from jsonrpcc._jsonrpcc import ffi, lib
from jsonrpcc._records import refusal
from jsonrpcc._session import view
from jsonrpcc._speedups import Blocking
from jsonrpcc._submit import address

if TYPE_CHECKING:
    from jsonrpcc._codec import Codec
    from jsonrpcc._params import Texts
    from jsonrpcc._records import Outcomes

OK: int = lib.JSONRPCC_OK


class Waiting:
    """Waits for calls of one client, which it does not know."""

    def __init__(self, handle: Any, outcomes: Outcomes, codec: Codec) -> None:
        self._handle = handle
        self._outcomes = outcomes
        self._codec = codec

    def blocking(self, texts: Texts, timeout_ms: int) -> Blocking:
        """Return what makes the calls."""
        return Blocking(
            client=address(self._handle),
            handle=self._handle,
            codec=self._codec,
            make=self._make,
            fail=self._error,
            read=texts.call,
            refuse=refusal,
            timeout_ms=timeout_ms,
        )

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
        return address(sync), sync

    def _error(self, sync: int, method: str) -> Exception:
        """Return the exception of a call that has ended, but with no good result."""
        outcome = lib.jsonrpcc_sync_outcome(ffi.cast("jsonrpcc_sync *", sync))
        if outcome.status != OK:
            return self._outcomes.error(outcome, method)
        try:
            self._codec.decode(view(outcome.json, outcome.json_len))
        except Exception as cause:
            return self._outcomes.undecoded(method, cause, outcome)
        return RuntimeError("the codec refused a result once and took it then")
