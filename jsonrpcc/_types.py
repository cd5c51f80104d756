"""
Results as objects of the types that callers name.

msgspec decodes them from the JSON text, whatever the client's codec is; pydantic does
where a type has pydantic's models in it.  Nothing here imports pydantic.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec

_MOST = 1024  # types remembered: a bound, whatever callers do

known: dict[Any, Decoder] = {}
"""The decoders of types that were named before; C code looks into it."""


@dataclass(frozen=True, slots=True)
class Decoder:
    """
    Decodes results of one type.

    Attributes:
        decode: Turns the bytes of a JSON text into an object of the type; raises a
            ValueError, whose text says what is wrong and where, ``$.roles[1]``.
        decode_many: Turns the text of an array into the list of its elements, each as
            from decode, or raises.
    """

    decode: Callable[[Any], Any]
    decode_many: Callable[[Any], list[Any]]


def decoder_for(result_type: Any) -> Decoder | None:
    """
    Return the decoder of a type; None for None, which names none.

    Raises:
        TypeError: Neither msgspec nor pydantic decodes such a type.
    """
    if result_type is None:
        return None
    try:
        found = known.get(result_type)
    except TypeError:  # it cannot be hashed
        return _make(result_type)
    if found is None:
        found = _make(result_type)
        if len(known) >= _MOST:
            known.clear()
        known[result_type] = found
    return found


_raws = msgspec.json.Decoder(list[msgspec.Raw])


def _one_by_one(decode: Callable[[Any], Any], data: Any) -> list[Any]:
    return [decode(bytes(raw)) for raw in _raws.decode(data)]


def _make(result_type: Any) -> Decoder:
    if isinstance(result_type, str):
        msg = f"result_type must be a type, not its name {result_type!r}"
        raise TypeError(msg)
    pydantic: Any = sys.modules.get("pydantic")
    if pydantic is not None and isinstance(result_type, pydantic.TypeAdapter):
        return _by_pydantic(result_type)
    if result_type is msgspec.Raw:
        return Decoder(msgspec.Raw, partial(_one_by_one, msgspec.Raw))
    try:
        one: Any = msgspec.json.Decoder(result_type)
        names = set(_names_in(result_type))
    except TypeError as error:
        return _by_pydantic(_adapter(pydantic, result_type, error))
    if "CustomType" in names:  # which msgspec would leave to a hook
        return _by_pydantic(_adapter(pydantic, result_type, None))
    if "RawType" in names:  # it keeps its text, which is to be that of one result
        return Decoder(one.decode, partial(_one_by_one, one.decode))
    return Decoder(one.decode, msgspec.json.Decoder(list[result_type]).decode)


def _names_in(result_type: Any) -> Iterator[str]:
    """Yield what msgspec calls the kinds of types in a type."""
    inspect = importlib.import_module("msgspec.inspect")  # most programs need it not
    pending: list[Any] = [inspect.type_info(result_type)]
    seen: set[int] = set()
    while pending:
        item = pending.pop()
        if isinstance(item, tuple):
            pending.extend(item)
        elif isinstance(item, inspect.Type | inspect.Field) and id(item) not in seen:
            seen.add(id(item))
            yield type(item).__name__
            pending.extend(getattr(item, name) for name in item.__struct_fields__)


def _adapter(pydantic: Any, result_type: Any, error: Exception | None) -> Any:
    """
    Return pydantic's for what msgspec does not decode, because of *error*.

    Raises:
        TypeError: Pydantic does not either, or is not imported.
    """
    if pydantic is not None:
        try:
            return pydantic.TypeAdapter(result_type)
        except (TypeError, pydantic.errors.PydanticUserError) as refused:
            error = error or refused
    why = (
        error or "it is none of msgspec's types, nor of pydantic's if that is imported"
    )
    msg = f"result_type {result_type!r} cannot be decoded: {why}"
    raise TypeError(msg) from error


def _by_pydantic(adapter: Any) -> Decoder:
    def decode(data: Any) -> Any:
        try:
            return adapter.validate_json(data)
        except ValueError as error:
            raise ValueError(_fault(error)) from error

    return Decoder(decode, partial(_one_by_one, decode))


def _fault(error: Any) -> str:
    """Return what pydantic found, in the words of msgspec; without the value."""
    faults = error.errors(include_url=False, include_input=False)
    path = "$" + "".join(
        f"[{step}]" if isinstance(step, int) else f".{step}"
        for step in faults[0]["loc"]
    )
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return f"{faults[0]['msg']} - at `{path}`{more}"
