"""Seconds outside, milliseconds in the C core."""

from __future__ import annotations

import math
import time
from typing import Any

LONGEST_MS = 2**31 - 1


def milliseconds(name: str, seconds: Any) -> int:
    """
    Return a duration as the C core expects it, rounded up.

    Raises:
        TypeError: *seconds* is not a number (nor None: no wait is endless).
        ValueError: It is not positive, not finite, or beyond 24 days.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        msg = f"{name} must be a number of seconds, not {seconds!r}"
        raise TypeError(msg)
    if not 0 < seconds <= LONGEST_MS / 1000:
        most = LONGEST_MS // 1000
        msg = f"{name} must be above 0 and at most {most} seconds, not {seconds!r}"
        raise ValueError(msg)
    return math.ceil(seconds * 1000)


def remaining(deadline: float) -> int:
    """Return the milliseconds until a time of `time.monotonic`, rounded up, or 0."""
    return max(0, math.ceil((deadline - time.monotonic()) * 1000))


def ms_text(us: int) -> str:
    """Return a duration in milliseconds, as messages have it."""
    return f"{us / 1000:.0f}" if us >= 1000 else f"{us / 1000:.1f}"  # noqa: PLR2004
