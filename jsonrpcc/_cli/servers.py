"""The command ``jsonrpcc servers``."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import itertools
import queue
import time

import msgspec

import jsonrpcc
from jsonrpcc._cli.client_options import read_client
from jsonrpcc._cli.connecting import settle_servers
from jsonrpcc._cli.exits import FAILURE, OK
from jsonrpcc._cli.output import print_table, shown, write
from jsonrpcc._cli.watch import watch

CHANGES = 0.05  # seconds between two looks for connections, which have no event


def run(args: argparse.Namespace) -> int:
    """Connect to all servers and print the results."""
    settle_servers(args)
    options = read_client(args)
    if args.watch:
        watch(args.servers, options, as_json=args.json)
    events: queue.SimpleQueue[jsonrpcc.Event] = queue.SimpleQueue()
    options = {"max_conn_attempts": 0, **options, "on_event": events.put}
    with jsonrpcc.Client(args.servers, **options) as client:
        deadline = time.monotonic() + args.timeout
        while not (is_decided(client) and _is_complete(client)):
            left = deadline - time.monotonic()
            if left <= 0:
                break
            with contextlib.suppress(queue.Empty):
                events.get(timeout=min(left, CHANGES) if is_decided(client) else left)
        seen, entries = client.servers(), client.entries()
    vain = [each for each in entries if not each.servers]
    if args.json:
        everything = {
            "servers": list(map(dataclasses.asdict, seen)),
            "entries": list(map(dataclasses.asdict, entries)),
        }
        write(shown(msgspec.json.encode(everything), pretty=args.pretty))
    else:
        print_table(_rows(seen, vain, with_tls=args.tls))
    is_up = all(each.state == "up" for each in seen)
    return OK if is_up and not vain else FAILURE


def _rows(
    seen: list[jsonrpcc.ServerInfo], vain: list[jsonrpcc.Entry], *, with_tls: bool
) -> list[tuple[str, ...]]:
    """
    Return the rows of the table; *vain* are names without servers.

    What no server has has no column.
    """
    all_of_them: list[jsonrpcc.ServerInfo | jsonrpcc.Entry] = [*seen, *vain]
    columns = [
        ("SERVER", True, [*(s.address for s in seen), *(e.text for e in vain)]),
        ("PRIORITY", True, [str(each.priority) for each in all_of_them]),
        (
            "SRV PRIORITY",
            any(each.srv_priority for each in seen),
            [str(each.srv_priority) for each in seen],
        ),
        (
            "WEIGHT",
            any(each.weight != 1 for each in seen),
            [str(each.weight) for each in seen],
        ),
        (
            "CONNECTIONS",
            any(each.connections > 1 for each in seen),
            [f"{each.connected}/{each.connections}" for each in seen],
        ),
        ("STATE", True, [*(each.state for each in seen), *("no server" for _ in vain)]),
        (
            "ENTRY",
            any(each.entry for each in seen),
            [each.entry or "" for each in seen],
        ),
        ("TLS", with_tls, [shown_tls(each.tls) for each in seen]),
        ("LAST ERROR", True, [each.last_error or "" for each in all_of_them]),
    ]
    shown_ones = [[title, *cells] for title, has, cells in columns if has]
    return [*itertools.zip_longest(*shown_ones, fillvalue="")]


def is_decided(client: jsonrpcc.Client) -> bool:
    """Whether each name has been looked up, and each server been tried."""
    return all(each.lookups for each in client.entries()) and all(
        each.state == "up" or each.attempts_failed for each in client.servers()
    )


def _is_complete(client: jsonrpcc.Client) -> bool:
    """Whether each server that is up has all the connections that it is to have."""
    return all(
        each.connected >= each.connections
        for each in client.servers()
        if each.state == "up"
    )


def shown_tls(tls: jsonrpcc.TlsInfo | None) -> str:
    """Return what a handshake has shown, for a cell of the table."""
    if tls is None:
        return ""
    days = "" if tls.days_left is None else f", {tls.days_left:.0f} days left"
    return f"{tls.version} {tls.cipher}{days}"
