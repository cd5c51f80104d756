"""What the C code is given: the core's functions, and Python for what is unusual."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jsonrpcc._jsonrpcc import ffi, lib
from jsonrpcc._records import refusal
from jsonrpcc._speedups import Call, Callbacks, bind

if TYPE_CHECKING:
    from jsonrpcc._codec import Codec
    from jsonrpcc._params import Texts


def address(pointer: Any) -> int:
    """Return a pointer as _speedups takes it."""
    return int(ffi.cast("uintptr_t", pointer))


bind(address(lib.jrc_capi()))


def callbacks_for(
    handle: Any, queue: Any, codec: Codec, texts: Texts, *, timeout_ms: int, report: Any
) -> Callbacks:
    """Return the table of callbacks for a queue."""
    return Callbacks(
        client=address(handle),
        queue=address(queue),
        handle=handle,
        keep=queue,
        codec=codec,
        report=report,
        read_request=texts.request,
        read_notification=texts.notification,
        timeout_ms=timeout_ms,
        refuse=refusal,
        call=Call,
    )
