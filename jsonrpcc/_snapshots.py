"""Reads what the C core knows of servers, of names in their list, and of reasons."""

from __future__ import annotations

import time
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from jsonrpcc._jsonrpcc import ffi, lib
from jsonrpcc._records import SERVER_STATES, Entry, ServerInfo, ServerState, address_of
from jsonrpcc._tls import TlsInfo, read_server_tls

if TYPE_CHECKING:
    from collections.abc import Iterator


def wall_clock(monotonic_us: int) -> float:
    """Return a point of CLOCK_MONOTONIC as ``time.time()`` would have it."""
    return time.time() - (time.monotonic() - monotonic_us / 1e6)


def reason_text(reason: int, code: int = 0) -> str:
    """Return what a reason of the C core means; empty for none."""
    if reason == lib.JSONRPCC_HELLO_REFUSED:
        return f"the hello was answered with error {code}"
    if reason == lib.JSONRPCC_NO_REASON:
        return ""
    text = ffi.new("char[]", 160)
    lib.jsonrpcc_reason_text(reason, text, len(text))
    return str(ffi.string(text).decode(errors="replace"))


def is_of_tls(reason: int) -> bool:
    """Return whether a reason is one that OpenSSL knows more of."""
    return bool(reason <= lib.JSONRPCC_TLS)


def _entry_infos(client: Any) -> Iterator[Any]:
    info = ffi.new("jsonrpcc_entry_info *")
    index = 0
    while lib.jsonrpcc_entry_get(client, index, info, ffi.sizeof(info[0])):
        yield info
        index += 1


def entry_by_id(client: Any, number: int) -> tuple[str, str]:
    """Return the text of a name and its error; empty if the list has it no more."""
    for info in _entry_infos(client):
        if info.id == number:
            return ffi.string(info.text).decode(), _entry_error(info)
    return "", ""


def _entry_error(info: Any) -> str:
    """Return why the last lookup of a name found nothing; empty if it did."""
    why = ffi.string(info.why).decode(errors="replace") if info.reason else ""
    return why or reason_text(info.reason)


def read_entries(client: Any) -> list[Entry]:
    """Return a snapshot of all names and files in the list, in its order."""
    return [
        Entry(
            text=ffi.string(info.text).decode(),
            priority=info.priority,
            servers=info.servers,
            ttl=info.ttl_s,
            asked=wall_clock(info.asked_us) if info.asked_us else None,
            found=wall_clock(info.found_us) if info.found_us else None,
            last_error=_entry_error(info) or None,
            lookups=info.lookups,
            lookups_failed=info.lookups_failed,
        )
        for info in _entry_infos(client)
    ]


def read_servers(client: Any) -> list[ServerInfo]:
    """Return a snapshot of all servers in the order of the list; leaving ones last."""
    return [server for _, server in read_slots(client, gone=False)]


def read_slots(client: Any, *, gone: bool) -> list[tuple[int, ServerInfo]]:
    """
    Like `read_servers`, each with its slot; with *gone*, those that are gone as well.

    A server that comes back has the slot that it had, and goes on counting there,
    unless another one got it meanwhile: then it begins at 0, in any slot.
    """
    info = ffi.new("jsonrpcc_server_info *")
    names = {info.id: ffi.string(info.text).decode() for info in _entry_infos(client)}
    servers = []
    for index in range(lib.jsonrpcc_server_count(client)):
        if not lib.jsonrpcc_server_get(client, index, info, ffi.sizeof(info[0])):
            continue
        state = SERVER_STATES[info.state]
        if state == "gone" and not gone:
            continue
        leaves = state == "gone" or (state == "leaving" and not info.spare)
        place = leaves, info.position, index
        tls, why = read_server_tls(client, index)
        entry = names.get(info.entry)
        servers.append((place, _server_info(info, state, tls, why, entry)))
    servers.sort(key=itemgetter(0))
    return [(index, server) for (_, _, index), server in servers]


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
        last_error=(is_of_tls(info.reason) and why)
        or reason_text(info.reason, info.code)
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
        connections=info.connections,
        connected=info.connected,
        renewals=info.renewals,
        awaits_hello=info.awaits_hello,
        spare=info.spare,
    )


def address_at(client: Any, index: int) -> str | None:
    """Return the address of a server by its index; of one that is gone, too."""
    info = ffi.new("jsonrpcc_server_info *")
    if index < 0 or not lib.jsonrpcc_server_get(
        client, index, info, ffi.sizeof(info[0])
    ):
        return None
    return address_of(ffi.string(info.host).decode(), info.port)
