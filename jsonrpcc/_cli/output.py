"""What is written to stdout and stderr: texts for people, JSON, errors of one line."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import sys
from collections.abc import Sequence
from typing import Any

import msgspec

import jsonrpcc
from jsonrpcc._cli.colours import paint, wants_colour
from jsonrpcc._cli.exits import code_of

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


def is_terminal() -> bool:
    """Whether stdout is a terminal."""
    return sys.stdout is not None and sys.stdout.isatty()


def shown(text: bytes, *, pretty: bool, colour: bool = False) -> str:
    """Return JSON text as it is printed on stdout: one line, or indented."""
    formatted = msgspec.json.format(text, indent=2 if pretty else -1).decode()
    encoding = "utf-8" if sys.stdout is None else sys.stdout.encoding
    line = visible_json(formatted, encoding) + "\n"
    return paint(line) if colour else line


class Printer:
    """
    Prints results: indented and in colours on a terminal, plain in a pipe.

    *pretty* and *colour* say otherwise: True or False, and ``always`` or ``never``.
    """

    def __init__(self, *, pretty: bool | None, colour: str) -> None:
        self._pretty = is_terminal() if pretty is None else pretty
        self._colour = wants_colour(colour, sys.stdout)

    def text(self, result: bytes) -> str:
        """Return what to print of a result's JSON text."""
        return shown(result, pretty=self._pretty, colour=self._colour)


def tell(line: str) -> None:
    """Write a line to stderr, if there is one; there is no other place to report."""
    if sys.stderr is not None:  # print() would use stdout
        with contextlib.suppress(OSError):
            print(line, file=sys.stderr, flush=True)


def complain(message: str) -> None:
    """Say on stderr what is wrong, in one line."""
    tell("jsonrpcc: " + visible(" ".join(message.splitlines())))


def _error_text(error: Exception) -> str:
    """Return what went wrong, for people."""
    if not isinstance(error, jsonrpcc.RemoteError):
        return str(error)
    text = f"remote error {json.dumps(error.code)}: {error.message}"
    if error.data is not None:
        text += f": {json.dumps(error.data, ensure_ascii=False)}"
    return text


def _error_members(error: Exception) -> dict[str, Any]:
    """Return what went wrong, for programs."""
    members: dict[str, Any] = {"error": type(error).__name__, "message": str(error)}
    if isinstance(error, jsonrpcc.RemoteError):
        members |= {"message": error.message, "code": error.code, "data": error.data}
    if isinstance(error, jsonrpcc.JsonRpcError):
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
    return members


def complain_of(error: Exception, *, as_json: bool, line: int | None = None) -> int:
    """
    Say on stderr how a call failed; return the exit code.

    *line* is where its params stand in the input.
    """
    if as_json:
        members = _error_members(error) | ({} if line is None else {"line": line})
        tell(visible_json(json.dumps(members)))
    else:
        where = "" if line is None else f"line {line}: "
        complain(where + _error_text(error))
    return code_of(error)


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows of texts as lines, in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        lines.append(visible("  ".join(cells).rstrip()))
    return lines


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows of texts in columns."""
    for line in columns(rows):
        write(line + "\n")
