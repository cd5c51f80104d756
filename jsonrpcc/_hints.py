"""What a mistaken caller most likely meant; used only for error messages."""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING, Any

from jsonrpcc._records import address_of

if TYPE_CHECKING:
    from collections.abc import Iterable

SERVERS = '"host1:port1,priority1 host2:port2,priority2"'

_SCHEME = re.compile(r"(?!unix:|file:///)\b[a-z+]+://", re.IGNORECASE)
_LISTED = re.compile(
    r"[,;]\s*(?:unix(?:-abstract)?:|dns[46]?:|srv:|file:/|[^\s,;]*[^\s,;\d][^\s,;]*:\d)"
)
_SCHEMED = re.compile(
    r"(?<!\S)([a-z][a-z0-9-]*):[^\s:,/]*[^\s:,/\d][^\s:,/]*:\d", re.IGNORECASE
)
_SCHEMES = ("dns", "dns4", "dns6", "fd", "file", "srv", "unix", "unix-abstract")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'timeout'?``, or nothing if no known name is near."""
    difflib = importlib.import_module("difflib")  # most programs never need it
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def no_attribute(client: Any, name: str) -> str:
    """Say that a client has no such attribute, and how to call a server's method."""
    kind = type(client).__name__
    msg = f"{kind!r} object has no attribute {name!r}"
    if name.startswith("_"):
        return msg
    wait = "await " if getattr(type(client), "_is_async", False) else ""
    how = f'{wait}client.call("{name}", ...) or {wait}client.proxy.{name}(...)'
    return f"{msg}; a method of the server is called by {how}"


def no_servers(value: Any) -> str:
    """Say how *value*, which is no str, is written as a servers string."""
    msg = f"servers must be a str like {SERVERS}, not {type(value).__name__}"
    pairs = [value] if _is_address(value) else value
    if isinstance(pairs, list | tuple) and all(
        isinstance(each, str) or _is_address(each) for each in pairs
    ):
        texts = [each if isinstance(each, str) else address_of(*each) for each in pairs]
        msg += f"; write {' '.join(texts)!r}"
    return msg


def _is_address(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) == 2  # noqa: PLR2004
        and isinstance(value[0], str)
        and isinstance(value[1], int)
    )


def servers_fault(servers: str) -> str | None:
    """Say what is wrong with a servers string that looks like another notation."""
    if match := _SCHEME.search(servers):
        at = match.start()
        rest = servers[match.end() :].split(maxsplit=1)[0].rstrip("/")
        scheme = match[0].removesuffix("//").lower()
        if scheme.rstrip(":") in _SCHEMES:
            rest = scheme + rest
            return f"servers: no // is expected at offset {at}: write {rest!r}"
        return f"servers: no scheme is expected at offset {at}: write {rest!r}"
    if match := _LISTED.search(servers):
        at = match.start()
        return (
            f"servers: a space is expected between two of them, not {servers[at]!r}, "
            f"at offset {at}: {servers[at : at + 32]!r}"
        )
    for match in _SCHEMED.finditer(servers):
        if match[1] not in _SCHEMES:
            hint = did_you_mean(match[1].lower(), _SCHEMES) or "; is 'dns:' meant?"
            return (
                f"servers: unknown scheme {match[1]!r} at offset {match.start()}{hint}"
            )
    return None
