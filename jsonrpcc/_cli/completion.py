"""The command ``jsonrpcc completion``."""

from __future__ import annotations

import argparse
import importlib

from jsonrpcc._cli.exits import OK
from jsonrpcc._cli.output import write
from jsonrpcc._cli.parser import make_parser


def run(args: argparse.Namespace) -> int:
    """Print the completion script of a shell."""
    try:
        shtab = importlib.import_module("shtab")
    except ImportError as error:
        raise ValueError(
            "completion needs shtab: pip install 'jsonrpcc[cli]'"
        ) from error
    if args.shell not in shtab.SUPPORTED_SHELLS:
        raise ValueError(f"{args.shell} needs a newer shtab than {shtab.__version__}")
    write(shtab.complete(make_parser(), shell=args.shell))
    return OK
