"""The command line: ``python -m jsonrpcc``, or ``jsonrpcc``."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import importlib
import inspect
import json
import logging
import os
import queue
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import msgspec

import jsonrpcc
from jsonrpcc import capi
from jsonrpcc.testing import Error, Server

OK, REMOTE, USAGE, TIMEOUT, FAILURE, INVALID, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130

EXIT_CODES = """\
exit codes:
  0    done; for "servers": all are up
  1    the server answered with an error
  2    the command line, a servers string or the params are wrong
  3    no answer came in time
  4    no server can be reached, or the connection was lost
  5    the response is invalid
  130  Ctrl-C
"""

SERVERS_HELP = (
    "host:port,priority of each server, separated by spaces; larger priorities "
    "first, without one it is 1, IPv6 as [::1]:9999"
)

CODES: dict[type[jsonrpcc.JsonRpcError], int] = {
    jsonrpcc.RemoteError: REMOTE,
    jsonrpcc.RequestTimeout: TIMEOUT,
    jsonrpcc.ServerFailure: FAILURE,
    jsonrpcc.ConnectionLost: FAILURE,
    jsonrpcc.InvalidResponse: INVALID,
}


class TextCodec:
    """Leaves JSON as text, so that every number is printed as it came."""

    @staticmethod
    def encode(value: Any) -> bytes:
        """Encode; nothing here is sent but text."""
        return msgspec.json.encode(value)

    @staticmethod
    def decode(text: bytes) -> bytes:
        """Leave as it is."""
        return text


# --- output ----------------------------------------------------------------------


def show(text: bytes, *, pretty: bool) -> None:
    """Print JSON text on stdout: one line, or indented."""
    sys.stdout.write(msgspec.json.format(text, indent=2 if pretty else -1).decode())
    sys.stdout.write("\n")
    sys.stdout.flush()


def complain(message: str) -> None:
    """Say on stderr what is wrong, in one line."""
    print("jsonrpcc:", " ".join(message.splitlines()), file=sys.stderr)


def complain_of(error: jsonrpcc.JsonRpcError, *, as_json: bool) -> int:
    """Say on stderr how a call failed; return the exit code."""
    members: dict[str, Any] = {"error": type(error).__name__, "message": str(error)}
    if isinstance(error, jsonrpcc.RemoteError):
        members |= {"code": error.code, "data": error.data}
    if as_json:
        members |= {
            name: getattr(error, name)
            for name in ("method", "server", "elapsed", "fate")
        }
        print(json.dumps(members), file=sys.stderr)
    elif "code" in members:
        text = f"remote error {json.dumps(members['code'])}: {members['message']}"
        if members["data"] is not None:
            text += f": {json.dumps(members['data'], ensure_ascii=False)}"
        complain(text)
    else:
        complain(str(error))
    return CODES.get(type(error), FAILURE)


# --- call and notify ---------------------------------------------------------------


def read_params(text: str | None) -> str | None:
    """Return the params' text; "-" is on stdin."""
    return sys.stdin.read() if text == "-" else text


def call(args: argparse.Namespace) -> int:
    """Call a method and print its result."""
    params = read_params(args.params)
    with jsonrpcc.Client(args.servers, codec=TextCodec) as client:
        try:
            text = client.call(
                args.method,
                params,
                timeout=args.timeout,
                idempotent=args.idempotent,
                wait_for_ready=args.wait,
            )
        except jsonrpcc.JsonRpcError as error:
            return complain_of(error, as_json=args.json_errors)
    show(text, pretty=args.pretty)
    return OK


def notify(args: argparse.Namespace) -> int:
    """Send a notification and wait until it is with a server, or will not be."""
    params = read_params(args.params)
    with jsonrpcc.Client(args.servers) as client:
        client.notification(
            args.method, params, timeout=args.timeout, wait_for_ready=args.wait
        )
        # Nobody is told how a notification ends; its own deadline bounds this.
        while not (
            (stats := client.stats()).ok
            or stats.timeouts
            or stats.failures
            or stats.out_of_memory
        ):
            time.sleep(0.002)
        if stats.ok:
            return OK
        reasons = [
            f"{server.address} {server.last_error or server.state}"
            for server in client.servers()
        ]
    what = "timeout" if stats.timeouts else "failure: no server can be reached"
    complain(f"{what}: {args.method} (not sent): {'; '.join(reasons)}")
    return TIMEOUT if stats.timeouts else FAILURE


# --- servers -----------------------------------------------------------------------


def servers(args: argparse.Namespace) -> int:
    """Connect to all servers and print how that went."""
    events: queue.SimpleQueue[jsonrpcc.Event] = queue.SimpleQueue()
    with jsonrpcc.Client(
        args.servers,
        connect_timeout=args.timeout,
        max_conn_attempts=0,
        on_event=events.put,
    ) as client:
        deadline = time.monotonic() + args.timeout
        seen = client.servers()
        while any(each.state != "up" and not each.attempts_failed for each in seen):
            try:
                events.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                break
            seen = client.servers()
    if args.json:
        show(
            msgspec.json.encode([dataclasses.asdict(each) for each in seen]),
            pretty=args.pretty,
        )
    else:
        rows = [
            (each.address, str(each.priority), each.state, each.last_error or "")
            for each in seen
        ]
        print_table([("SERVER", "PRIORITY", "STATE", "LAST ERROR"), *rows])
    return OK if all(each.state == "up" for each in seen) else FAILURE


def print_table(rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows of texts in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


# --- serve -------------------------------------------------------------------------


def echo(*positional: Any, **named: Any) -> Any:
    """Return the params."""
    return named or list(positional)


def add(a: Any, b: Any) -> Any:
    """Return a + b."""
    return a + b


async def sleep(seconds: float) -> float:
    """Answer after so many seconds."""
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
        ImportError: It can not be imported.
        ValueError: It has none.
    """
    sys.path.insert(0, "")  # the script jsonrpcc does not look where one stands
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


def serve(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM."""
    try:
        methods = functions_of(args.methods) if args.methods else METHODS
    except ImportError as error:
        raise ValueError(f"--methods: {error}") from error
    server = Server(methods, host=args.host, port=args.port, keep=0)

    def ready(server: Server) -> None:
        print(server.address, flush=True)

    try:
        server.serve_forever(ready)
    except OSError as error:
        complain(f"can not listen at {server.address}: {error.strerror or error}")
        return USAGE
    return OK


# --- the command line --------------------------------------------------------------


def seconds(text: str) -> float:
    """Read a duration."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError(text)
    return value


def port(text: str) -> int:
    """Read a port; 0 is any free one."""
    value = int(text)
    if not 0 <= value <= 65535:  # noqa: PLR2004
        raise ValueError(text)
    return value


class Show(argparse.Action):
    """Print a text as it is, and that is all; "version" would wrap it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs | {"dest": argparse.SUPPRESS, "nargs": 0})

    def __call__(
        self, parser: argparse.ArgumentParser, *_args: object, **_kwargs: object
    ) -> None:
        """Print and end."""
        print(self.const)
        parser.exit()


class Commands:
    """The sub-commands, all of the same make."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._group = parser.add_subparsers(metavar="COMMAND", required=True)

    def add(
        self,
        run: Callable[[argparse.Namespace], int],
        summary: str,
        more: str,
        examples: str,
    ) -> argparse.ArgumentParser:
        """Add the command that *run* is."""
        parser = self._group.add_parser(
            run.__name__,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.\n{more}",
            epilog=f"examples:\n{examples}\n{EXIT_CODES}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        parser.set_defaults(run=run)
        parser.add_argument(
            "-v",
            "--verbose",
            action="store_true",
            help="log connections and failover on stderr",
        )
        return parser


def add_request(parser: argparse.ArgumentParser) -> None:
    """Add what call and notify have in common."""
    parser.add_argument("servers", metavar="SERVERS", help=SERVERS_HELP)
    parser.add_argument("method", metavar="METHOD")
    parser.add_argument(
        "params",
        metavar="PARAMS",
        nargs="?",
        help="JSON text of an array or object, single quotes allowed; - reads stdin",
    )
    parser.add_argument(
        "-t",
        "--timeout",
        type=seconds,
        metavar="SECONDS",
        help="for all of it, connecting included (default: 5)",
    )
    parser.add_argument(
        "-w",
        "--wait",
        action="store_true",
        help="wait for a server until the timeout, even if all are down",
    )


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="jsonrpcc",
        description="JSON-RPC 2.0 over TCP and netstrings.",
        epilog="examples:\n"
        "  jsonrpcc serve &\n"
        "  jsonrpcc call localhost:9999 add '[1, 2]'\n"
        "  jsonrpcc COMMAND --help      more about each\n\n" + EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=jsonrpcc.__version__)
    group = parser.add_argument_group(
        "to build C extensions on jsonrpcc (nothing needs to be linked)"
    )
    for option, text, what in (
        ("--cflags", f"-I{capi.get_include()}", "flags for the compiler"),
        ("--cmakedir", capi.get_cmake_dir(), "directory of the CMake package"),
        ("--pkgconfigdir", capi.get_pkgconfig_dir(), "directory of jsonrpcc-capi.pc"),
    ):
        group.add_argument(
            option, action=Show, const=shlex.quote(text), help=f"print the {what}"
        )
    commands = Commands(parser)

    command = commands.add(
        call,
        "call a method and print its result",
        "The result goes to stdout as JSON, an error to stderr as one line.",
        "  jsonrpcc call localhost:9999 add '[1, 2]'\n"
        "  jsonrpcc call localhost:9999 get_user \"{'id': 1234}\" --pretty\n"
        "  jsonrpcc call 'host1:9999,2 host2:9999,2 backup:9999,1' status -t 0.5\n"
        "  jsonrpcc call localhost:9999 import_users - <users.json\n",
    )
    add_request(command)
    command.add_argument(
        "--idempotent",
        action="store_true",
        help="may be sent again when a connection breaks",
    )
    command.add_argument("--pretty", action="store_true", help="indent the result")
    command.add_argument(
        "--json-errors", action="store_true", help="errors on stderr as JSON, too"
    )

    command = commands.add(
        notify,
        "send a notification",
        "Succeeds when a server's connection has taken it: nobody answers.",
        "  jsonrpcc notify localhost:9999 update_user \"{'id': 1234}\"\n"
        "  jsonrpcc notify localhost:9999 reload --wait --timeout 30\n",
    )
    add_request(command)

    command = commands.add(
        servers,
        "print the state of each server",
        "A server is up when it accepts a connection; nothing is sent.",
        "  jsonrpcc servers 'host1:9999,2 host2:9999,2 backup:9999,1'\n"
        "  jsonrpcc servers localhost:9999 --json\n",
    )
    command.add_argument("servers", metavar="SERVERS", help=SERVERS_HELP)
    command.add_argument(
        "-t",
        "--timeout",
        type=seconds,
        default=2.0,
        metavar="SECONDS",
        help="how long a server may take (default: 2)",
    )
    command.add_argument(
        "--json", action="store_true", help="all that is known, as JSON"
    )
    command.add_argument("--pretty", action="store_true", help="indent the JSON")

    command = commands.add(
        serve,
        "run a server to try things on",
        "Prints its address, then serves until Ctrl-C or SIGTERM.\n\n"
        "methods:\n"
        "  echo(...)                   the params\n"
        "  add(a, b)                   a + b\n"
        "  sleep(seconds)              answers after so long\n"
        "  time()                      seconds since 1970\n"
        "  fail(code, message, data)   that error",
        "  jsonrpcc serve\n  jsonrpcc serve --port 0 --methods mypackage.methods\n",
    )
    command.add_argument("--host", default="127.0.0.1", help="default: 127.0.0.1")
    command.add_argument(
        "--port", type=port, default=9999, help="default: 9999; 0: any free one"
    )
    command.add_argument(
        "--methods",
        metavar="MODULE",
        help="serve the public functions of this module instead",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    args = make_parser().parse_args(argv)
    if args.verbose:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    else:  # one line on stderr, and that is ours
        logging.getLogger("jsonrpcc").addHandler(logging.NullHandler())
    try:
        code: int = args.run(args)
    except (TypeError, ValueError) as error:
        complain(str(error))
        return USAGE
    except jsonrpcc.JsonRpcError as error:
        complain(str(error))
        return CODES.get(type(error), FAILURE)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone; Python would complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    return code


if __name__ == "__main__":
    sys.exit(main())
