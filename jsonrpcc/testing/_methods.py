"""
The JSON-RPC side of `jsonrpcc.testing.Server`: texts to requests, calls to outcomes.

An outcome is a response's result or error member as JSON text.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import logging
import math
import re
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, cast

import msgspec
from msgspec.json import decode, encode

from jsonrpcc.testing._faults import Request, response

logger = logging.getLogger("jsonrpcc.testing")
request_log = logging.getLogger("jsonrpcc.testing.requests")

SHOWN = 120  # characters of params and of an outcome in a log line

EARLY_ID = re.compile(rb'"id"\s*:\s*(\d+|"[^"\\]*")[\s,}]')


class Error(Exception):
    """
    Raised by a method to answer with this error.

    Without *data* the error has no such member; None is sent as null.
    """

    def __init__(self, code: int, message: str, data: Any = msgspec.UNSET) -> None:
        super().__init__(code, message, data)
        self.code = code
        self.message = message
        self.data = data

    def outcome(self) -> bytes:
        """Encode as a response's error member."""
        error = {"code": self.code, "message": self.message}
        if self.data is not msgspec.UNSET:
            error["data"] = self.data
        return b'"error":%b' % _encoded(error)


PARSE_ERROR = Error(-32700, "Parse error")
INVALID_REQUEST = Error(-32600, "Invalid Request")
METHOD_NOT_FOUND = Error(-32601, "Method not found")


def invalid_params(error: TypeError) -> Error:
    """Say why the params do not fit."""
    return Error(-32602, "Invalid params", str(error))


def internal_error(error: BaseException) -> Error:
    """Say what a method raised."""
    text = f"{type(error).__name__}: {error}"
    return Error(-32603, "Internal error", text.encode(errors="replace").decode())


def result_outcome(result: Any) -> bytes:
    """
    Encode a response's result member.

    Raises:
        TypeError, ValueError, RecursionError: It cannot be written as JSON.
    """
    return b'"result":%b' % _encoded(result)


def _encoded(value: Any) -> bytes:
    text = encode(value)
    if b"null" in text:  # as msgspec writes NaN and infinities, too
        json.dumps(msgspec.to_builtins(value), allow_nan=False)
    return text


def error_outcome(error: BaseException) -> bytes:
    """Encode a response's error member for what a method raised."""
    if isinstance(error, Error):
        try:
            return error.outcome()
        except Exception as unsendable:  # noqa: BLE001 - data may be anything
            error = unsendable
    logger.info("method failed", exc_info=error)
    return internal_error(error).outcome()


def check_methods(methods: Any) -> Mapping[str, Callable[..., Any]]:
    """
    Return functions by their names, none for None.

    Raises:
        TypeError: They are something else; says what and where.
    """
    if methods is None:
        return {}
    if not isinstance(methods, Mapping):
        msg = f"methods must be a dict of functions by their names, not {methods!r}"
        raise TypeError(msg)
    for name, function in methods.items():
        if not isinstance(name, str):
            msg = f"methods: a name must be a str, not {name!r}"
            raise TypeError(msg)
        if not callable(function):
            msg = f"methods[{name!r}] must be callable, not {function!r}"
            raise TypeError(msg)
    return methods


class Method:
    """A function with what is known of its parameters."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self._signature: inspect.Signature | None = None
        self._least, self._most = math.inf, 0.0
        # Some builtins have no signature.
        with contextlib.suppress(TypeError, ValueError):
            self._signature = inspect.signature(function)
            self._count(self._signature.parameters.values())

    def _count(self, parameters: Iterable[inspect.Parameter]) -> None:
        """Note how many positional params always fit: asking bind is slow."""
        self._least = 0
        for parameter in parameters:
            required = parameter.default is parameter.empty
            if parameter.kind is parameter.VAR_POSITIONAL:
                self._most = math.inf
            elif parameter.kind in {
                parameter.POSITIONAL_ONLY,
                parameter.POSITIONAL_OR_KEYWORD,
            }:
                self._most += 1
                self._least += required
            elif parameter.kind is parameter.KEYWORD_ONLY and required:
                self._least = math.inf

    def call(self, params: list[Any] | dict[str, Any] | None) -> Any:
        """
        Call the function; an async one's coroutine is returned.

        Raises:
            Error: The params do not fit; the function was not called.
        """
        args = params if isinstance(params, list) else []
        kwargs = params if isinstance(params, dict) else {}
        if kwargs or not self._least <= len(args) <= self._most:
            self._bind(*args, **kwargs)
        try:
            return self.function(*args, **kwargs)
        except TypeError as error:
            # Without a signature, this is the best guess: no frame below ours.
            traceback = error.__traceback__
            if self._signature is None and traceback and not traceback.tb_next:
                raise invalid_params(error) from error
            raise

    def outcome(
        self, params: list[Any] | dict[str, Any] | None
    ) -> bytes | Awaitable[Any]:
        """Call the function: the response's result or error, or what to wait for."""
        try:
            result = self.call(params)
            if hasattr(result, "__await__"):
                return cast("Awaitable[Any]", result)
            return result_outcome(result)
        except BaseException as error:
            if _is_for_the_program(error):
                raise
            return error_outcome(error)

    def _bind(self, /, *args: Any, **kwargs: Any) -> None:
        if self._signature is not None:
            try:
                self._signature.bind(*args, **kwargs)
            except TypeError as error:
                raise invalid_params(error) from error


def read_message(payload: bytes, connection: int) -> tuple[list[Request | bytes], bool]:
    """
    Parse a frame: its requests, and whether they are a batch.

    In place of an invalid request, there is the text of its error response.
    """
    try:
        message = decode(payload)
    except (ValueError, RecursionError):
        return [response(b"null", PARSE_ERROR.outcome())], False
    now = time.monotonic()
    if message and isinstance(message, list):
        return [_read_request(each, payload, connection, now) for each in message], True
    return [_read_request(message, payload, connection, now)], False


def _read_request(message: Any, raw: bytes, number: int, now: float) -> Request | bytes:
    """Parse one request; if it is invalid, return the error response's text."""
    if isinstance(message, dict):
        method = message.get("method")
        params = message.get("params")
        request_id = message.get("id")
        id_ok = type(request_id) in {int, str, float, type(None)}
        if (
            message.get("jsonrpc") == "2.0"
            and isinstance(method, str)
            and (isinstance(params, (list, dict)) or "params" not in message)
            and id_ok
        ):
            return Request(
                method, params, request_id, number, now, raw, "id" not in message
            )
        id_text = encode(request_id) if id_ok else b"null"
    else:
        id_text = b"null"
    return response(id_text, INVALID_REQUEST.outcome())


def early_id(payload: bytes, connection: int, *, whole: bool) -> bytes | None:
    """
    Return the id, as JSON text, of a request that has not arrived completely.

    None if it cannot be seen yet, or if there is none.  *whole* says that only
    the frame's comma is missing.
    """
    if whole:
        entry = read_message(payload, connection)[0][0]
        if not isinstance(entry, Request) or entry.notification:
            return None
        return encode(entry.id)
    match = EARLY_ID.search(payload)
    return match[1] if match else None


def log_answers(
    number: int, entries: list[Request | bytes], texts: list[bytes]
) -> None:
    """Log each request of a message with its outcome, if someone wants that."""
    if not request_log.isEnabledFor(logging.DEBUG):
        return
    now = time.monotonic()
    for entry, text in zip(entries, texts, strict=True):
        if isinstance(entry, bytes):
            what, ms = "invalid request", 0.0
        else:
            params = b"" if entry.params is None else b" " + encode(entry.params)
            kind = " (notification)" if entry.notification else ""
            what = f"{entry.method}{_shortened(params)}{kind}"
            ms = (now - entry.time) * 1000
        outcome = _shortened(text.removeprefix(b'"result":').removeprefix(b'"error":'))
        request_log.debug("connection %d: %s -> %s, %.1f ms", number, what, outcome, ms)


def _shortened(text: bytes) -> str:
    shown = text.decode(errors="replace")
    return shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}..."


async def outcome_of(outcome: bytes | Awaitable[Any]) -> bytes:
    """Wait for what a method returned."""
    if isinstance(outcome, bytes):
        return outcome
    try:
        return result_outcome(await outcome)
    except BaseException as error:
        task = asyncio.current_task()
        if _is_for_the_program(error) or (task is not None and task.cancelling()):
            raise
        return error_outcome(error)


def _is_for_the_program(error: BaseException) -> bool:
    """
    Return whether this is Ctrl-C, and not what a method chose to raise.

    Methods raise what is no `Exception`, too: `pytest.fail` does, and `sys.exit`.
    """
    is_main = threading.current_thread() is threading.main_thread()
    return isinstance(error, KeyboardInterrupt) and is_main


def close_unstarted(outcomes: list[bytes | Awaitable[Any]]) -> None:
    """Spare coroutines that were cancelled too soon the "never awaited"."""
    for outcome in outcomes:
        if (
            inspect.iscoroutine(outcome)
            and inspect.getcoroutinestate(outcome) == inspect.CORO_CREATED
        ):
            outcome.close()
