"""The log of slow calls: ``jsonrpcc.slow``."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from jsonrpcc._durations import ms_text
from jsonrpcc._errors import JsonRpcError, RemoteError
from jsonrpcc._jsonrpcc import ffi, lib
from jsonrpcc._log import hushed, is_hushed, tell
from jsonrpcc._snapshots import address_at

logger = logging.getLogger("jsonrpcc.slow")

MOST = 10
"""How many lines are written in a second; the next one counts the others."""

PERIOD = 1.0


class SlowLog:
    """
    Writes a line for each call that took long, with where its time went.

    Any thread may use it, also a signal handler in the middle of it; so a thread that
    finds it in use does not wait, and leaves its line to the count.

    Params are never in it: they may be secret, or large.

    Attributes:
        us: Microseconds from which on a call is slow.
    """

    def __init__(self, us: int, name: str | None, client: Any) -> None:
        self.us = us
        self._prefix = "" if name is None else f"{name}: "
        self._client = client
        self._lock = threading.Lock()
        self._start = 0.0
        self._written = 0
        self._more = 0

    def results(self, completions: Any, method_of: Callable[[int], Any]) -> None:
        """
        Look at results that were fetched, before they are delivered.

        *method_of* returns the method for a token, or None for a call that nobody
        waits for any more.  What goes wrong is no fault of the results, and is told
        by what `logging` does with errors.
        """
        try:
            size = ffi.new("size_t *")
            i = lib.jsonrpcc_completions_slow(completions, 0, self.us)
            while i < completions.count:
                method = method_of(completions.tokens[i])
                if method is not None:
                    origin = lib.jsonrpcc_completions_origin(completions, i)
                    lib.jsonrpcc_completions_result(completions, i, size)
                    self._note(method, origin, size[0], "ok")
                i = lib.jsonrpcc_completions_slow(completions, i + 1, self.us)
        except Exception:  # noqa: BLE001 - handlers raise what they like
            tell()

    def result(self, outcome: Any, method: str) -> None:
        """Look at the outcome of a call that was slow, and has a result."""
        try:
            self._note(method, outcome, outcome.json_len, "ok")
        except Exception:  # noqa: BLE001
            tell()

    def failure(self, outcome: Any, method: str, error: JsonRpcError) -> None:
        """Look at an outcome that became an error."""
        if outcome.elapsed_us < self.us:
            return
        try:
            what = type(error).__name__
            if isinstance(error, RemoteError):
                what = f"{what} {error.code}"
            self._note(method, outcome, outcome.json_len, what)
        except Exception:  # noqa: BLE001
            tell()

    def _note(self, method: str, spent: Any, size: int, ended: str) -> None:
        if is_hushed() or not logger.isEnabledFor(logging.WARNING):
            return
        if not self._lock.acquire(blocking=False):
            self._more += 1
            return
        try:
            more = self._may_write()
        finally:
            self._lock.release()
        if more is None:
            return
        server = address_at(self._client, spent.server)
        facts = {
            "method": method,
            "server": server,
            "elapsed": spent.elapsed_us / 1e6,
            "waited": spent.waited_us / 1e6,
            "answered": spent.answered_us / 1e6,
            "attempts": spent.attempts,
            "size": size,
            "outcome": ended,
        }
        where = f" at {server}" if server else ""
        text = (
            f"{self._prefix}slow: {method}{where}, {ms_text(spent.elapsed_us)} ms:"
            f" waited {ms_text(spent.waited_us)} ms, answered in"
            f" {ms_text(spent.answered_us)} ms, attempts {spent.attempts},"
            f" {size} bytes, {ended}"
        )
        self._write(text, more, facts)

    def _may_write(self) -> int | None:
        """Count a line; return how many were left out before it, None: this, too."""
        now = time.monotonic()
        if now - self._start >= PERIOD:
            self._start, self._written = now, 0
        if self._written >= MOST:
            self._more += 1
            return None
        self._written += 1
        more, self._more = self._more, 0
        return more

    @staticmethod
    def _write(text: str, more: int, facts: dict[str, Any]) -> None:
        if more:
            text += f", and {more:,} more"
        with hushed():
            logger.warning("%s", text, extra={"slow_call": facts})

    def flush(self) -> None:
        """Write how many were left out last, at the end."""
        more, self._more = self._more, 0
        if not more:
            return
        try:
            with hushed():
                logger.warning("%sslow: %s more", self._prefix, f"{more:,}")
        except Exception:  # noqa: BLE001
            tell()


def methods_in(calls: Any) -> Callable[[int], str | None]:
    """Return what returns the method of a call, by its token, or None."""

    def method_of(token: int) -> str | None:
        entry = calls.get(token)
        return None if entry is None else entry[-1]

    return method_of
