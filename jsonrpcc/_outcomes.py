"""Turns the C core's records into Python's errors and events."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypedDict

import msgspec

from jsonrpcc._durations import ms_text
from jsonrpcc._errors import (
    Cancelled,
    ClientClosed,
    ConnectionLost,
    Fate,
    InvalidResponse,
    JsonRpcError,
    RemoteError,
    RequestTimeout,
    ServerFailure,
)
from jsonrpcc._jsonrpcc import ffi, lib
from jsonrpcc._records import EVENT_KINDS, Event, ServerInfo
from jsonrpcc._snapshots import (
    address_at,
    entry_by_id,
    is_of_tls,
    read_entries,
    read_servers,
    reason_text,
    wall_clock,
)
from jsonrpcc._speedups import attempt
from jsonrpcc._tls import Expiry, read_files, read_server_tls

if TYPE_CHECKING:
    from collections.abc import Callable

    from jsonrpcc._codec import Codec

_FATES: dict[int, Fate] = {
    lib.JSONRPCC_NOT_SENT: "not_sent",
    lib.JSONRPCC_UNKNOWN: "unknown",
    lib.JSONRPCC_ANSWERED: "answered",
}

_LOOK_AGAIN = 0.1  # seconds
_NAMED = 8  # servers that a message names


def _why_not(server: ServerInfo) -> str:
    seconds = time.time() - server.since
    ago = f"{seconds:.0f} s ago" if seconds >= 1 else "just now"
    why = f"{server.last_error} ({ago})" if server.last_error else ""
    return f"{server.address} {why or server.state}"


def _spent(outcome: Any) -> str:
    """Return how long an outcome took, and where more than a moment of that went."""
    socket_us = outcome.waited_us - outcome.room_us - outcome.server_us
    waits = [
        (ms_text(us), what)
        for us, what in (
            (outcome.room_us, "for room in the queue"),
            (outcome.server_us, "for a connection"),
            (socket_us, "for room in the socket"),
        )
        if us >= 1000  # noqa: PLR2004
    ]
    elapsed = ms_text(outcome.elapsed_us)
    text = f"{elapsed} ms"
    if waits:
        ms, what = waits[0]
        text += f", {'all' if ms == elapsed else ms} of them waiting {what}"
        text += "".join(f", {ms} {what}" for ms, what in waits[1:])
    return text


class Outcomes:
    """
    Turns the C core's records into errors and events, for one client.

    *on_failure* is told of each outcome that becomes an error, with its method and
    that error.
    """

    def __init__(
        self,
        client: Any,
        codec: Codec,
        on_failure: Callable[[Any, str, JsonRpcError], object] | None = None,
    ) -> None:
        self._client = client
        self._on_failure = on_failure
        self._codec = codec
        self._unreachable = (0.0, "")  # when it was built, and the text
        self._expiry = Expiry(client)

    def _address(self, index: int) -> str | None:
        return address_at(self._client, index)

    def unreachable(self) -> str:
        """
        Return each server with the reason why it cannot be reached.

        Thousands of calls may fail together: one text serves them all.
        """
        now = time.monotonic()
        if now - self._unreachable[0] > _LOOK_AGAIN:
            self._unreachable = (now, self._why_down())
        return self._unreachable[1]

    def _why_down(self) -> str:
        reasons = [
            f"{entry.text} {entry.last_error or 'no answer yet'}"
            for entry in read_entries(self._client)
            if not entry.servers
        ]
        reasons += map(_why_not, read_servers(self._client))
        text = ", ".join(reasons[:_NAMED])
        if len(reasons) > _NAMED:
            text += f", and {len(reasons) - _NAMED} more"
        return text

    def _reason_of(self, record: Any) -> str:
        why = ""
        if record.kind == lib.JSONRPCC_ALL_DOWN:
            return self._why_down()  # calls that fail a moment later know more
        if record.kind == lib.JSONRPCC_RESOLVED:
            return f"{record.added} added, {record.gone} gone"
        if record.kind == lib.JSONRPCC_LIST_CUT:
            return f"{record.gone} servers left out"
        if record.kind == lib.JSONRPCC_CERTIFICATES:
            files = read_files(self._client)
            why = files.why if files is not None and record.reason else ""
        elif record.kind == lib.JSONRPCC_LIST_REFUSED and record.entry:
            why = entry_by_id(self._client, record.entry)[1]
        elif is_of_tls(record.reason):
            why = read_server_tls(self._client, record.server)[1]
        return why or reason_text(record.reason, record.code)

    def event(self, record: Any) -> Event:
        """Return the event of a record."""
        server = self._address(record.server) or ""
        if record.entry:
            server = entry_by_id(self._client, record.entry)[0]
        return Event(
            kind=EVENT_KINDS[record.kind],
            server=server,
            reason=self._reason_of(record),
            time=wall_clock(record.time_us),
        )

    def expiring(self, index: int) -> str:
        """Return what to log of a server's certificate; -1: of the client's own."""
        return self._expiry.soon(index, self._address(index) or "own")

    def undecoded(
        self, method: str, cause: Exception, origin: Any
    ) -> InvalidResponse | MemoryError:
        """Return what to raise to a caller that waits for a result like this."""
        if isinstance(cause, MemoryError):
            return cause  # which says nothing about the response
        return self.undecodable(method, cause, origin)

    def undecodable(
        self, method: str, cause: BaseException, origin: Any
    ) -> InvalidResponse:
        """
        Return the error of a result that the codec refused, for on_error.

        *origin* is a jsonrpcc_origin, or an outcome, which has the same two.
        """
        error = InvalidResponse(
            f"invalid response: {method}: the result cannot be decoded: {cause}",
            method=method,
            server=self._address(origin.server),
            elapsed=origin.elapsed_us / 1e6,
            fate="answered",
        )
        error.__cause__ = cause
        return error

    def _decode_error(self, text: bytes) -> tuple[Any, Exception | None]:
        """Decode to plain types: the codec's may be for results only."""
        value, fault = attempt(msgspec.json.decode, text)
        if fault is not None:
            value, fault = attempt(self._codec.decode, text)
        return value, fault

    def error(self, outcome: Any, method: str) -> JsonRpcError:
        """Return the error of an outcome that is not OK."""
        error = self._error(outcome, method)
        if self._on_failure is not None:
            self._on_failure(outcome, method, error)
        return error

    def _error(self, outcome: Any, method: str) -> JsonRpcError:
        status = outcome.status
        server = self._address(outcome.server)
        fate = _FATES[outcome.fate]
        facts: _Facts = {
            "method": method,
            "server": server,
            "elapsed": outcome.elapsed_us / 1e6,
            "fate": fate,
            "waited": outcome.waited_us / 1e6,
            "answered": outcome.answered_us / 1e6 if fate == "answered" else None,
            "attempts": outcome.attempts,
        }
        text = (
            bytes(ffi.buffer(outcome.json, outcome.json_len))
            if outcome.json_len
            else b""
        )
        if status == lib.JSONRPCC_EREMOTE:
            value, cause = self._decode_error(text)
            if cause is not None:
                return self.undecodable(method, cause, outcome)
            return _remote_error(value, facts)
        cls, what = _ERRORS[status]
        servers = ""
        if status == lib.JSONRPCC_EINVALID:
            what = f"invalid response: {text.decode()}"
        elif status == lib.JSONRPCC_EFAILURE:
            servers = f": {self.unreachable()}"
        elif reason := reason_text(outcome.reason):
            what = f"{what}: {reason}"
        sent = " (not sent)" if fate == "not_sent" else ""
        where = f" at {server}" if server else ""
        return cls(
            f"{what}: {method}{where}, {_spent(outcome)}{sent}{servers}", **facts
        )


_ERRORS: dict[int, tuple[type[JsonRpcError], str]] = {
    lib.JSONRPCC_ETIMEDOUT: (RequestTimeout, "timeout"),
    lib.JSONRPCC_EFAILURE: (ServerFailure, "failure: no server can be reached"),
    lib.JSONRPCC_ECONNLOST: (ConnectionLost, "failure: connection lost"),
    lib.JSONRPCC_EINVALID: (InvalidResponse, "invalid response"),
    lib.JSONRPCC_ECANCELLED: (Cancelled, "cancelled"),
    lib.JSONRPCC_ECLOSED: (ClientClosed, "client closed"),
    lib.JSONRPCC_ENOMEM: (JsonRpcError, "out of memory"),
}


class _Facts(TypedDict):
    method: str
    server: str | None
    elapsed: float
    fate: Fate
    waited: float
    answered: float | None
    attempts: int


def _remote_error(value: Any, facts: _Facts) -> RemoteError:
    """Return the error for whatever a server sent as one: not all follow §5.1."""
    code: Any = None
    message: Any = ""
    data = value
    if isinstance(value, dict):
        code, message, data = (
            value.get("code"),
            value.get("message", ""),
            value.get("data"),
        )
    elif isinstance(value, str):
        message, data = value, None
    if not isinstance(message, str):
        message = str(message)
    return RemoteError(code, message, data, **facts)
