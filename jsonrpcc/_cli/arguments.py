"""The types of arguments, and the parser of one command."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from jsonrpcc._cli.output import write

_N = TypeVar("_N", int, float)


def seconds(text: str) -> float:
    """Read a duration."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError(text)
    return value


def between(kind: type[_N], low: _N, high: _N) -> Callable[[str], _N]:
    """Return what reads a number from *low* to *high*."""

    def read(text: str) -> _N:
        value = kind(text)
        if not low <= value <= high:
            msg = f"must be from {low:,} to {high:,}"
            raise argparse.ArgumentTypeError(msg)
        return value

    read.__name__ = "number"  # as messages have it
    return read


class Show(argparse.Action):
    """Print a text unchanged and exit; "version" would wrap it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs | {"dest": argparse.SUPPRESS, "nargs": 0})

    def __call__(
        self, parser: argparse.ArgumentParser, *_args: object, **_kwargs: object
    ) -> None:
        """Print and exit."""
        write(f"{self.const()}\n")
        parser.exit()


class Command(argparse.ArgumentParser):
    """
    The parser of one command, with its options anywhere between its arguments.

    argparse alone gives all optional arguments up when it meets the first option.
    """

    _is_inside = False

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """Parse options and arguments in any order."""
        if self._is_inside:
            return super().parse_known_args(args, namespace)
        self._is_inside = True
        try:
            namespace, unknown = self.parse_known_intermixed_args(args, namespace)
        finally:
            self._is_inside = False
        if unknown:  # here, where the usage is this command's
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return namespace, []


class Commands:
    """The sub-commands, all built in the same way."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._group = parser.add_subparsers(
            metavar="COMMAND", required=True, parser_class=Command
        )

    def add(
        self, name: str, summary: str, more: str, examples: str, codes: str
    ) -> argparse.ArgumentParser:
        """Add the command that run() in the module of that name is."""
        parser = self._group.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.\n{more}",
            epilog=f"examples:\n{examples}\n{codes}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        parser.set_defaults(command=name)
        parser.add_argument(
            "-v",
            "--verbose",
            action="store_true",
            help="log connections and failover on stderr",
        )
        return parser
