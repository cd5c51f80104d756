"""What C code needs: the core's functions, and Python code for unusual cases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jsonrpcc._jsonrpcc import ffi, lib
from jsonrpcc._refusals import refusal
from jsonrpcc._speedups import Call, Callbacks, bind, set_decoders
from jsonrpcc._types import known

if TYPE_CHECKING:
    from jsonrpcc._session import Session


def address(pointer: Any) -> int:
    """Return a pointer as _speedups expects it."""
    return int(ffi.cast("uintptr_t", pointer))


bind(address(lib.jrc_capi()))
set_decoders(known)


def callbacks_for(session: Session, queue: Any, report: Any) -> Callbacks:
    """Return the table of callbacks for a queue."""
    return Callbacks(
        client=address(session.handle),
        queue=address(queue),
        handle=session.handle,
        keep=queue,
        codec=session.codec,
        report=report,
        timeout_ms=session.timeout_ms,
        refuse=refusal,
        call=Call,
    )
