"""What connections say first: checks what users pass, and hands it to the C core."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jsonrpcc._errors import refused
from jsonrpcc._jsonrpcc import ffi, lib

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeAlias

    from jsonrpcc._params import Params, Texts

    Hello: TypeAlias = Iterable[tuple[str, Params]]

ERRORS: dict[str | None, int] = {
    None: lib.JSONRPCC_HELLO_BY_NAME,
    "accept": lib.JSONRPCC_HELLO_ACCEPT,
    "refuse": lib.JSONRPCC_HELLO_REFUSE,
}
MOST = 8  # as the core has it; here for what is not even turned into texts
_PAIR = 2


class Calls:
    """
    Requests as the C core takes them.

    Attributes:
        calls: A jsonrpcc_call array.
        count: How many.
    """

    __slots__ = ("_kept", "calls", "count")

    def __init__(self, count: int) -> None:
        self.calls = ffi.new("jsonrpcc_call[]", max(1, count))
        self.count = count
        self._kept: list[Any] = []  # what the array points to

    def keep(self, text: bytes) -> Any:
        """Return a pointer to a text that lives as long as this."""
        self._kept.append(ffi.from_buffer("char[]", text))
        return self._kept[-1]


def _pairs(hello: Any) -> list[Any]:
    """
    Return what should be (method, params) pairs.

    Raises:
        TypeError, ValueError: It is no list of them, or there are too many.
    """
    if isinstance(hello, str | bytes | dict) or not hasattr(hello, "__iter__"):
        kind = type(hello).__name__
        msg = f"hello must be a list of (method, params) pairs, not {kind}"
        raise TypeError(msg)
    pairs = list(hello)
    if len(pairs) > MOST:
        msg = f"hello: {len(pairs)} requests, of at most {MOST}"
        raise ValueError(msg)
    return pairs


def _read(i: int, pair: Any, texts: Texts) -> tuple[bytes, bytes | None, int]:
    """
    Return the texts of a request, and its flags.

    What is wrong is told by places and types: its params may be secret.

    Raises:
        TypeError, ValueError: The text says which request it is, and where.
    """
    what = f"hello[{i}]"
    is_list = isinstance(pair, tuple | list)
    if not is_list or len(pair) != _PAIR:
        kind = f"{len(pair)} items" if is_list else type(pair).__name__
        msg = f"{what} must be a (method, params) pair, not {kind}"
        if isinstance(pair, str):
            msg += "; hello is a list of such pairs"
        raise ValueError(msg)
    if not isinstance(pair[0], str):
        kind = type(pair[0]).__name__
        msg = f"{what}: the method must be a str, not {kind}"
        raise TypeError(msg)
    fault: Exception | None
    try:
        method = pair[0].encode()
        params, flags, fault = texts.read_params(pair[1])
    except UnicodeEncodeError as error:
        msg = f"{what}: the method is not valid UTF-8 at offset {error.start}"
        raise ValueError(msg) from None
    if isinstance(fault, TypeError | ValueError):
        kind_of: type[Exception] = (
            TypeError if isinstance(fault, TypeError) else ValueError
        )
        msg = f"{what}: {fault}"
        # Neither the cause nor the context: they know the params.
        fault = kind_of(msg)
    if fault is not None:
        raise fault
    return method, params, flags


def to_c(hello: Any, texts: Texts) -> Calls:
    """
    Return a hello as the C core takes it.

    Raises:
        TypeError, ValueError: It is wrong; the text says where.
    """
    pairs = _pairs(hello)
    result = Calls(len(pairs))
    for i, pair in enumerate(pairs):
        method, params, flags = _read(i, pair, texts)
        call = result.calls[i]
        call.size = ffi.sizeof("jsonrpcc_call")
        call.method, call.method_len = result.keep(method), len(method)
        call.flags = flags
        if params is not None:
            call.params, call.params_len = result.keep(params), len(params)
    return result


def errors_to_c(errors: Any) -> int:
    """
    Return the option hello_errors as the C core has it.

    Raises:
        ValueError: It is something else than it may be.
    """
    if errors is not None and (not isinstance(errors, str) or errors not in ERRORS):
        msg = f"hello_errors must be 'accept', 'refuse' or None, not {errors!r}"
        raise ValueError(msg)
    return ERRORS[errors]


def set_hello(client: Any, hello: Any, texts: Texts) -> bool:
    """
    Make *hello* what the connections of a C client say first; whether that is open.

    Raises:
        TypeError, ValueError: It is wrong; the text says where.
        MemoryError: The system refused memory.
    """
    read = to_c(hello, texts)
    why = ffi.new("char[]", 256)
    status = lib.jsonrpcc_hello_set(client, read.calls, read.count, why, len(why))
    if status == lib.JSONRPCC_EINVAL:
        raise ValueError(ffi.string(why).decode())
    if status == lib.JSONRPCC_ENOMEM:
        raise refused(0)
    return bool(status == lib.JSONRPCC_OK)
