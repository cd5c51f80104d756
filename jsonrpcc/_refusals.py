"""Turns what the C core says of a call that it did not accept into an exception."""

from __future__ import annotations

from jsonrpcc._errors import ClientClosed, Fate, QueueFull, refused
from jsonrpcc._jsonrpcc import ffi, lib

# A child cannot know what happens to calls that its parent made.
_CLOSED: dict[int, tuple[str, Fate]] = {
    lib.JSONRPCC_ECLOSED: ("client closed", "not_sent"),
    lib.JSONRPCC_EFOREIGN: ("made by another process, before fork()", "unknown"),
}


def refusal(status: int, method: str, params: bytes | None, flags: int) -> Exception:
    """Return the exception for a call that was not accepted."""
    if status in _CLOSED:
        message, fate = _CLOSED[status]
        return ClientClosed(message, method=method, fate=fate)
    if status == lib.JSONRPCC_EFULL:
        return QueueFull(
            f"queue full: {method}: max_in_flight or max_queued_bytes is reached",
            method=method,
            fate="not_sent",
        )
    if status == lib.JSONRPCC_ETOOBIG:
        return ValueError(f"{method}: the request is larger than max_request")
    if status == lib.JSONRPCC_EDEADLK:
        return RuntimeError(ffi.string(lib.jsonrpcc_status_text(status)).decode())
    if status == lib.JSONRPCC_EINVAL:
        return _fault(method, params, flags)
    return refused(max(0, status - lib.JSONRPCC_SYSTEM))


def _fault(method: str, params: bytes | None, flags: int) -> ValueError:
    """Return what is wrong with the texts of a call, and where."""
    if params is not None:
        at = ffi.new("size_t *")
        rule = ffi.new("char **")
        lenient = flags & lib.JSONRPCC_LENIENT
        if not lib.jsonrpcc_params_check(params, len(params), lenient, at, rule):
            seen = params[at[0] : at[0] + 32].decode(errors="replace")
            what = ffi.string(rule[0]).decode()
            return ValueError(f"params: {what} at offset {at[0]}: {seen!r}")
    return ValueError(f"method must be a non-empty text in valid UTF-8, not {method!r}")
