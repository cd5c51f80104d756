"""What ``--hello`` and ``--option`` say a client is to have."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from jsonrpcc._cli.connecting import read_tls


def _hello(calls: list[str]) -> list[tuple[str, str | None]]:
    """
    Return the pairs of a hello.

    Raises:
        OSError: A file cannot be read.
    """
    lines: list[str] = []
    for each in calls:
        if each.startswith("@"):
            lines += Path(each[1:]).read_text(encoding="utf-8").splitlines()
        else:
            lines.append(each)
    words = [line.split(maxsplit=1) for line in lines if line.strip()]
    return [(method, params[0] if params else None) for method, *params in words]


def read_client(args: argparse.Namespace) -> dict[str, Any]:
    """
    Return a client's options as they were given, TLS among them; it checks them.

    Raises:
        ValueError: One has no name or value, or those of TLS do not go together.
        OSError: A file cannot be read.
    """
    options = {"connect_timeout": args.timeout, "tls": read_tls(args)}
    for each in args.option:
        name, equals, text = each.partition("=")
        if not (name and equals):
            raise ValueError(f"--option must be NAME=VALUE, not {each!r}")
        try:
            options[name] = json.loads(text)
        except ValueError:
            options[name] = text
    hello = _hello(args.hello)
    return options | ({"hello": hello} if hello else {})
