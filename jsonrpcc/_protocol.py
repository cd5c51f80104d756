"""The methods of a server as a class says them: what `Client.typed` returns."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import NoneType
from typing import Any, Literal, TypeVar

from jsonrpcc._types import decoder_for

_F = TypeVar("_F", bound=Callable[..., Any])
_ATTRIBUTE = "__jsonrpcc_rpc__"
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL)
_NAMED = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)


@dataclass(frozen=True, slots=True)
class _Rpc:
    name: str | None = None
    by: Literal["position", "name"] | None = None
    notification: bool = False
    options: tuple[tuple[str, Any], ...] = ()


def rpc(
    name: str | None = None,
    *,
    by: Literal["position", "name"] | None = None,
    notification: bool = False,
    **options: Any,
) -> Callable[[_F], _F]:
    """
    Say more of a method in a class for `Client.typed`.

    *name* is what the server calls it.  *by* says whether its params are an array
    (``"position"``) or an object (``"name"``).  With *notification* it sends one, and
    returns None.  *options* are those of a call: timeout, idempotent, wait_for_ready,
    block.

    Raises:
        TypeError, ValueError: An argument is wrong.
    """
    given: Any = name  # which is a function, if somebody has left out the ()
    if given is not None and not isinstance(given, str):
        msg = f"the name of a method must be a str, not {name!r}; write @rpc()"
        raise TypeError(msg)
    if by not in {None, "position", "name"}:
        msg = f'by must be "position" or "name", not {by!r}'
        raise ValueError(msg)
    known = {"timeout", "wait_for_ready", "block"}
    known |= set() if notification else {"idempotent"}
    if unknown := options.keys() - known:
        msg = f"rpc() got an unknown option {min(unknown)!r}"
        raise TypeError(msg)
    said = _Rpc(name, by, notification, tuple(options.items()))

    def mark(function: _F) -> _F:
        setattr(function, _ATTRIBUTE, said)
        return function

    return mark


@dataclass(frozen=True, slots=True)
class _Method:
    """A method of a class: how a call of it becomes one of the server's."""

    where: str
    name: str
    signature: inspect.Signature
    by_name: bool
    result_type: Any
    said: _Rpc

    def params(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """
        Return the params of a call.

        What the caller leaves out is not sent, unless something behind it is.

        Raises:
            TypeError: The arguments are not those of the method.
        """
        try:
            bound = self.signature.bind(None, *args, **kwargs)
        except TypeError as error:
            msg = f"{self.where}: {error}"
            raise TypeError(msg) from None
        given = dict(bound.arguments)
        del given[next(iter(self.signature.parameters))]
        parameters = self.signature.parameters
        if self.by_name:
            for name in [*given]:
                if parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
                    given |= given.pop(name)
            return given or None
        if given:
            last = list(parameters).index(next(reversed(given)))
            bound.apply_defaults()
            names = list(parameters)[1 : last + 1]
            values: list[Any] = []
            for name in names:
                if parameters[name].kind is inspect.Parameter.VAR_POSITIONAL:
                    values += bound.arguments[name]
                else:
                    values.append(bound.arguments[name])
            return values or None
        return None


def proxy_for(client: Any, cls: Any, prefix: str, *, is_async: bool) -> Any:
    """
    Return an object with the methods of a class, which are the server's.

    Raises:
        TypeError: The class is none, or says what cannot be called.
    """
    if not isinstance(cls, type):
        msg = f"typed() takes a class, such as a Protocol, not {cls!r}"
        raise TypeError(msg)
    methods = dict(_functions(cls))
    if not methods:
        msg = f"{cls.__name__} has no methods"
        raise TypeError(msg)
    body: dict[str, Any] = {}
    for name, function in methods.items():
        method = _read(cls, name, function, prefix, is_async=is_async)
        body[name] = made = _bound(client, method)
        made.__name__, made.__doc__ = name, function.__doc__
        made.__qualname__ = f"{cls.__name__}.{name}"
    body["__doc__"] = cls.__doc__
    body["__repr__"] = lambda _: f"<{cls.__name__} of {client!r}>"
    return type(cls.__name__, (), body)()


def _functions(cls: type) -> Iterator[tuple[str, Any]]:
    seen: set[str] = set()
    for base in cls.__mro__:
        if base.__module__ in {"builtins", "typing", "abc"}:
            continue
        for name, value in vars(base).items():
            if not name.startswith("_") and name not in seen:
                seen.add(name)
                if not inspect.isfunction(value):
                    msg = f"{cls.__name__}.{name} is no method"
                    raise TypeError(msg)
                yield name, value


def _read(
    cls: type, name: str, function: Any, prefix: str, *, is_async: bool
) -> _Method:
    """
    Read a method of a class.

    Raises:
        TypeError: It is none that can be called so.
    """
    where = f"{cls.__name__}.{name}()"
    said: _Rpc = getattr(function, _ATTRIBUTE, _Rpc())
    if inspect.iscoroutinefunction(function) != is_async:
        wanted = "async def, for an AsyncClient" if is_async else "def, for a Client"
        msg = f"{where} must be {wanted}"
        raise TypeError(msg)
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except NameError as error:
        msg = f"{where}: {error}"
        raise TypeError(msg) from error
    result_type = hints.get("return", Any)
    try:
        decoder_for(result_type)
    except TypeError as error:
        msg = f"{where}: {error}"
        raise TypeError(msg) from error
    signature = inspect.signature(function)
    if not signature.parameters:
        msg = f"{where} has no self"
        raise TypeError(msg)
    return _Method(
        where,
        prefix + (said.name or name),
        signature,
        _is_by_name(where, signature, said),
        None if result_type is Any else result_type,
        said,
    )


def _is_by_name(where: str, signature: inspect.Signature, said: _Rpc) -> bool:
    """
    Whether the params are an object.

    Raises:
        TypeError: They would be both, and JSON-RPC 2.0 has either (§4.2).
    """
    _, *kinds = [each.kind for each in signature.parameters.values()]
    positional = any(kind in _POSITIONAL for kind in kinds)
    named = any(kind in _NAMED for kind in kinds)
    plain = inspect.Parameter.POSITIONAL_OR_KEYWORD in kinds
    if positional and (named or said.by == "name"):
        msg = f"{where}: params are positional or named, not both"
        raise TypeError(msg)
    if named and (said.by == "position" or (plain and said.by is None)):
        msg = f'{where}: params are positional or named, not both; @rpc(by="name")?'
        raise TypeError(msg)
    return named or said.by == "name"


def _bound(client: Any, method: _Method) -> Any:
    send = client.notification if method.said.notification else client.call
    options = dict(method.said.options)
    drops = method.result_type is NoneType or method.said.notification
    if not drops:
        options["result_type"] = method.result_type

    def prepare(args: Any, kwargs: Any) -> Any:
        return send(method.name, method.params(args, kwargs), **options)

    if inspect.iscoroutinefunction(send):

        async def awaited(_: Any, /, *args: Any, **kwargs: Any) -> Any:
            result = await prepare(args, kwargs)
            return None if drops else result

        made: Any = awaited
    else:

        def called(_: Any, /, *args: Any, **kwargs: Any) -> Any:
            result = prepare(args, kwargs)
            return None if drops else result

        made = called
    made.__signature__ = method.signature
    return made
