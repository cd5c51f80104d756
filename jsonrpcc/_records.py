"""Turns the C core's records into Python's errors, events and snapshots."""

from __future__ import annotations

import time
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Literal, TypedDict

import msgspec

from jsonrpcc._errors import (
    Cancelled,
    ClientClosed,
    ConnectionLost,
    Fate,
    InvalidResponse,
    JsonRpcError,
    QueueFull,
    RemoteError,
    RequestTimeout,
    ServerFailure,
    refused,
)
from jsonrpcc._jsonrpcc import ffi, lib
from jsonrpcc._speedups import attempt
from jsonrpcc._tls import Expiry, TlsInfo, read_files, read_server_tls

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jsonrpcc._codec import Codec

_FATES: dict[int, Fate] = {
    lib.JSONRPCC_NOT_SENT: "not_sent",
    lib.JSONRPCC_UNKNOWN: "unknown",
    lib.JSONRPCC_ANSWERED: "answered",
}

EventKind = Literal[
    "connected", "lost", "unreachable", "suspect", "trusted", "failed_over", "back",
    "rejected", "all_down", "available", "certificates",
    "added", "leaving", "gone", "list_refused",
    "resolved", "resolve_failed", "list_cut",
]  # fmt: skip

EVENT_KINDS: dict[int, EventKind] = {
    lib.JSONRPCC_CONNECTED: "connected",
    lib.JSONRPCC_LOST: "lost",
    lib.JSONRPCC_UNREACHABLE: "unreachable",
    lib.JSONRPCC_SUSPECT: "suspect",
    lib.JSONRPCC_TRUSTED: "trusted",
    lib.JSONRPCC_FAILED_OVER: "failed_over",
    lib.JSONRPCC_BACK: "back",
    lib.JSONRPCC_REJECTED: "rejected",
    lib.JSONRPCC_ALL_DOWN: "all_down",
    lib.JSONRPCC_AVAILABLE: "available",
    lib.JSONRPCC_CERTIFICATES: "certificates",
    lib.JSONRPCC_ADDED: "added",
    lib.JSONRPCC_LEAVING: "leaving",
    lib.JSONRPCC_GONE: "gone",
    lib.JSONRPCC_LIST_REFUSED: "list_refused",
    lib.JSONRPCC_RESOLVED: "resolved",
    lib.JSONRPCC_RESOLVE_FAILED: "resolve_failed",
    lib.JSONRPCC_LIST_CUT: "list_cut",
}

ServerState = Literal[
    "down", "connecting", "up", "suspect", "proving", "leaving", "gone", "closed"
]

IN_USE: frozenset[ServerState] = frozenset({"up", "proving"})
"""The states in which a server gets calls other than a suspect's trials."""

_STATES: dict[int, ServerState] = {
    lib.JSONRPCC_SERVER_DOWN: "down",
    lib.JSONRPCC_SERVER_CONNECTING: "connecting",
    lib.JSONRPCC_SERVER_UP: "up",
    lib.JSONRPCC_SERVER_SUSPECT: "suspect",
    lib.JSONRPCC_SERVER_PROVING: "proving",
    lib.JSONRPCC_SERVER_LEAVING: "leaving",
    lib.JSONRPCC_SERVER_GONE: "gone",
}


@dataclass(frozen=True, slots=True)
class Event:
    """
    A change that matters to operators.

    Attributes:
        kind: ``connected``, ``lost`` (an established connection ended),
            ``unreachable`` (the first failed attempt), ``suspect`` (timeouts in
            a row, out of rotation) and ``trusted`` (it answered again),
            ``failed_over`` (calls now go to a smaller priority) and ``back``,
            ``rejected`` (a server could not read a request and does not say
            which), ``all_down`` (no server can be reached, and calls fail) and
            ``available`` (one can, after that), ``certificates`` (the files of `Tls`
            have changed; new connections use them, or the reason says why not).
            When the list changes, ``added``, ``leaving`` (out of the list) and
            ``gone`` (its last call has ended); ``list_refused`` (too many servers
            came and went lately, so the list waits for a while).  For a name,
            ``resolved`` (other servers than before), ``resolve_failed`` (the first
            lookup of some that found nothing; the servers stay) and ``list_cut``
            (more servers than *max_servers*).
        server: ``host:port`` or ``unix:/path``; for failed_over and back, that of
            the new server; for resolved and resolve_failed, the name, such as
            ``dns:host:port``; empty for all_down, certificates, list_refused and
            list_cut.
        reason: The reason as text, or how many servers came and went; empty if
            there is none.  For all_down, each server with its own.
        time: When it happened, as by ``time.time()``.
    """

    kind: EventKind
    server: str
    reason: str
    time: float


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """
    What the client knows of one server; a snapshot.

    Attributes:
        host: As given, without the brackets of an IPv6 address; ``unix:/path`` or
            ``unix-abstract:name`` of a Unix socket; ``name/address`` for an address
            of ``dns:name:port``.
        port: As given; 0 of a Unix socket.
        priority: As given, or 1; larger priorities come first.
        weight: As given, or 1; its share of the calls among servers of its priority.
        state: ``down``, ``connecting``, ``up``, ``suspect`` (connected, but
            out of rotation) or ``proving`` (connected after a failure: it gets
            one call first, or all if no server is up), ``leaving`` (out of the
            list, with calls that may still be answered); ``closed`` if the client
            is closed.
        since: When it entered that state, as by ``time.time()``; for a closed
            client, when its connection ended.
        last_error: Why it was last lost, suspected or not reached; None if it
            never was.
        in_flight: Calls sent there and not answered.
        connects: Connections established.
        losses: Established connections that ended.
        attempts_failed: Attempts to connect that failed.
        sent: Calls sent whole, notifications included.
        responses: Responses that belonged to a call.
        timeouts: Calls that timed out after they were given to this server.
        bytes_sent: Bytes sent on all of its connections.
        bytes_received: Bytes received on all of its connections.
        tls: What the last handshake has shown; None without TLS, and before the first.
        entry: The name that it comes from, such as ``dns:host:port``; None for a
            server that is in the list itself.
        srv_priority: The priority of its SRV record: within one *priority*, smaller
            ones come first; 0 if there is no such record.
    """

    host: str
    port: int
    priority: int
    weight: int
    state: ServerState
    since: float
    last_error: str | None
    in_flight: int
    connects: int
    losses: int
    attempts_failed: int
    sent: int
    responses: int
    timeouts: int
    bytes_sent: int
    bytes_received: int
    tls: TlsInfo | None = None
    entry: str | None = None
    srv_priority: int = 0

    @property
    def address(self) -> str:
        """``host:port`` or ``unix:/path``, as in the servers string."""
        return address_of(self.host, self.port)


def address_of(host: str, port: int) -> str:
    """Return ``host:port``, with brackets where the host has colons; 0: no port."""
    if port == 0:
        return host
    name, slash, host = host.rpartition("/")
    if slash:
        return f"{name}/{address_of(host, port)}"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@dataclass(frozen=True, slots=True)
class Entry:
    """
    What the client knows of a name in its list of servers; a snapshot.

    Attributes:
        text: As given, such as ``dns:host:port``, without its priority.
        priority: As given, or 1.
        servers: How many servers it stands for now.
        ttl: Seconds that its SRV records hold; 0 if that is not known.
        asked: When it was last looked up, as by ``time.time()``; None: never.
        found: When a lookup last found servers; None: never.
        last_error: Why the last lookup found nothing; None if it did.
        lookups: How many lookups have ended.
        lookups_failed: How many of them got no answer, not even that there is
            nothing.
    """

    text: str
    priority: int
    servers: int
    ttl: int
    asked: float | None
    found: float | None
    last_error: str | None
    lookups: int
    lookups_failed: int


def wall_clock(monotonic_us: int) -> float:
    """Return a point of CLOCK_MONOTONIC as ``time.time()`` would have it."""
    return time.time() - (time.monotonic() - monotonic_us / 1e6)


def reason_text(reason: int) -> str:
    """Return what a reason of the C core means; empty for none."""
    if reason == lib.JSONRPCC_NO_REASON:
        return ""
    text = ffi.new("char[]", 160)
    lib.jsonrpcc_reason_text(reason, text, len(text))
    return str(ffi.string(text).decode(errors="replace"))


def _is_of_tls(reason: int) -> bool:
    return bool(reason <= lib.JSONRPCC_TLS)


def _entry_infos(client: Any) -> Iterator[Any]:
    info = ffi.new("jsonrpcc_entry_info *")
    index = 0
    while lib.jsonrpcc_entry_get(client, index, info, ffi.sizeof(info[0])):
        yield info
        index += 1


def _entry_text(client: Any, number: int) -> str:
    """Return the text of a name by its id; empty if it is not in the list any more."""
    for info in _entry_infos(client):
        if info.id == number:
            return str(ffi.string(info.text).decode())
    return ""


def read_entries(client: Any) -> list[Entry]:
    """Return a snapshot of all names in the list, in its order."""
    return [
        Entry(
            text=ffi.string(info.text).decode(),
            priority=info.priority,
            servers=info.servers,
            ttl=info.ttl_s,
            asked=wall_clock(info.asked_us) if info.asked_us else None,
            found=wall_clock(info.found_us) if info.found_us else None,
            last_error=reason_text(info.reason) or None,
            lookups=info.lookups,
            lookups_failed=info.lookups_failed,
        )
        for info in _entry_infos(client)
    ]


def read_servers(client: Any) -> list[ServerInfo]:
    """Return a snapshot of all servers in the order of the list; leaving ones last."""
    info = ffi.new("jsonrpcc_server_info *")
    names = {info.id: ffi.string(info.text).decode() for info in _entry_infos(client)}
    servers = []
    for index in range(lib.jsonrpcc_server_count(client)):
        if not lib.jsonrpcc_server_get(client, index, info, ffi.sizeof(info[0])):
            continue
        state = _STATES[info.state]
        if state != "gone":
            place = state == "leaving", info.position, index
            tls, why = read_server_tls(client, index)
            entry = names.get(info.entry)
            servers.append((place, _server_info(info, state, tls, why, entry)))
    return [server for _, server in sorted(servers, key=itemgetter(0))]


def _server_info(
    info: Any, state: ServerState, tls: TlsInfo | None, why: str, entry: str | None
) -> ServerInfo:
    return ServerInfo(
        host=ffi.string(info.host).decode(),
        port=info.port,
        priority=info.priority,
        weight=info.weight,
        state=state,
        since=wall_clock(info.since_us),
        last_error=(_is_of_tls(info.reason) and why)
        or reason_text(info.reason)
        or None,
        in_flight=info.in_flight,
        connects=info.connects,
        losses=info.losses,
        attempts_failed=info.attempts_failed,
        sent=info.sent,
        responses=info.responses,
        timeouts=info.timeouts,
        bytes_sent=info.bytes_sent,
        bytes_received=info.bytes_received,
        tls=tls,
        entry=entry,
        srv_priority=info.srv_priority,
    )


def _address_at(client: Any, index: int) -> str | None:
    """Return the address of a server by its index; of one that is gone, too."""
    info = ffi.new("jsonrpcc_server_info *")
    if index < 0 or not lib.jsonrpcc_server_get(
        client, index, info, ffi.sizeof(info[0])
    ):
        return None
    return address_of(ffi.string(info.host).decode(), info.port)


_LOOK_AGAIN = 0.1  # seconds
_NAMED = 8  # servers that a message names


def _why_not(server: ServerInfo) -> str:
    seconds = time.time() - server.since
    ago = f"{seconds:.0f} s ago" if seconds >= 1 else "just now"
    why = f"{server.last_error} ({ago})" if server.last_error else ""
    return f"{server.address} {why or server.state}"


def _ms(us: int) -> str:
    return f"{us / 1000:.0f}" if us >= 1000 else f"{us / 1000:.1f}"  # noqa: PLR2004


def _spent(outcome: Any) -> str:
    """Return how long an outcome took, and where more than a moment of that went."""
    socket_us = outcome.waited_us - outcome.room_us - outcome.server_us
    waits = [
        (_ms(us), what)
        for us, what in (
            (outcome.room_us, "for room in the queue"),
            (outcome.server_us, "for a connection"),
            (socket_us, "for room in the socket"),
        )
        if us >= 1000  # noqa: PLR2004
    ]
    elapsed = _ms(outcome.elapsed_us)
    text = f"{elapsed} ms"
    if waits:
        ms, what = waits[0]
        text += f", {'all' if ms == elapsed else ms} of them waiting {what}"
        text += "".join(f", {ms} {what}" for ms, what in waits[1:])
    return text


class Outcomes:
    """Turns the C core's records into errors and events, for one client."""

    def __init__(self, client: Any, codec: Codec) -> None:
        self._client = client
        self._codec = codec
        self._unreachable = (0.0, "")  # when it was built, and the text
        self._expiry = Expiry(client)

    def _address(self, index: int) -> str | None:
        return _address_at(self._client, index)

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
        elif _is_of_tls(record.reason):
            why = read_server_tls(self._client, record.server)[1]
        return why or reason_text(record.reason)

    def event(self, record: Any) -> Event:
        """Return the event of a record."""
        server = self._address(record.server) or ""
        if record.entry:
            server = _entry_text(self._client, record.entry)
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


# A child cannot know what happens to calls that its parent made.
_CLOSED: dict[int, tuple[str, Fate]] = {
    lib.JSONRPCC_ECLOSED: ("client closed", "not_sent"),
    lib.JSONRPCC_EFOREIGN: ("made by another process, before fork()", "unknown"),
}


def refusal(status: int, method: str, params: bytes | None, flags: int) -> Exception:
    """Return the exception for a call that was not accepted."""
    if status in _CLOSED:
        message, fate = _CLOSED[status]
        return ClientClosed(message, method=method, fate=fate)
    if status == lib.JSONRPCC_EFULL:
        return QueueFull(
            f"queue full: {method}: max_in_flight or max_queued_bytes is reached",
            method=method,
            fate="not_sent",
        )
    if status == lib.JSONRPCC_ETOOBIG:
        return ValueError(f"{method}: the request is larger than max_request")
    if status == lib.JSONRPCC_EDEADLK:
        return RuntimeError(ffi.string(lib.jsonrpcc_status_text(status)).decode())
    if status == lib.JSONRPCC_EINVAL:
        return _fault(method, params, flags)
    return refused(max(0, status - lib.JSONRPCC_SYSTEM))


def _fault(method: str, params: bytes | None, flags: int) -> ValueError:
    """Return what is wrong with the texts of a call, and where."""
    if params is not None:
        at = ffi.new("size_t *")
        rule = ffi.new("char **")
        lenient = flags & lib.JSONRPCC_LENIENT
        if not lib.jsonrpcc_params_check(params, len(params), lenient, at, rule):
            seen = params[at[0] : at[0] + 32].decode(errors="replace")
            what = ffi.string(rule[0]).decode()
            return ValueError(f"params: {what} at offset {at[0]}: {seen!r}")
    return ValueError(f"method must be a non-empty text in valid UTF-8, not {method!r}")
