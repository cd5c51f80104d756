"""
Reads csrc/jsonrpcc.h: each declaration with the comment that belongs to it.

A comment right above a declaration belongs to it and to those that follow
without a blank line; one behind a member, or above it, belongs to the member;
``/* ---- name: text ---- */`` begins a section; the file's first comment is the
introduction.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

TOKEN = re.compile(
    r"(?P<comment>/\*.*?\*/)"
    r"|(?P<define>^\#[ ]*define[ ]+(?P<macro>\w+)(?P<value>[^\n]*))"
    r"|(?P<skip>^\#[^\n]*|extern\s+\"C\"\s*\{|^\}$)"
    r"|(?P<blank>\n[ \t]*(?=\n))"
    r"|(?P<code>[^\s/](?:[^;{/]|/(?!\*))*(?:\{.*?\}[^;{}]*)?;)",
    re.DOTALL | re.MULTILINE,
)


@dataclass
class Item:
    """A declaration, or several under one comment."""

    kind: str  # of the C domain: function, struct, enum, type, macro
    signatures: list[str]
    text: str = ""
    members: list[Item] = field(default_factory=list)


@dataclass
class Section:
    """What stands between two ``/* ---- name ---- */``."""

    title: str
    text: str = ""
    items: list[Item] = field(default_factory=list)


def plain(comment: str) -> str:
    """Return a comment's text without its stars."""
    lines = comment.removeprefix("/*").removesuffix("*/").splitlines()
    return "\n".join(re.sub(r"^\s*\*? ?", "", line) for line in lines).strip()


def members(body: str, kind: str) -> list[Item]:
    """Return the members of a struct, or the enumerators of an enum."""
    found: list[Item] = []
    above = ""
    value = -1  # of the last enumerator
    behind = False  # whether a comment here stands behind a member
    end = "," if kind == "enumerator" else ";"
    pattern = rf"(/\*.*?\*/)|(\n)|([^\s/{end}][^/{end}]*){end}?"
    for part in re.finditer(pattern, body, re.DOTALL):
        comment, newline, code = part.groups()
        if newline:
            behind = False
        elif code:
            text = " ".join(code.split())
            if kind == "enumerator":
                name, _, given = text.partition(" = ")
                value = int(given, 0) if given else value + 1
                text = f"{name} = {value}"
            found.append(Item(kind, [text], above))
            above, behind = "", True
        elif behind:
            found[-1].text = f"{found[-1].text} {plain(comment)}".strip()
        else:
            above = plain(comment)
    return found


def declaration(code: str, anonymous: Iterator[int]) -> Item:
    """Return the item that a declaration is."""
    pattern = r"(?:typedef\s+)?(struct|enum)\s*(\w*)\s*\{(.*)\}\s*(\w*)"
    if match := re.match(pattern, code, re.DOTALL):
        kind, tag, body, name = match.groups()
        name = name or tag or f"@flags{next(anonymous)}"
        inner = "member" if kind == "struct" else "enumerator"
        return Item(kind, [name], members=members(body, inner))
    text = " ".join(code.rstrip(";").split())
    opaque = re.fullmatch(r"(?:typedef )?struct (\w+)(?: \w+)?", text)
    if opaque:
        return Item("struct", [opaque[1]])
    if text.startswith("typedef "):
        return Item("type", [text.removeprefix("typedef ")])
    return Item("function", [text])


class Reader:
    """Puts the header's tokens together."""

    def __init__(self) -> None:
        self.introduction = ""
        self.sections = [Section("Types and constants")]
        self._comment = ""  # of the next declaration
        self._open: Item | None = None  # takes in what follows without a blank line
        self._numbers = iter(range(1, 100))

    def read(self, header: str) -> None:
        """Read all of it."""
        end = 0
        for token in TOKEN.finditer(header):
            same_line = "\n" not in header[end : token.start()]
            end = token.end()
            if token["comment"]:
                self._read_comment(plain(token["comment"]), same_line=same_line)
            elif token["blank"]:
                self._comment, self._open = "", None
            elif token["define"] and token["value"]:
                value = token["value"].partition("/*")[0].strip()
                self._comment = f"{self._comment}\n\nValue: ``{value}``".strip()
                self._add(Item("macro", [token["macro"]]))
            elif token["code"] and not re.fullmatch(r"struct \w+;", token["code"]):
                self._add(declaration(token["code"], self._numbers))

    def _read_comment(self, text: str, *, same_line: bool) -> None:
        heading = re.fullmatch(r"---- (\w+)(?:: (.*))? ----", text)
        if not self.introduction:
            self.introduction = text
        elif heading:
            self.sections.append(Section(heading[1].capitalize(), heading[2] or ""))
        elif same_line and self._open:
            behind = f"{text[0].upper()}{text[1:]}."
            self._open.text = f"{self._open.text}\n\n{behind}".strip()
        elif not text.startswith("cffi:"):
            self._comment, self._open = text, None

    def _add(self, item: Item) -> None:
        if self._open and self._open.kind == item.kind == "function":
            self._open.signatures += item.signatures
            return
        item.text, self._comment = self._comment, ""
        self.sections[-1].items.append(item)
        self._open = item


def parse(header: str) -> tuple[str, list[Section]]:
    """Return the introduction, and the sections with what they declare."""
    reader = Reader()
    reader.read(header)
    return reader.introduction, reader.sections


def names(sections: list[Section]) -> dict[str, str]:
    """Return each declared name with the role that links to it."""
    found = {}
    for section in sections:
        for item in section.items:
            for signature in item.signatures:
                match = re.search(r"\(\*(\w+)\)|(\w+)\(|(\w+)$", signature)
                name = next(filter(None, match.groups())) if match else signature
                role = {"function": "func"}.get(item.kind, item.kind)
                found[name] = role
            if item.kind == "enum":
                for member in item.members:
                    found[member.signatures[0].split()[0]] = "enumerator"
    return found
