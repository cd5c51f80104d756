"""
Directives that ask the package, so that the pages can not say otherwise.

    ```{option-table}
    ```

is every option with its default and range; ``{cli-help} call`` is the text that
``jsonrpcc call --help`` prints.
"""

from __future__ import annotations

import contextlib
import io
import os
from typing import Any, ClassVar

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from jsonrpcc import Options
from jsonrpcc.__main__ import make_parser
from jsonrpcc._options import _INTEGERS, MIB

INT32 = 2**31 - 1


def number(value: float) -> str:
    """Return a number as people read it."""
    if value == INT32 or value == 2**63 - 1:
        return f"2^{int(value).bit_length()} - 1"
    if isinstance(value, int) and value >= MIB and value % MIB == 0:
        return f"{value // MIB} MiB"
    return f"{value:,}" if isinstance(value, int) else f"{value:g} s"


class OptionTable(SphinxDirective):
    """``{option-table}``: every option with its default and range."""

    def run(self) -> list[Any]:
        """Return the table."""
        lines = ["| option | default | from | to |", "|---|---|---|---|"]
        for name in Options.__dataclass_fields__:
            default = number(getattr(Options(), name))
            low, high = _INTEGERS.get(name, (None, None))
            bounds = (
                f"{number(low)} | {number(high)}"
                if low is not None and high is not None
                else f"above 0 | {INT32 // 1000:,} s"
            )
            lines.append(
                f"| [`{name}`](#{name.replace('_', '-')}) | {default} | {bounds} |"
            )
        return self.parse_text_to_nodes("\n".join(lines))


class CliHelp(SphinxDirective):
    """``{cli-help} COMMAND``: what ``jsonrpcc COMMAND --help`` prints."""

    optional_arguments: ClassVar[int] = 1

    def run(self) -> list[Any]:
        """Return the text."""
        os.environ["COLUMNS"] = "80"
        os.environ["NO_COLOR"] = "1"  # Python 3.14 has colours here
        output = io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.suppress(SystemExit):
            make_parser().parse_args([*self.arguments, "--help"])
        text = output.getvalue()
        return [nodes.literal_block(text, text, language="text")]


def setup(app: Any) -> dict[str, Any]:
    """Make the directives known."""
    app.add_directive("option-table", OptionTable)
    app.add_directive("cli-help", CliHelp)
    return {"version": "1", "parallel_read_safe": True}
