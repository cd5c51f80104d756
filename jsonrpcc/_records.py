"""What users learn of a client as data: events, and snapshots of its servers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jsonrpcc._jsonrpcc import lib
from jsonrpcc._tls import TlsInfo

EventKind = Literal[
    "connected", "lost", "unreachable", "suspect", "trusted", "failed_over", "back",
    "rejected", "all_down", "available", "certificates",
    "added", "leaving", "gone", "list_refused",
    "resolved", "resolve_failed", "list_cut", "renewed",
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
    lib.JSONRPCC_RENEWED: "renewed",
}

ServerState = Literal[
    "down", "connecting", "up", "suspect", "proving", "leaving", "gone", "closed"
]

SERVER_STATES: dict[int, ServerState] = {
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
            ``gone`` (its last call has ended); ``list_refused`` (the old list
            stays, since a file is missing or wrong, or too many servers came and
            went lately, so the new one waits for a while).  For a name or a file,
            ``resolved`` (other servers than before), ``resolve_failed`` (the first
            lookup of some that found nothing; the servers stay) and ``list_cut``
            (more servers than *max_servers*).  ``renewed``: a new connection has
            taken the place of one, see *max_connection_age*.
        server: ``host:port`` or ``unix:/path``; for failed_over and back, that of
            the new server; for resolved and resolve_failed, the name, such as
            ``dns:host:port``; for list_refused, the file, if it is about one; empty
            for all_down, certificates and list_cut.
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
            of ``dns:name:port``; ``fd:7`` of a socket that was given.
        port: As given; 0 of a Unix socket, and of one that was given.
        priority: As given, or 1; larger priorities come first.
        weight: As given, or 1; its share of the calls among servers of its priority.
        state: ``down``, ``connecting``, ``up``, ``suspect`` (connected, but
            out of rotation) or ``proving`` (connected after a failure: it gets
            one call first, or all if no server is up; but none while it
            *awaits_hello*), ``leaving`` (out of the
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
        entry: The name or file that it comes from, such as ``dns:host:port``; None
            for a server that is in the list itself.
        srv_priority: The priority of its SRV record: within one *priority*, smaller
            ones come first; 0 if there is no such record.
        connections: How many connections it is to have, see `jsonrpcc.Options`.
        connected: How many are established now, those included that only wait for
            the last responses.
        renewals: Connections whose places new ones have taken.
        awaits_hello: Whether it is proving and its hello is not answered yet, see
            *hello* of `Options`.
        spare: Whether it is in the list and not in the subset, see *subset* of
            `Options`: it is ``down`` on purpose, or ``leaving`` if calls that were
            sent to it may still be answered.
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
    connections: int = 1
    connected: int = 0
    renewals: int = 0
    awaits_hello: bool = False
    spare: bool = False

    @property
    def is_used(self) -> bool:
        """Whether it gets calls, other than a suspect's trials."""
        return self.state == "up" or (self.state == "proving" and not self.awaits_hello)

    @property
    def is_wanted(self) -> bool:
        """Whether it is in the list, and not a spare."""
        return self.state not in ("leaving", "gone") and not self.spare

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
    What the client knows of a name or file in its list of servers; a snapshot.

    Attributes:
        text: As given, such as ``dns:host:port`` or ``file:/path``, without its
            priority.
        priority: As given, or 1.
        servers: How many servers it stands for now; of a file, its entries.
        ttl: Seconds that its SRV records hold; 0 if that is not known.
        asked: When it was last looked up, as by ``time.time()``; None: never.
        found: When a lookup last found servers; None: never.
        last_error: Why the last lookup found nothing, of a file with the line; None
            if it did.
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
