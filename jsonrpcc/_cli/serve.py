"""The command ``jsonrpcc serve``: a server for experiments."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import inspect
import logging
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn

from jsonrpcc._cli.exits import OK, USAGE
from jsonrpcc._cli.output import complain, tell, write
from jsonrpcc.testing import Error, Server, ServerTls

LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")


def echo(*positional: Any, **named: Any) -> Any:
    """Return the params."""
    return named or list(positional)


def add(a: Any, b: Any) -> Any:
    """Return a + b."""
    return a + b


async def sleep(seconds: float) -> float:
    """Answer after *seconds*."""
    await asyncio.sleep(seconds)
    return seconds


def now() -> float:
    """Return the seconds since 1970."""
    return time.time()


def fail(code: int = -32000, message: str = "failed", data: Any = None) -> NoReturn:
    """Answer with that error."""
    raise Error(code, message, data)


METHODS: dict[str, Callable[..., Any]] = {
    "echo": echo,
    "add": add,
    "sleep": sleep,
    "time": now,
    "fail": fail,
}


def functions_of(name: str) -> dict[str, Callable[..., Any]]:
    """
    Return the public functions of a module: those it defines, or its __all__.

    Raises:
        ImportError: It cannot be imported.
        ValueError: It has no such functions.
    """
    sys.path.insert(0, "")  # the script jsonrpcc does not search the current directory
    module = importlib.import_module(name)
    names = getattr(module, "__all__", None)
    found = {
        each: function
        for each, function in inspect.getmembers(module, callable)
        if (
            each in names
            if names is not None
            else inspect.isfunction(function)
            and function.__module__ == name
            and not each.startswith("_")
        )
    }
    if not found:
        raise ValueError(f"{name} has no public functions")
    return found


def server_tls(args: argparse.Namespace) -> ServerTls | None:
    """
    Return how to serve TLS, or None.

    Raises:
        ValueError: The options do not go together, a file is wrong, or there is
            nothing to make a certificate with.
    """
    if not args.tls:
        if args.cert or args.key or args.client_ca:
            raise ValueError("--cert, --key and --client-ca need --tls")
        return None
    if bool(args.cert) != bool(args.key):
        raise ValueError("--cert and --key are needed together")
    try:
        return ServerTls(
            args.cert,
            args.key,
            client_ca=args.client_ca or False,
            names=dict.fromkeys([args.host, *LOCAL_NAMES]),
        )
    except ImportError as error:
        raise ValueError(f"--tls: {error}") from error
    except OSError as error:  # ssl.SSLError is one
        files = " ".join(filter(None, (args.cert, args.key, args.client_ca)))
        raise ValueError(f"--tls: {error.strerror or error}: {files}") from error


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM."""
    if args.verbose:
        logging.getLogger("jsonrpcc.testing.requests").setLevel(logging.DEBUG)
    try:
        methods = functions_of(args.methods) if args.methods else METHODS
    except ImportError as error:
        raise ValueError(f"--methods: {error}") from error
    tls = server_tls(args)
    path = args.unix
    if path and path.startswith("@"):
        path = f"\0{path[1:]}"
    server = Server(
        methods, host=args.host, port=args.port, path=path, keep=0, tls=tls or False
    )

    def ready(server: Server) -> None:
        if tls is not None and tls.ca is not None:
            tell(f"jsonrpcc: for clients: --ca {tls.ca}")
        write(f"{server.address}\n")

    try:
        server.serve_forever(ready)
    except OSError as error:
        complain(f"cannot listen at {server.address}: {error.strerror or error}")
        return USAGE
    return OK
