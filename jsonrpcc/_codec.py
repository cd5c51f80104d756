"""
Between Python objects and JSON text.

The known codecs decode a whole batch of results at once, as one array; the C core has
validated the text before.  msgspec is the default: integers of any size stay exact,
and it is the fastest codec with which they do.
"""

from __future__ import annotations

import importlib
import json
import math
import sys
from dataclasses import dataclass
from functools import partial
from operator import is_
from typing import TYPE_CHECKING, Any

import msgspec

from jsonrpcc._speedups import attempt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Literal, Protocol, TypeAlias

    class _EncodeDecode(Protocol):
        def encode(self, value: Any, /) -> str | bytes: ...
        def decode(self, text: bytes, /) -> Any: ...

    class _DumpsLoads(Protocol):
        def dumps(self, value: Any, /) -> str | bytes: ...
        def loads(self, text: bytes, /) -> Any: ...


def _one_by_one(data: Any) -> list[Any]:
    """
    Refuse: another codec's decoder may turn an array into anything.

    Raises:
        TypeError: Always.
    """
    raise TypeError(data)


@dataclass(frozen=True, slots=True)
class Codec:
    """
    How params become text and results become objects.

    A client takes one as its *codec*, and calls its functions directly: with functions
    written in C, no Python code runs.  Encoding happens on the caller's
    thread, decoding where outcomes are delivered, so both must be thread-safe.
    Texts to decode are valid JSON (RFC 8259) in UTF-8.

    Attributes:
        encode: Turns an object into UTF-8 JSON text, which is bytes.
        decode: Turns a bytes or memoryview of UTF-8 JSON text into an object.
        decode_many: Turns the text of an array into the list of its elements, each
            as from decode; if it raises, they are decoded one by one, as they are
            without it.
        hides_nan: encode turns NaN and infinities into null instead of refusing
            them, so the client has to look for them.
        native: decode and decode_many run no Python code and keep the GIL; the
            garbage collector is paused meanwhile.
    """

    encode: Callable[[Any], bytes]
    decode: Callable[[Any], Any]
    decode_many: Callable[[Any], list[Any]] = _one_by_one
    hides_nan: bool = True
    native: bool = False


if TYPE_CHECKING:
    CodecArg: TypeAlias = (
        Codec
        | Literal["msgspec", "json", "orjson"]
        | _EncodeDecode
        | _DumpsLoads
        | None
    )


def _check(codec: Codec) -> Codec:
    """
    Return a Codec that was given.

    Raises:
        TypeError: A function of it is none.
    """
    for name in ("encode", "decode", "decode_many"):
        function = getattr(codec, name)
        if not callable(function):
            msg = f"codec: {name} must be callable, not {function!r}"
            raise TypeError(msg)
    return codec


def resolve(codec: CodecArg) -> Codec:
    """
    Return the codec for the option *codec*.

    Raises:
        TypeError: It is not a Codec nor one of the names, and has neither encode and
            decode nor dumps and loads; or a function of the Codec is none.
        ImportError: It is orjson, which is not installed.
    """
    if isinstance(codec, Codec):
        return _check(codec)
    if codec is None or codec == "msgspec" or codec is msgspec.json:
        decoder = msgspec.json.Decoder()
        encoder = msgspec.json.Encoder()
        return Codec(encoder.encode, decoder.decode, decoder.decode, native=True)
    if codec == "json" or codec is json:
        writer = json.JSONEncoder(allow_nan=False, separators=(",", ":"))

        def decode_copy(data: Any) -> Any:
            return json.loads(
                bytes(data), parse_float=_finite_float, parse_constant=_no_constant
            )

        return Codec(
            lambda value: writer.encode(value).encode(),
            decode_copy,
            decode_copy,
            hides_nan=False,
        )
    own: Any = codec
    if codec == "orjson":
        own = importlib.import_module("orjson")  # optional: not imported before
    orjson: Any = sys.modules.get("orjson")
    if orjson is not None and own is orjson:
        return Codec(orjson.dumps, orjson.loads, orjson.loads, native=True)
    encode = getattr(own, "encode", None) or getattr(own, "dumps", None)
    decode = getattr(own, "decode", None) or getattr(own, "loads", None)
    if not callable(encode) or not callable(decode) or isinstance(own, str | bytes):
        msg = (
            'codec must be "msgspec", "json", "orjson", a Codec, or an object with '
            f"encode and decode (or dumps and loads), not {codec!r}"
        )
        raise TypeError(msg)

    def encode_to_bytes(value: Any) -> bytes:
        text = encode(value)
        return text.encode() if isinstance(text, str) else bytes(text)

    def decode_bytes(data: Any) -> Any:
        return decode(bytes(data))

    return Codec(encode_to_bytes, decode_bytes, _one_by_one)


def _finite_float(text: str) -> float:
    """
    Return a number as a float.

    Raises:
        ValueError: No float is that large.
    """
    number = float(text)
    if math.isinf(number):
        msg = f"a number is out of range: {text[:32]}"
        raise ValueError(msg)
    return number


def _no_constant(text: str) -> Any:
    """
    Refuse what Python's decoder accepts but JSON does not have.

    Raises:
        ValueError: Always.
    """
    msg = f"{text} is not a JSON number"
    raise ValueError(msg)


def nan_fault(value: Any) -> str | None:
    """
    Say where *value* has a NaN or an infinity: JSON has neither (RFC 8259 §6).

    Only called when the encoded text contains null, which may stand for one.
    """
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, float):
            if not math.isfinite(item):
                place = _place_of(value, partial(is_, item)) or "params"
                return f"{place}: {item} is not a JSON number"
        elif isinstance(item, dict):
            pending.extend(item.values())
        elif isinstance(item, list | tuple | set | frozenset):
            pending.extend(item)
        elif item is not None and not isinstance(item, str | int):
            # Dataclasses and the like; other types are left to the codec.
            plain, _ = attempt(msgspec.to_builtins, item)
            if isinstance(plain, dict | list | float):
                pending.append(plain)
    return None


def encoding_fault(
    params: Any, encode: Callable[[Any], bytes], error: Exception
) -> Exception:
    """Return what to raise instead of the codec's *error*: it names the place."""
    if (fault := nesting_fault(params, error)) is not None:
        return ValueError(fault)
    if isinstance(error, RecursionError):
        return error

    def refused(item: Any) -> bool:
        if isinstance(item, dict | list | tuple):
            return False  # its items are checked separately
        _, fault = attempt(encode, [item])
        return isinstance(fault, TypeError | ValueError)

    msg = f"{_place_of(params, refused) or 'params'}: {error}"
    return TypeError(msg) if isinstance(error, TypeError) else ValueError(msg)


def _place_of(params: Any, wanted: Callable[[Any], bool]) -> str | None:
    """Return the place of an item in *params*, which do not contain themselves."""
    levels = [_items(params)]
    path: list[str] = []
    while levels:
        for step, item in levels[-1]:
            if wanted(item):
                return "params" + "".join([*path, step])
            if isinstance(item, dict | list | tuple):
                path.append(step)
                levels.append(_items(item))
                break
        else:
            levels.pop()
            if path:
                path.pop()
    return None


_DEEP = 200  # levels that every codec accepts
_SHOWN = 4  # steps of a place: it may have thousands


def nesting_fault(params: Any, error: Exception) -> str | None:
    """
    Say where params contain themselves, or are nested too deeply for any codec.

    *error* is what the codec raised.  None: that had another reason.
    """
    path: list[str] = []  # of the container being searched
    deepest, depth = path, 1  # the beginning of the longest path, and its levels
    levels = [(params, _items(params))]
    inside = {id(params)}
    seen: set[int] = set()  # containers known to be good, which need no search
    while levels:
        container, items = levels[-1]
        for step, item in items:
            if not isinstance(item, dict | list | tuple) or id(item) in seen:
                continue
            path.append(step)
            if id(item) in inside:
                dots = "..." if len(path) > _SHOWN else ""
                return f"params contain themselves, at {_place(path)}{dots}"
            levels.append((item, _items(item)))
            inside.add(id(item))
            depth = max(depth, len(levels))
            if depth == len(levels):
                deepest = path[:_SHOWN]
            break
        else:
            levels.pop()
            inside.discard(id(container))
            seen.add(id(container))
            if path:
                path.pop()
    if depth >= _DEEP and "recursion" in str(error).lower():
        return f"params are nested too deeply: {depth} levels, at {_place(deepest)}..."
    return None


def _items(container: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(container, dict):
        return ((f"[{key!r:.32}]", item) for key, item in container.items())
    return ((f"[{index}]", item) for index, item in enumerate(container))


def _place(path: list[str]) -> str:
    """Return the beginning of a place, in Python's notation."""
    return "params" + "".join(path[:_SHOWN])
