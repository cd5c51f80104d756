"""What a connection has to say first, before `jsonrpcc.testing.Server` serves it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from jsonrpcc.testing._methods import Error, logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from jsonrpcc.testing._faults import Request

NOT_GREETED = -32002


def _checked(methods: Any) -> tuple[str, ...]:
    if (
        isinstance(methods, str)
        or not isinstance(methods, Iterable)
        or not all(isinstance(each, str) for each in methods)
    ):
        msg = f"hello must be a list of names of methods, not {methods!r}"
        raise TypeError(msg)
    return tuple(methods)


class Gate:
    """
    Lets requests of a connection through once it has said its hello.

    That is, once these methods were called on it in this order, each after the last
    one was answered, and with a result.

    Raises:
        TypeError: *methods* is no list of names.
    """

    def __init__(self, methods: Sequence[str]) -> None:
        self._methods = _checked(methods)
        self._said: dict[int, int] = {}  # how many of them, by connection

    def call(
        self, request: Request, call: Callable[[Request], bytes | Awaitable[Any]]
    ) -> tuple[bytes | Awaitable[Any], bool]:
        """Return the outcome of a request, and whether it came before the hello."""
        said = self._said.get(request.connection, 0)
        if said == len(self._methods):
            return call(request), False
        wanted = self._methods[said]
        if request.method != wanted or request.notification:
            number, method = request.connection, request.method
            logger.info("connection %d: %r came before the hello", number, method)
            error = Error(NOT_GREETED, f"call {wanted} first: hello is not complete")
            return error.outcome(), True
        outcome = call(request)
        if not isinstance(outcome, bytes):
            return self._pass_later(request, said, outcome), False
        if outcome.startswith(b'"result"'):
            self._pass(request, said)
        else:
            logger.info("connection %d: hello refused: %s", request.connection, wanted)
        return outcome, False

    async def _pass_later(
        self, request: Request, said: int, outcome: Awaitable[Any]
    ) -> Any:
        result = await outcome
        self._pass(request, said)
        return result

    def _pass(self, request: Request, said: int) -> None:
        self._said[request.connection] = said + 1
        total = len(self._methods)
        logger.info(
            "connection %d: hello %s answered, %d of %d",
            request.connection, request.method, said + 1, total,
        )  # fmt: skip

    def forget(self, connection: int) -> None:
        """Forget a connection that has ended."""
        self._said.pop(connection, None)
