"""The command line, ``python -m jsonrpcc`` or ``jsonrpcc``: its parser and main()."""

from __future__ import annotations

import argparse
import logging
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from typing import Any, TextIO

import jsonrpcc
from jsonrpcc import capi
from jsonrpcc._commands import (
    CODES,
    EXIT_CODES,
    FAILURE,
    INTERRUPTED,
    LOCAL,
    OK,
    USAGE,
    OutputLostError,
    call,
    complain,
    notify,
    servers,
    visible,
    write,
)
from jsonrpcc._serve import serve
from jsonrpcc._tls import library

SERVERS_HELP = (
    "host:port,priority of each server, separated by spaces; dns:host:port for a "
    "server at each address of the name, unix:/path for a Unix socket; "
    "larger priorities come first, the default is 1; IPv6 as [::1]:9999"
)


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
    """Print a text unchanged and exit; "version" would wrap it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs | {"dest": argparse.SUPPRESS, "nargs": 0})

    def __call__(
        self, parser: argparse.ArgumentParser, *_args: object, **_kwargs: object
    ) -> None:
        """Print and exit."""
        write(f"{self.const}\n")
        parser.exit()


class Commands:
    """The sub-commands, all built in the same way."""

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
        help="for the whole call, connecting included (default: 5)",
    )
    parser.add_argument(
        "-w",
        "--wait",
        action="store_true",
        help="wait for a server until the timeout, even if all are down",
    )
    add_tls(parser)


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
    parser.add_argument(
        "--version",
        action=Show,
        const=f"{jsonrpcc.__version__} ({library() or 'without TLS'})",
        help="print the version, and that of the TLS library",
    )
    group = parser.add_argument_group(
        "to build C extensions with jsonrpcc (nothing needs to be linked)"
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
        "Writes the result to stdout as JSON, or an error to stderr as one line.",
        "  jsonrpcc call localhost:9999 add '[1, 2]'\n"
        "  jsonrpcc call localhost:9999 get_user \"{'id': 1234}\" --pretty\n"
        "  jsonrpcc call 'host1:9999,2 host2:9999,2 backup:9999,1' status -t 0.5\n"
        "  jsonrpcc call host:9999 status --tls --ca ca.pem\n"
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
        "--json-errors", action="store_true", help="write errors of the call as JSON"
    )

    command = commands.add(
        notify,
        "send a notification",
        "Succeeds once it was sent to a server; there is no response.",
        "  jsonrpcc notify localhost:9999 update_user \"{'id': 1234}\"\n"
        "  jsonrpcc notify localhost:9999 reload --wait --timeout 30\n",
    )
    add_request(command)

    command = commands.add(
        servers,
        "print the state of each server",
        "A server is up if it accepts a connection; nothing is sent.",
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
        help="how long connecting may take (default: 2)",
    )
    command.add_argument(
        "--json", action="store_true", help="print all that is known as JSON"
    )
    command.add_argument("--pretty", action="store_true", help="indent the JSON")
    add_tls(command)

    command = commands.add(
        serve,
        "run a server for experiments",
        "Prints its address, then serves until Ctrl-C or SIGTERM.\n\n"
        "methods:\n"
        "  echo(...)                   returns the params\n"
        "  add(a, b)                   returns a + b\n"
        "  sleep(seconds)              returns after that time\n"
        "  time()                      returns the seconds since 1970\n"
        "  fail(code, message, data)   answers with that error",
        "  jsonrpcc serve\n  jsonrpcc serve --port 0 --methods mypackage.methods\n"
        "  jsonrpcc serve --tls --cert server.pem --key server.key\n"
        "  jsonrpcc serve --unix /tmp/test.sock\n",
    )
    command.add_argument("--host", default="127.0.0.1", help="default: 127.0.0.1")
    command.add_argument(
        "--port", type=port, default=9999, help="default: 9999; 0: any free port"
    )
    command.add_argument(
        "--unix", metavar="PATH", help="listen at this Unix socket (@NAME: abstract)"
    )
    command.add_argument(
        "--methods",
        metavar="MODULE",
        help="serve the public functions of this module instead",
    )
    command.add_argument(
        "--tls",
        action="store_true",
        help="serve by TLS, with a certificate made for this if no --cert is given",
    )
    command.add_argument("--cert", metavar="FILE", help="certificate and chain, PEM")
    command.add_argument("--key", metavar="FILE", help="its key, PEM")
    command.add_argument(
        "--client-ca",
        metavar="FILE",
        help="clients need a certificate signed by this authority",
    )
    return parser


class Plain(logging.Formatter):
    """Log lines for a terminal, which shows their text and does not interpret it."""

    def format(self, record: logging.LogRecord) -> str:
        """Format, without control characters."""
        return visible(super().format(record))


def log(*, verbose: bool) -> None:
    """Log on stderr, or nowhere: an error must be the only line on stderr."""
    handler: logging.Handler = logging.NullHandler()
    if verbose and sys.stderr is not None:
        handler = logging.StreamHandler()
        handler.setFormatter(Plain("%(asctime)s %(message)s"))
        logging.getLogger().setLevel(logging.INFO)
        logging.getLogger().addHandler(handler)
    else:
        logging.getLogger("jsonrpcc").addHandler(handler)


def run(argv: Sequence[str] | None) -> int:
    """Run a command and report what failed; return the exit code."""
    args = make_parser().parse_args(argv)
    log(verbose=args.verbose)
    try:
        code: int = args.run(args)
    except (TypeError, ValueError) as error:
        complain(str(error))
        return USAGE
    except jsonrpcc.JsonRpcError as error:
        complain(str(error))
        return CODES.get(type(error), FAILURE)
    except BrokenPipeError:
        raise
    except (OSError, MemoryError) as error:
        complain(str(error))
        return LOCAL
    return code


def discard(stream: TextIO | None) -> None:
    """Discard what is left to be written; Python would complain at exit."""
    if stream is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    try:
        try:
            return run(argv)
        finally:  # the parser has printed its help, and leaves by SystemExit
            if sys.stdout is not None:
                write("")
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        discard(sys.stdout)  # the reader has gone
        return OK
    except OutputLostError as error:
        discard(sys.stdout)
        complain(f"cannot write the output: {error}")
        return LOCAL
    finally:
        if sys.stderr is not None:
            try:
                sys.stderr.flush()
            except OSError:  # full: that must not change the exit code
                discard(sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
