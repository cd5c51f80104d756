"""Blocking calls: what _speedups asks for."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from jsonrpcc._errors import refused
from jsonrpcc._jsonrpcc import ffi, lib
from jsonrpcc._refusals import refusal
from jsonrpcc._session import view
from jsonrpcc._speedups import Blocking, attempt
from jsonrpcc._submit import address

if TYPE_CHECKING:
    from jsonrpcc._session import Session
    from jsonrpcc._types import Decoder

OK: int = lib.JSONRPCC_OK


def blocking_for(session: Session) -> Blocking:
    """Return what makes the calls."""
    waiting = _Waiting(session)
    return Blocking(
        client=address(session.handle),
        handle=session.handle,
        codec=session.codec,
        make=waiting.make,
        fail=waiting.error,
        refuse=refusal,
        timeout_ms=session.timeout_ms,
        slow=None if session.slow is None else waiting.tell_slow,
        slow_us=0 if session.slow is None else session.slow.us,
    )


class _Waiting:
    """Creates the syncs that threads wait with, and the errors of failed calls."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def make(self) -> tuple[int, Any]:
        """Return a new sync: its address, and the object that keeps it."""
        handle = self._session.handle
        free = partial(lib.jsonrpcc_sync_free)
        vars(free)["client"] = handle  # which must outlive it
        # Pure C: an exception from a signal handler never leaves a sync without
        # an owner that frees it.
        made = map(lib.jsonrpcc_sync_new, (handle,))
        (sync,) = map(ffi.gc, made, (free,))
        if sync == ffi.NULL:
            raise refused(ffi.errno)
        return address(sync), sync

    def tell_slow(self, sync: int, method: str) -> None:
        """Log a call whose result was slow."""
        outcome = lib.jsonrpcc_sync_outcome(ffi.cast("jsonrpcc_sync *", sync))
        if self._session.slow is not None:
            self._session.slow.result(outcome, method)

    def error(self, sync: int, method: str, decoder: Decoder | None) -> Exception:
        """Return the exception for a call that ended without a good result."""
        outcome = lib.jsonrpcc_sync_outcome(ffi.cast("jsonrpcc_sync *", sync))
        if outcome.status != OK:
            return self._session.outcomes.error(outcome, method)
        text = view(outcome.json, outcome.json_len)
        if decoder is None:
            _, cause = attempt(self._session.codec.decode, text)
        else:
            _, cause = attempt(decoder.decode, bytes(text))
        if cause is not None:
            return self._session.outcomes.undecoded(method, cause, outcome)
        return RuntimeError("the codec refused a result and then accepted it")
