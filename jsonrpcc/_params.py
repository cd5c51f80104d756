"""Turns what callers pass as method and params into texts for the C core."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import msgspec

from jsonrpcc._codec import encoding_fault, nan_fault
from jsonrpcc._durations import milliseconds
from jsonrpcc._jsonrpcc import lib
from jsonrpcc._speedups import attempt
from jsonrpcc._types import decoder_for

if TYPE_CHECKING:
    from typing import ClassVar, Protocol, TypeAlias, TypedDict

    from jsonrpcc._codec import Codec
    from jsonrpcc._speedups import Prepared

    class _Dataclass(Protocol):
        __dataclass_fields__: ClassVar[dict[str, Any]]

    class _Attrs(Protocol):
        __attrs_attrs__: ClassVar[Any]

    class _Model(Protocol):
        def model_dump_json(self, *, by_alias: bool) -> str: ...

    Params: TypeAlias = (
        Mapping[str, Any]
        | Sequence[Any]
        | msgspec.Struct
        | _Dataclass
        | _Attrs
        | _Model
        | str
        | bytes
        | None
    )

    class CallArgs(TypedDict, total=False):
        """The options of a call."""

        timeout: float | None
        idempotent: bool
        wait_for_ready: bool
        block: bool

    class MapArgs(TypedDict, total=False):
        """The options of the calls of map()."""

        timeout: float | None
        idempotent: bool
        wait_for_ready: bool
        window: int


LENIENT: int = lib.JSONRPCC_LENIENT
IDEMPOTENT: int = lib.JSONRPCC_IDEMPOTENT
WAIT_FOR_READY: int = lib.JSONRPCC_WAIT_FOR_READY
_FIELDS = ("__struct_fields__", "__dataclass_fields__", "__attrs_attrs__")
_CONTAINERS = (dict, list, tuple)
_MOST_METHODS = 1024  # remembered: a bound, whatever callers do


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


def check_callback(name: str, function: Any) -> None:
    """
    Refuse what cannot be a callback.

    Raises:
        TypeError: It is no function, or one whose coroutine nobody would await.
    """
    if function is None:
        return
    if not callable(function):
        msg = f"{name} must be callable or None, not {function!r}"
        raise TypeError(msg)
    if inspect.iscoroutinefunction(function):
        msg = f"{name} must not be a coroutine function: await call() in a task instead"
        raise TypeError(msg)


class MethodWith(str):
    """
    The name of a method, with further members for its requests.

    C code leaves it to Python code, as it does with every subclass of str.

    Attributes:
        members: The text of a JSON object.
    """

    __slots__ = ("members",)

    members: bytes

    @classmethod
    def members_of(cls, method: str, members: dict[str, str]) -> MethodWith:
        """Return *method* with these members."""
        result = cls(method)
        result.members = msgspec.json.encode(members)
        return result


def extra_members(method: str) -> bytes | None:
    """Return the further members for requests of this method, or None."""
    return method.members if type(method) is MethodWith else None


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

    def prepare(self, *args: Any, **options: Any) -> Prepared:
        """Return what `read_call` does, and raise what is wrong with params."""
        prepared, fault = self.read_call(*args, **options)
        return prepared if fault is None else _raise(fault)

    def read_call(
        self,
        method: Any,
        params: Any,
        options: CallOptions,
        *,
        block: Any = True,
        on_result: Any = None,
        on_error: Any = None,
        result_type: Any = None,
    ) -> tuple[Prepared, Exception | None]:
        """
        Turn a call's arguments into what _speedups submits.

        Returns what is wrong with params, or None, beside it; the rest is raised.
        """
        text, flags, fault = self.read_params(params)
        self.method(method)
        flags |= options.flags
        decoder = decoder_for(result_type)
        ms, wait = options.ms, bool(block)
        call = method, text, ms, flags, wait, on_result, on_error, decoder
        members = extra_members(method)
        if members is not None:
            return (str(method), *call[1:], members), fault
        return call, fault

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
        text, flags, fault = self.read_params(params)
        return (text, flags) if fault is None else _raise(fault)

    def read_params(self, params: Any) -> tuple[bytes | None, int, Exception | None]:
        """
        Return what `params` returns, and None; or what it raises, as the last.

        So what is raised here comes from outside, such as a signal handler.
        """
        if params is None:
            return None, 0, None
        if isinstance(params, _CONTAINERS):
            if isinstance(params, tuple):
                params = tuple(params)  # not every codec takes a NamedTuple
            text, fault = self._encoded(params)
            return text, 0, fault
        if isinstance(params, bytes):
            return params, LENIENT, None
        if isinstance(params, str):
            text, cause = attempt(str.encode, params)
            return text, LENIENT, None if cause is None else _utf8_fault(cause)
        plain, fault = attempt(_plain, params)
        if fault is not None or isinstance(plain, bytes):
            return plain, 0, fault
        return self.read_params(plain)

    def array(self, chunk: list[Any]) -> bytes | None:
        """Return the params of several calls as one array, or None: try each."""
        text, fault = self._encoded(chunk)
        return None if fault is not None else text

    def _encoded(self, params: Any) -> tuple[bytes | None, Exception | None]:
        text, cause = attempt(self._encode, params)
        if isinstance(cause, RecursionError | TypeError | ValueError):
            return None, _caused(encoding_fault(params, self._encode, cause), cause)
        if cause is None and self._hides_nan and b"null" in text:
            place = nan_fault(params)
            return (text, None) if place is None else (None, ValueError(place))
        return text, cause


def _raise(fault: Exception) -> NoReturn:
    try:
        raise fault
    finally:
        del fault  # which knows this frame


def _caused(fault: Exception, cause: Exception) -> Exception:
    """Return what to raise for what the codec raised."""
    if fault is not cause:
        fault.__cause__ = cause
    return fault


def _utf8_fault(cause: Exception) -> Exception:
    if not isinstance(cause, UnicodeEncodeError):
        return cause
    place = f"params: invalid UTF-8 at offset {cause.start}"
    return _caused(ValueError(place), cause)


def _plain(params: Any) -> Any:
    """
    Return params of other types as a dict or list, or as JSON text.

    Raises:
        TypeError: They are of no type that stands for an array or object.
        ValueError: What is in them contains itself.
    """
    kind = type(params)
    if isinstance(params, Mapping):
        return dict(params)
    if isinstance(params, Sequence) and not isinstance(params, bytearray | memoryview):
        return list(params)
    if hasattr(kind, "model_dump_json"):  # pydantic's
        return params.model_dump_json(by_alias=True).encode()
    if not isinstance(params, type) and any(hasattr(kind, name) for name in _FIELDS):
        return msgspec.to_builtins(params, str_keys=True)
    msg = (
        "params must be a dict, list, tuple, JSON text or None (or another Mapping or "
        f"Sequence, a Struct, dataclass or model), not {kind.__name__}"
    )
    raise TypeError(msg)
