"""
Colours on a terminal: whether, and those of JSON.

rich has colours for JSON, too, but takes as long to import as all the rest of
``jsonrpcc call``.
"""

from __future__ import annotations

import os
import re
from typing import TextIO

CHOICES = ("auto", "always", "never")

_KEY, _STRING, _NUMBER, _WORD = "34;1", "32", "36", "35"

# A string and the colon that makes it a key, a word, a number.  What comes is valid.
_TOKEN = re.compile(
    r'("(?:[^"\\]|\\.)*")(\s*:)?|\b(true|false|null)\b|(-?\d[-+.\deE]*)'
)


def wants_colour(choice: str, stream: TextIO | None) -> bool:
    """Whether to write colours on *stream*; see https://no-color.org for NO_COLOR."""
    if choice != "auto":
        return choice == "always"
    return (
        stream is not None
        and stream.isatty()
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM") != "dumb"
    )


def _painted(found: re.Match[str]) -> str:
    string, colon, word, number = found.groups()
    if string is None:
        code, text = (_WORD, word) if number is None else (_NUMBER, number)
    else:
        code, text = (_STRING, string) if colon is None else (_KEY, string)
    return f"\x1b[{code}m{text}\x1b[0m{colon or ''}"


def paint(text: str) -> str:
    """Return JSON text in colours."""
    return _TOKEN.sub(_painted, text)
