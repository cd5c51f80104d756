"""
What the servers ran and what the callers were told: one byte each for every call.

All processes map the same file, so it outlives whoever is killed.  It holds, as
ledger.h lays it out, 512 lives of servers (calls, connects: two 64-bit numbers each);
then, for call n, how often servers ran it, how many outcomes its caller had, and the
last of them.  Calls with an odd number are idempotent.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path
from typing import Literal

LIVES = 512
LIFE = struct.Struct("=QQ")
Fate = Literal["answered", "not_sent", "unknown"]
OUTCOMES: dict[str, int] = {"answered": 1, "not_sent": 2, "unknown": 3}


def idempotent(call: int) -> bool:
    """Whether that call may be sent again."""
    return call % 2 == 1


class Ledger:
    """The mapped file."""

    def __init__(self, path: Path, calls: int) -> None:
        self.path, self.calls = path, calls
        self._runs = LIVES * LIFE.size
        self._counts = self._runs + calls
        self._outcomes = self._counts + calls
        size = self._outcomes + calls
        with path.open("r+b" if path.exists() else "w+b") as file:
            file.truncate(size)
            self._map = mmap.mmap(file.fileno(), size)

    def note(self, call: int, fate: str) -> None:
        """Note an outcome; only the caller of that call does."""
        self._map[self._counts + call] += 1
        self._map[self._outcomes + call] = OUTCOMES[fate]

    def life(self, number: int) -> tuple[int, int]:
        """Return calls and connects of a server, from its start to its end."""
        calls, connects = LIFE.unpack_from(self._map, number * LIFE.size)
        return calls, connects

    @property
    def runs(self) -> bytes:
        """How often servers ran each call."""
        return self._map[self._runs : self._counts]

    @property
    def counts(self) -> bytes:
        """How many outcomes each caller had."""
        return self._map[self._counts : self._outcomes]

    @property
    def outcomes(self) -> bytes:
        """The outcome of each call; 0: none."""
        return self._map[self._outcomes :]


def faults(ledger: Ledger) -> dict[str, int]:
    """Count what must not be; every number should be 0."""
    found = dict.fromkeys(
        ("without an outcome", "with more than one outcome", "idempotent, and failed",
         "not idempotent, and run twice", "not sent, and run", "answered, and not run"),
        0,
    )  # fmt: skip
    told = zip(ledger.runs, ledger.counts, ledger.outcomes, strict=True)
    for call, (runs, count, outcome) in enumerate(told):
        answered = outcome == OUTCOMES["answered"]
        found["without an outcome"] += count == 0
        found["with more than one outcome"] += count > 1
        found["idempotent, and failed"] += idempotent(call) and count and not answered
        found["not idempotent, and run twice"] += not idempotent(call) and runs > 1
        found["not sent, and run"] += outcome == OUTCOMES["not_sent"] and runs > 0
        found["answered, and not run"] += answered and runs == 0
    return found
