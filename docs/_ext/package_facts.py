"""
Directives that ask the package, so that the pages cannot say otherwise.

``{option-table}`` is every option with its default and range; ``{cli-help} call``
is the text that ``jsonrpcc call --help`` prints.
"""

from __future__ import annotations

import contextlib
import io
import os
from dataclasses import fields
from typing import Any, ClassVar

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from jsonrpcc import Options
from jsonrpcc._cli.parser import make_parser
from jsonrpcc._options import _DURATIONS, _INT32, _INTEGERS, MAX_NAME, MIB


def number(value: int, *, is_size: bool) -> str:
    """Return a number as people read it."""
    if is_size and value % MIB == 0:
        return f"{value // MIB} MiB"
    if value in {_INT32, 2**63 - 1}:
        return f"2^{value.bit_length()} - 1"
    return f"{value:,}"


OTHERS = {
    "tls": ["none", "True", "a `Tls`"],
    "hello": ["none", "1 request", "8 requests"],
    "hello_errors": ["by name", '`"accept"`', '`"refuse"`'],
    "ping_interval": ["none", "1 s", f"{_INT32 // 1000:,} s"],
    "slow_call": ["none", "above 0", f"{_INT32 // 1000:,} s"],
    "max_connection_age": ["0: never", "1 s", f"{_INT32 // 1000:,} s"],
    "name": ["none", "1 character", f"{MAX_NAME} characters"],
}


def bounds(name: str, default: Any) -> list[str]:
    """Return default, smallest and largest value of an option."""
    if name in _DURATIONS:
        return [f"{default:g} s", "above 0", f"{_INT32 // 1000:,} s"]
    if name in OTHERS:
        return OTHERS[name]
    is_size = name in {"max_response", "max_request"} or name.endswith("_bytes")
    return [number(n, is_size=is_size) for n in (default, *_INTEGERS[name])]


class OptionTable(SphinxDirective):
    """``{option-table}``: every option with its default and range."""

    def run(self) -> list[Any]:
        """Return the table."""
        lines = ["| option | default | from | to |", "|---|---|---|---|"]
        for field in fields(Options):
            anchor = field.name.replace("_", "-")
            cells = [
                f"[`{field.name}`](#{anchor})",
                *bounds(field.name, field.default),
            ]
            lines.append(f"| {' | '.join(cells)} |")
        return self.parse_text_to_nodes("\n".join(lines))


class CliHelp(SphinxDirective):
    """``{cli-help} COMMAND``: what ``jsonrpcc COMMAND --help`` prints."""

    optional_arguments: ClassVar[int] = 1

    def run(self) -> list[Any]:
        """Return the text."""
        os.environ |= {"COLUMNS": "80", "NO_COLOR": "1"}
        output = io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.suppress(SystemExit):
            make_parser().parse_args([*self.arguments, "--help"])
        text = output.getvalue()
        return [nodes.literal_block(text, text, language="text")]


def type_beside_name(_app: Any, _what: str, *args: Any) -> None:
    """Have an attribute's type stand behind its name, where napoleon puts it below."""
    lines = args[-1]
    attribute = -1
    for i, line in enumerate(lines):
        if line.startswith(".. attribute::"):
            attribute = i
        elif line.startswith("   :type:") and attribute >= 0:
            lines[i] = ""
            lines[attribute] += f"\n{line}"
            attribute = -1
    lines[:] = "\n".join(lines).split("\n")


def setup(app: Any) -> dict[str, Any]:
    """Make the directives known."""
    app.add_directive("option-table", OptionTable)
    app.add_directive("cli-help", CliHelp)
    app.connect("autodoc-process-docstring", type_beside_name, priority=900)
    return {"version": "1", "parallel_read_safe": True}
