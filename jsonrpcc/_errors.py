"""
What can go wrong with a call.

Every error of a call says which method, which server, where the time went, and
whether the request may have run: ``fate`` is ``"not_sent"`` (its last byte never
left, so no server has run it), ``"unknown"`` or ``"answered"``.
"""

from __future__ import annotations

import errno
import os
from typing import Any, Literal, Self

Fate = Literal["not_sent", "unknown", "answered"]


class JsonRpcError(Exception):
    """
    The base of all errors of calls.

    Attributes:
        method: The method that was called; None if there is none.
        server: ``host:port`` or ``unix:/path`` of the server involved; None if there
            was none.
        elapsed: Seconds from the call to this outcome, by the C core's monotonic
            clock; None if it is not known, as for a call that was not accepted.
        waited: How many of these seconds had passed when the request was sent: it
            waited for room in the queue, for a connection, and for room in the
            socket.  All of them if it was not sent; None if that is not known.
        answered: Seconds from then to the answer; None if there was none.
        attempts: How often the request was sent.
        fate: What may have happened to the request: ``"not_sent"`` (its last byte
            never left: no server has run it), ``"unknown"`` (a server may have
            run it, be running it, or run it later) or ``"answered"``.
    """

    def __init__(
        self,
        message: str = "",
        *,
        method: str | None = None,
        server: str | None = None,
        elapsed: float | None = None,
        fate: Fate | None = None,
        waited: float | None = None,
        answered: float | None = None,
        attempts: int | None = None,
    ) -> None:
        super().__init__(message)
        self.method = method
        self.server = server
        self.elapsed = elapsed
        self.fate = fate
        self.waited = waited
        self.answered = answered
        self.attempts = attempts

    def __repr__(self) -> str:
        details = "".join(
            f", {name}={value!r}"
            for name, value in vars(self).items()
            if value is not None
        )
        return f"{type(self).__name__}({str(self)!r}{details})"

    def __reduce__(self) -> tuple[Any, ...]:
        # The default would call the class with args only, and OSError's own
        # would not know our attributes: a worker could not send them home.
        return _rebuild, (type(self), self.args, self.__dict__.copy())

    @classmethod
    def _rebuilt(cls, args: tuple[Any, ...], state: dict[str, Any]) -> Self:
        error = cls.__new__(cls, *args)
        error.args = args
        error.__dict__.update(state)
        return error


def _rebuild(
    cls: type[JsonRpcError], args: tuple[Any, ...], state: dict[str, Any]
) -> JsonRpcError:
    return cls._rebuilt(args, state)


class RemoteError(JsonRpcError):
    """
    The server answered with an error.

    ``str(error)`` names method and server, as logs need it: ``get_user at
    10.0.0.7:9999: -32601 Method not found``; the server's own text is *message*.

    Attributes:
        code: The code as the server sent it: by JSON-RPC 2.0 §5.1 an integer, of
            which -32768 to -32000 are reserved; None if it sent none.
        message: The server's message; empty if it sent none.
        data: Whatever else the server sent (§5.1 does not define it); None if
            nothing.  If the error is neither an object nor a text, that value.  It
            is not in ``repr(error)``, as it may be secret.
    """

    def __init__(
        self,
        code: Any = None,
        message: str = "",
        data: Any = None,
        *,
        method: str | None = None,
        server: str | None = None,
        elapsed: float | None = None,
        fate: Fate | None = "answered",
        waited: float | None = None,
        answered: float | None = None,
        attempts: int | None = None,
    ) -> None:
        super().__init__(
            message,
            method=method,
            server=server,
            elapsed=elapsed,
            fate=fate,
            waited=waited,
            answered=answered,
            attempts=attempts,
        )
        self.code = code
        self.message = message
        self.data = data

    def __str__(self) -> str:
        said = "" if self.code is None else f"{self.code} "
        said += self.message or "error"
        if self.method is None:
            return said
        where = f" at {self.server}" if self.server else ""
        return f"{self.method}{where}: {said}"

    def __repr__(self) -> str:
        # Not data: it is the peer's, may be secret, and available on request.
        shown = (
            "code", "message", "method", "server", "elapsed", "fate", "waited",
            "answered", "attempts",
        )  # fmt: skip
        details = ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)
        return f"RemoteError({details})"


class RequestTimeout(JsonRpcError, TimeoutError):
    """
    No response arrived before the deadline; ``str(error)`` starts with ``timeout``.

    It says where the time went: ``timeout: get_user at 10.0.0.7:9999, 500 ms, 480 of
    them waiting for a connection``.
    *fate* is ``"not_sent"`` if the call was still waiting for a server or for room
    in a socket.
    """


class ServerFailure(JsonRpcError, ConnectionError):
    """
    No server could be reached; ``str(error)`` starts with ``failure``.

    A call fails at once when all servers are known to be down, not at its deadline;
    with ``wait_for_ready=True`` it waits instead.
    """


class ConnectionLost(ServerFailure):
    """
    The connection broke after the request was sent: it may have run.

    An idempotent call gets it only after it was sent three times.
    """


class InvalidResponse(JsonRpcError):
    """
    The response breaks JSON (RFC 8259), JSON-RPC 2.0 §5, or ``max_depth``.

    ``str(error)`` names the rule.  It is also the error of a result that the codec
    refuses; ``__cause__`` is then the exception of the codec.
    """


class Cancelled(JsonRpcError):
    """The call was cancelled; if it was sent, a server may have run it."""


class ClientClosed(JsonRpcError):
    """
    The client is closed, or was closed before the response arrived.

    *fate* is ``"not_sent"`` for a call made after that.
    """


class QueueFull(JsonRpcError):
    """
    ``max_in_flight`` or ``max_queued_bytes`` is reached; nothing was sent.

    Raised when the call is made, after it has waited for room until its timeout; at
    once with ``block=False`` and in callbacks.
    """


def refused(number: int) -> MemoryError | OSError:
    """
    Return the exception for an errno with which the system refused something.

    That is memory, a descriptor (``EMFILE``, ``ENFILE``) or a thread (``EAGAIN``).
    """
    if number in (0, errno.ENOMEM):
        return MemoryError("out of memory")
    return OSError(number, os.strerror(number))
