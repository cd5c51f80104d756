"""
What the commands of the command line do, with their output and exit codes.

Each takes the parsed arguments and returns the exit code.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import errno
import json
import os
import queue
import re
import sys
import time
from collections.abc import Sequence
from typing import Any

import msgspec

import jsonrpcc

OK, REMOTE, USAGE, TIMEOUT, FAILURE, INVALID, LOCAL = 0, 1, 2, 3, 4, 5, 6
INTERRUPTED = 130

EXIT_CODES = """\
exit codes:
  0    success; for "servers": all are up
  1    the server answered with an error
  2    the command line, the servers string or the params are wrong
  3    no response arrived in time
  4    no server can be reached, or the connection was lost
  5    the response is invalid
  6    a local failure: the output could not be written (the call was made), or
       no memory, descriptors or threads were left
  130  Ctrl-C
"""

CODES: dict[type[jsonrpcc.JsonRpcError], int] = {
    jsonrpcc.RemoteError: REMOTE,
    jsonrpcc.RequestTimeout: TIMEOUT,
    jsonrpcc.ServerFailure: FAILURE,
    jsonrpcc.ConnectionLost: FAILURE,
    jsonrpcc.InvalidResponse: INVALID,
}


class TextCodec:
    """Leaves JSON as text, so that numbers are printed exactly as received."""

    @staticmethod
    def encode(value: Any) -> bytes:
        """Encode; only text is sent here."""
        return msgspec.json.encode(value)

    @staticmethod
    def decode(text: bytes) -> bytes:
        """Leave it unchanged."""
        return text


# --- output ----------------------------------------------------------------------

# What a terminal executes instead of showing (ESC, BEL, CSI ...), and what changes the
# order in which it shows other characters.  The texts come from servers.
CONTROL = r"\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069"
CONTROLS = re.compile(f"[{CONTROL}]")


class OutputLostError(Exception):
    """The output could not be written to stdout; says why."""


def visible(text: str) -> str:
    """Return a text for people, with its control characters escaped."""
    return CONTROLS.sub(lambda found: repr(found[0])[1:-1], text)


def _escaped(found: re.Match[str]) -> str:
    """Return a character as JSON can write it in ASCII."""
    return json.dumps(found[0])[1:-1] if found[0] != "\x7f" else "\\u007f"


def visible_json(text: str, encoding: str = "utf-8") -> str:
    """
    Return the same JSON without control characters.

    Characters that *encoding* does not have are escaped, too; the JSON is equivalent.
    """
    text = CONTROLS.sub(_escaped, text)
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = re.sub("[^\\x00-\\x7f]", _escaped, text)
    return text


def write(text: str) -> None:
    """
    Write to stdout at once; characters that its encoding does not have are escaped.

    Raises:
        OutputLostError: It cannot be written.
        BrokenPipeError: The reader has gone.
    """
    if sys.stdout is None:  # closed before we started
        raise OutputLostError(os.strerror(errno.EBADF))
    encoding = sys.stdout.encoding
    try:
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputLostError(error.strerror or str(error)) from error


def show(text: bytes, *, pretty: bool) -> None:
    """Print JSON text on stdout: one line, or indented."""
    formatted = msgspec.json.format(text, indent=2 if pretty else -1).decode()
    encoding = "utf-8" if sys.stdout is None else sys.stdout.encoding
    write(visible_json(formatted, encoding) + "\n")


def tell(line: str) -> None:
    """Write a line to stderr, if there is one; there is no other place to report."""
    if sys.stderr is not None:  # print() would use stdout
        with contextlib.suppress(OSError):
            print(line, file=sys.stderr, flush=True)


def complain(message: str) -> None:
    """Say on stderr what is wrong, in one line."""
    tell("jsonrpcc: " + visible(" ".join(message.splitlines())))


def complain_of(error: jsonrpcc.JsonRpcError, *, as_json: bool) -> int:
    """Say on stderr how a call failed; return the exit code."""
    members: dict[str, Any] = {"error": type(error).__name__, "message": str(error)}
    if isinstance(error, jsonrpcc.RemoteError):
        members |= {"message": error.message, "code": error.code, "data": error.data}
    if as_json:
        members |= {
            name: getattr(error, name)
            for name in (
                "method",
                "server",
                "elapsed",
                "fate",
                "waited",
                "answered",
                "attempts",
            )
        }
        tell(visible_json(json.dumps(members)))
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


def read_tls(args: argparse.Namespace) -> jsonrpcc.Tls | None:
    """
    Return how to connect by TLS, or None.

    Raises:
        ValueError: The options do not go together.
    """
    names = ("ca", "cert", "key", "server_name")
    given = {name: getattr(args, name) for name in names if getattr(args, name)}
    if args.tls:
        return jsonrpcc.Tls(**given)
    if given:
        raise ValueError(f"--{min(given).replace('_', '-')} needs --tls")
    return None


def call(args: argparse.Namespace) -> int:
    """Call a method and print its result."""
    params = read_params(args.params)
    with jsonrpcc.Client(args.servers, codec=TextCodec, tls=read_tls(args)) as client:
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
    """Send a notification; wait until it has been sent or cannot be."""
    params = read_params(args.params)
    with jsonrpcc.Client(args.servers, tls=read_tls(args)) as client:
        client.notification(
            args.method, params, timeout=args.timeout, wait_for_ready=args.wait
        )
        # A notification has no outcome to wait for; its deadline bounds this.
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
    """Connect to all servers and print the results."""
    events: queue.SimpleQueue[jsonrpcc.Event] = queue.SimpleQueue()
    with jsonrpcc.Client(
        args.servers,
        connect_timeout=args.timeout,
        max_conn_attempts=0,
        on_event=events.put,
        tls=read_tls(args),
    ) as client:
        deadline = time.monotonic() + args.timeout
        while not _decided(client):
            try:
                events.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                break
        seen = client.servers()
        vain = [each for each in client.entries() if not each.servers]
    if args.json:
        show(
            msgspec.json.encode([dataclasses.asdict(each) for each in seen]),
            pretty=args.pretty,
        )
    else:
        rows: list[tuple[str, ...]] = [
            (
                each.address,
                str(each.priority),
                each.state,
                *([shown_tls(each.tls)] if args.tls else []),
                each.last_error or "",
            )
            for each in seen
        ]
        rows += [
            (
                each.text,
                str(each.priority),
                "no server",
                *([""] if args.tls else []),
                each.last_error or "",
            )
            for each in vain
        ]
        tls = ["TLS"] if args.tls else []
        print_table([("SERVER", "PRIORITY", "STATE", *tls, "LAST ERROR"), *rows])
    is_up = all(each.state == "up" for each in seen)
    return OK if is_up and not vain else FAILURE


def _decided(client: jsonrpcc.Client) -> bool:
    """Whether each name has been looked up, and each server been tried."""
    return all(each.lookups for each in client.entries()) and all(
        each.state == "up" or each.attempts_failed for each in client.servers()
    )


def shown_tls(tls: jsonrpcc.TlsInfo | None) -> str:
    """Return what a handshake has shown, for a cell of the table."""
    if tls is None:
        return ""
    days = "" if tls.days_left is None else f", {tls.days_left:.0f} days left"
    return f"{tls.version} {tls.cipher}{days}"


def print_table(rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows of texts in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        write(visible("  ".join(cells).rstrip()) + "\n")
