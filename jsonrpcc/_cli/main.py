"""Runs a command: logging, errors as one line, the exit code."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Sequence
from typing import TextIO

import jsonrpcc
from jsonrpcc._cli.exits import INTERRUPTED, LOCAL, OK, USAGE, code_of
from jsonrpcc._cli.output import OutputLostError, complain, visible, write
from jsonrpcc._cli.parser import make_parser


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
        command = importlib.import_module(f"jsonrpcc._cli.{args.command}")
        code: int = command.run(args)
    except (TypeError, ValueError) as error:
        complain(str(error))
        return USAGE
    except jsonrpcc.JsonRpcError as error:
        complain(str(error))
        return code_of(error)
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
