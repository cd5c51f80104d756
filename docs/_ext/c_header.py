"""
The C manual: each declaration of a header under its own comment.

    .. c-header:: ../csrc/jsonrpcc.h

What a comment calls by its name becomes a link.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

from header_reader import Item, names, parse
from sphinx.util.docutils import SphinxDirective

# In prose: *name, name[...], name(...), a word, what reStructuredText would read.
WORD = re.compile(
    r"``.*?``"  # the value of a macro
    r"|\*\w+"
    r"|\w+\[\S*(?: [-+] \S*)*[\])]"
    r"|\w+\([^\s()]*(?:, \.\.\.)?\)"
    r"|\w+"
    r"|[\\`|*]"
)


def prose(text: str, known: dict[str, str]) -> str:
    """Return a comment as reStructuredText, with links to what it names."""

    def word(match: re.Match[str]) -> str:
        token = match[0]
        if token.startswith("``"):
            return token
        name = token.removesuffix("()")
        if name in known:
            return f":c:{known[name]}:`{name}`"
        if f"JSONRPCC_{name}" in known and name.isupper():
            return f":c:{known[f'JSONRPCC_{name}']}:`{name} <JSONRPCC_{name}>`"
        if re.search(r"[*\[(_]", token) or token in {"NULL", "NUL"}:
            return f"``{token}``"
        return re.sub(r"([\\`|<>])", r"\\\1", token)

    text = re.sub(WORD, word, text)
    text = re.sub(r"^([-+]) ", r"\\\1 ", text, flags=re.MULTILINE)  # no list
    return re.sub(r"^([A-Z]\w+\.)  ", r"**\1** ", text, flags=re.MULTILINE)


def directive(item: Item, known: dict[str, str], indent: int = 0) -> str:
    """Return an item as the C domain's directive."""
    head = f".. c:{item.kind}:: "
    lines = [head + item.signatures[0]]
    lines += [" " * len(head) + signature for signature in item.signatures[1:]]
    lines += ["", textwrap.indent(prose(item.text, known), "   "), ""]
    lines += [directive(member, known, 3) for member in item.members]
    return textwrap.indent("\n".join(lines), " " * indent) + "\n"


class CHeader(SphinxDirective):
    """``.. c-header:: path``, from the page's folder."""

    required_arguments = 1

    def run(self) -> list[Any]:
        """Return the nodes of the whole manual."""
        path = Path(self.env.doc2path(self.env.docname)).parent / self.arguments[0]
        self.env.note_dependency(str(path.resolve()))
        introduction, sections = parse(path.read_text(encoding="utf-8"))
        known = names(sections)
        text = [prose(introduction, known)]
        for section in sections:
            if section.items:
                text += ["", section.title, "-" * len(section.title), ""]
                if section.text:
                    sentence = f"{section.text[0].upper()}{section.text[1:]}."
                    text.append(prose(sentence, known))
                text += ["", *(directive(item, known) for item in section.items)]
        return self.parse_text_to_nodes("\n".join(text), allow_section_headings=True)


def setup(app: Any) -> dict[str, Any]:
    """Make the directive known."""
    app.add_directive("c-header", CHeader)
    return {"version": "1", "parallel_read_safe": True}
