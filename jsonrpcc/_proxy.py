"""Methods as attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Proxy:
    """
    ``proxy.math.add(1, 2)`` is ``call("math.add", [1, 2])``.

    Keywords make named params; no arguments, no params.  With an AsyncClient,
    await the call.
    """

    __slots__ = ("_call", "_name")

    def __init__(self, call: Callable[..., Any], name: str) -> None:
        self._call = call
        self._name = name

    def __getattr__(self, name: str) -> Proxy:
        if name.startswith("__"):  # Python's, not a server's
            raise AttributeError(name)
        return Proxy(self._call, f"{self._name}.{name}" if self._name else name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """
        Call the method.

        Raises:
            TypeError: Both positional and named params: JSON-RPC has either.
        """
        if args and kwargs:
            msg = f"{self._name}(): params are positional or named, not both"
            raise TypeError(msg)
        return self._call(self._name, list(args) or kwargs or None)

    def __repr__(self) -> str:
        return f"<Proxy {self._name!r}>"
