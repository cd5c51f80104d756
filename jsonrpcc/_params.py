"""Turns what callers pass as method and params into texts for the C core."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from jsonrpcc._codec import check_finite, encoding_fault
from jsonrpcc._jsonrpcc import lib
from jsonrpcc._options import milliseconds

if TYPE_CHECKING:
    from jsonrpcc._codec import Codec

Prepared = tuple[str, "bytes | None", int, int, bool, Any, Any]
"""
A call as _speedups submits it: method, params, milliseconds (0: the client's), flags,
whether its caller waits for room, on_result and on_error.
"""

LENIENT: int = lib.JSONRPCC_LENIENT
IDEMPOTENT: int = lib.JSONRPCC_IDEMPOTENT
WAIT_FOR_READY: int = lib.JSONRPCC_WAIT_FOR_READY
_CONTAINERS = (dict, list, tuple)
_MOST_METHODS = 1024  # remembered: a bound, whatever callers do


_BAD_PARAMS = (
    TypeError, ValueError, OverflowError, RecursionError, MemoryError,
    msgspec.MsgspecError,
)  # fmt: skip


def bad_params(*, native: bool) -> tuple[type[Exception], ...]:
    """
    Return the exceptions that mean bad params.

    A codec written in C raises nothing else, so any other exception comes from
    outside, such as a signal handler, and is no outcome.
    """
    return _BAD_PARAMS if native else (Exception,)


def check_window(window: Any) -> int:
    """
    Return the number of calls that a map() may have in flight.

    Raises:
        ValueError: It is no positive integer.
    """
    if not isinstance(window, int) or isinstance(window, bool) or window < 1:
        msg = f"window must be a positive integer, not {window!r}"
        raise ValueError(msg)
    return window


class CallOptions(NamedTuple):
    """The options of a call as the core expects them, in one value."""

    ms: int = 0  # the client's
    flags: int = 0


def call_options(
    timeout: Any, *, idempotent: bool = False, wait_for_ready: bool = False
) -> CallOptions:
    """
    Return the options of a call as one value.

    Raises:
        TypeError, ValueError: As `milliseconds`.
    """
    ms = 0 if timeout is None else milliseconds("timeout", timeout)
    flags = IDEMPOTENT if idempotent else 0
    flags |= WAIT_FOR_READY if wait_for_ready else 0
    return CallOptions(ms, flags)


class Texts:
    """
    Turns the arguments of calls into texts, for one client.

    Raises:
        TypeError, ValueError: As `params` and `method`.
    """

    def __init__(self, codec: Codec) -> None:
        self._encode = codec.encode
        self._hides_nan = codec.hides_nan
        self._methods: dict[str, bytes] = {}

    def prepare(
        self,
        method: Any,
        params: Any,
        options: CallOptions,
        *,
        block: Any = True,
        on_result: Any = None,
        on_error: Any = None,
    ) -> Prepared:
        """Turn a call's arguments into what _speedups submits."""
        text, flags = self.params(params)
        self.method(method)
        flags |= options.flags
        return method, text, options.ms, flags, bool(block), on_result, on_error

    def method(self, method: Any) -> bytes:
        """
        Return the method's bytes; remembered, as programs call few of them.

        Raises:
            TypeError, ValueError: It is not a str, or not valid UTF-8.
        """
        known = self._methods.get(method) if isinstance(method, str) else None
        if known is not None:
            return known
        if not isinstance(method, str):
            msg = f"method must be a str, not {method!r}"
            raise TypeError(msg)
        try:
            text: bytes = method.encode()
        except UnicodeEncodeError as error:
            msg = f"method must be a text in valid UTF-8, not {method!r}"
            raise ValueError(msg) from error
        if len(self._methods) < _MOST_METHODS:
            self._methods[method] = text
        return text

    def params(self, params: Any) -> tuple[bytes | None, int]:
        """
        Return params as JSON text (None for none), and the call's flags.

        Raises:
            TypeError: They are not of a type that stands for an array or object,
                or the codec does not know a type in them.
            ValueError: They contain a number that JSON does not have, or
                themselves, or are nested too deeply; the text says where.
        """
        if params is None:
            return None, 0
        if isinstance(params, _CONTAINERS):
            try:
                text = self._encode(params)
            except (RecursionError, TypeError, ValueError) as error:
                raise encoding_fault(params, self._encode, error) from error
            if self._hides_nan and b"null" in text:
                check_finite(params)
            return text, 0
        if isinstance(params, str):
            try:
                text = params.encode()
            except UnicodeEncodeError as error:
                msg = f"params: invalid UTF-8 at offset {error.start}"
                raise ValueError(msg) from error
        elif isinstance(params, bytes):
            text = params
        else:
            kind = type(params).__name__
            msg = f"params must be a dict, list, tuple, JSON text or None, not {kind}"
            raise TypeError(msg)
        return text, LENIENT
