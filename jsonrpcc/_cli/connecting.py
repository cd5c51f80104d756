"""How the commands find their servers and connect to them: arguments and TLS."""

from __future__ import annotations

import argparse
import os
from typing import Any

import jsonrpcc

ENVIRONMENT = "JSONRPCC_SERVERS"

SERVERS_HELP = (
    "host:port,priority of each server, separated by spaces; dns:host:port for a "
    "server at each address of the name, unix:/path for a Unix socket, file:/path "
    "for a list in a file; "
    "larger priorities come first, the default is 1; IPv6 as [::1]:9999; "
    f"may be left out if {ENVIRONMENT} is set"
)


def add_servers(parser: argparse.ArgumentParser) -> None:
    """Add the argument that names the servers."""
    parser.add_argument("servers", metavar="SERVERS", nargs="?", help=SERVERS_HELP)


def add_tls(parser: argparse.ArgumentParser) -> None:
    """Add how to connect by TLS."""
    group = parser.add_argument_group("TLS")
    group.add_argument("--tls", action="store_true", help="connect by TLS")
    for option, metavar, text in (
        ("--ca", "PATH", "authorities to trust, instead of the system's"),
        ("--cert", "FILE", "the client's certificate and chain, PEM"),
        ("--key", "FILE", "its key, PEM"),
        ("--server-name", "NAME", "what the servers' certificates must list"),
    ):
        group.add_argument(option, metavar=metavar, help=text)


def add_client(parser: argparse.ArgumentParser) -> None:
    """Add what else a client may be given: a hello, and any option."""
    group = parser.add_argument_group("as your program's client has them")
    group.add_argument(
        "--hello",
        metavar="CALL",
        action="append",
        default=[],
        help="what connections say first, a 'METHOD [PARAMS]' each; or @FILE with "
        "such lines, for what others must not see",
    )
    group.add_argument(
        "-o",
        "--option",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="an option of jsonrpcc.Client, its value as JSON or else a text; such "
        "as connections=2",
    )


def settle_servers(args: argparse.Namespace, *more: str) -> None:
    """
    Find out which servers are meant, and put them into *args*.

    Each entry of a list of servers has a colon, so a first argument without one is
    no list, and the servers are those of the environment; *more* names the arguments
    after it, which then move up by one.

    Raises:
        ValueError: Nothing says which servers.
    """
    set_before = os.environ.get(ENVIRONMENT)
    if args.servers is None and not set_before:
        missing = "SERVERS and METHOD" if more else "SERVERS"
        raise ValueError(f"{missing}: missing, and {ENVIRONMENT} is not set")
    if args.servers is None:
        args.servers = set_before
    elif set_before and more and ":" not in args.servers:
        values = [args.servers, *(getattr(args, name) for name in more)]
        if values[-1] is None:  # or all are given, and the servers string is wrong
            for name, value in zip(more, values, strict=False):
                setattr(args, name, value)
            args.servers = set_before


def read_tls(args: argparse.Namespace) -> jsonrpcc.Tls | None:
    """
    Return how to connect by TLS, or None.

    Raises:
        ValueError: The options do not go together.
    """
    names = ("ca", "cert", "key", "server_name")
    given: dict[str, Any] = {
        name: getattr(args, name) for name in names if getattr(args, name)
    }
    if args.tls:
        return jsonrpcc.Tls(**given)
    if given:
        raise ValueError(f"--{min(given).replace('_', '-')} needs --tls")
    return None
