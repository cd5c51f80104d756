"""
``jsonrpcc call SERVERS METHOD -``: a call for each text on stdin.

One thread reads, submits and prints, so that Ctrl-C and a reader that goes away end it
at once; the client's own thread only stores outcomes and rings.  Nothing grows with
the input: as long as as many calls are in flight as allowed, no more is read.
"""

from __future__ import annotations

import collections
import os
import re
import select
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import jsonrpcc
from jsonrpcc._cli.exits import OK
from jsonrpcc._cli.output import complain_of, write

CHUNK = 65536
MOST = 16 * 1024 * 1024  # bytes of a text; no request may be larger by default

_STRINGS = re.compile(rb"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'")


class Texts:
    """
    Splits input into JSON texts, each with the number of its first line.

    A text is a line, and the lines after it as long as its brackets are open.  A line
    that begins with a bracket begins a text, so a broken one does not take those
    after it along.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._line = 0
        self._open: list[bytes] = []  # lines of a text that goes on
        self._depth = 0
        self._size = 0
        self._first = 0  # the number of its first line
        self._whole: collections.deque[tuple[int, bytes]] = collections.deque()

    def feed(self, data: bytes) -> None:
        """Take input; none at all is its end."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if not data and self._rest:
            lines.append(self._rest)
            self._rest = b""
        for line in lines:
            self._line += 1
            self._take(line)
        if len(self._rest) > MOST:  # and it will be refused
            self._line += 1
            self._take(self._rest)
            self._rest = b""
        if not data:
            self._end()

    def _take(self, line: bytes) -> None:
        if self._open and line[:1] in {b"[", b"{"}:
            self._end()
        if not self._open:
            if not line.strip():
                return
            self._first = self._line
        self._open.append(line)
        self._size += len(line)
        bare = _STRINGS.sub(b"", line)
        self._depth += bare.count(b"[") + bare.count(b"{")
        self._depth -= bare.count(b"]") + bare.count(b"}")
        if self._depth <= 0 or self._size > MOST:
            self._end()

    def _end(self) -> None:
        if self._open:
            self._whole.append((self._first, b"\n".join(self._open)))
        self._open, self._depth, self._size = [], 0, 0

    def next(self) -> tuple[int, bytes] | None:
        """Return the next text and its line; None: not yet."""
        return self._whole.popleft() if self._whole else None


class Run:
    """Calls, from their params on stdin to their lines on stdout."""

    def __init__(
        self, submit: Callable[..., object], in_flight: int, text: Callable[[Any], str]
    ) -> None:
        """Begin; *submit* is called with params and both callbacks."""
        self._submit = submit
        self._in_flight = in_flight
        self._text = text
        self._texts = Texts()
        self._is_over = sys.stdin is None
        self._input = -1 if sys.stdin is None else sys.stdin.fileno()
        self._lines: collections.deque[int] = collections.deque()  # not printed yet
        self._numbered = self._printed = 0
        self._outcomes: dict[int, tuple[bool, Any]] = {}
        self._sleeps = False
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def close(self) -> None:
        """End; no callback may run any more."""
        os.close(self._bell)

    def _store(self, number: int, ok: bool, outcome: Any) -> None:
        """Store an outcome; on the client's thread."""
        self._outcomes[number] = ok, outcome
        if self._sleeps:
            self._sleeps = False
            os.eventfd_write(self._bell, 1)

    def _send(self, line: int, text: bytes) -> None:
        number = self._numbered
        self._numbered += 1
        self._lines.append(line)
        on_result = partial(self._store, number, True)
        on_error = partial(self._store, number, False)
        try:
            self._submit(text.decode(), on_result, on_error)
        except (TypeError, ValueError, jsonrpcc.QueueFull) as error:
            self._store(number, False, error)

    def _print(self, complain: Callable[[Exception, int], None]) -> None:
        """Print what has its turn."""
        ready = []
        while self._printed in self._outcomes:
            ok, outcome = self._outcomes.pop(self._printed)
            self._printed += 1
            line = self._lines.popleft()
            if ok:
                ready.append(self._text(outcome))
            else:
                write("".join(ready))
                ready.clear()
                complain(outcome, line)
        if ready:
            write("".join(ready))

    def _wait(self, *, wants_input: bool) -> None:
        """Wait for an outcome that has its turn, or for input; then read."""
        self._sleeps = True
        if self._printed in self._outcomes:
            self._sleeps = False
            return
        files = [self._bell, *([self._input] if wants_input else [])]
        readable = select.select(files, [], [])[0]
        self._sleeps = False
        if self._bell in readable:
            os.eventfd_read(self._bell)
        if self._input in readable:
            data = os.read(self._input, CHUNK)
            self._is_over = not data
            self._texts.feed(data)

    def __call__(self, complain: Callable[[Exception, int], None]) -> None:
        """Make all calls; *complain* is called with each error and its line."""
        while True:
            has_room = self._numbered - self._printed < self._in_flight
            found = self._texts.next() if has_room else None
            if found is not None:
                self._send(*found)
                if self._numbered % 64:  # printing each time would be many writes
                    continue
            elif self._is_over and self._printed == self._numbered:
                return
            else:
                self._wait(wants_input=has_room and not self._is_over)
            self._print(complain)


def call_each(
    client: jsonrpcc.Client,
    method: str,
    options: dict[str, Any],
    *,
    in_flight: int,
    text: Callable[[Any], str],
    as_json: bool,
) -> int:
    """Call *method* for each text on stdin; return the exit code."""
    codes: list[int] = []  # the first is enough

    def complain(error: Exception, line: int) -> None:
        code = complain_of(error, as_json=as_json, line=line)
        if not codes:
            codes.append(code)

    def submit(params: str, on_result: Any, on_error: Any) -> None:
        client.request(method, params, on_result, on_error, **options)

    run = Run(submit, in_flight, text)
    try:
        run(complain)
    finally:
        client.close()
        run.close()
    return codes[0] if codes else OK
