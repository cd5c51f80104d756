"""What C code leaves of completions: failures, events, results it could not decode."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Protocol

from jsonrpcc._session import view

if TYPE_CHECKING:
    from collections.abc import Callable

    from jsonrpcc._errors import JsonRpcError
    from jsonrpcc._log import Log
    from jsonrpcc._session import Session

PAUSE = 0.01
"""Seconds until memory is asked for again, where there was none."""


class Calls(Protocol):
    """Whom to tell the outcome of which call: `Callbacks` or `Futures`."""

    def get(self, token: int, /) -> Any:
        """Return the entry, whose last item is the method, or None."""

    def discard(self, token: int, /) -> None:
        """Forget the entry; takes no memory."""


class Rest:
    """
    Delivers one outcome after the other, and none twice.

    What an outcome takes of memory is made before its call is let go of.  So where
    there is none, nothing is lost: the completions itself tells what is left of it, and
    the next deliver() goes on there.
    """

    def __init__(
        self,
        completions: Any,
        calls: Calls,
        session: Session,
        *,
        undecoded: Callable[[str, Any, Any], Exception],
        guarded: type[BaseException],
        finish: Callable[[Any, Any, Any], None],
        repeatable: bool,
        tell: Callable[[Any], None],
    ) -> None:
        """
        *guarded* is what a codec may raise and is taken for a refusal.

        *repeatable*: it is no harm to finish a call twice, and it is finished before
        it is let go of.  So an exception from outside, that of a signal handler,
        loses no outcome.
        """
        self._completions = completions
        self._at = 0
        self._calls = calls
        self._decode = session.codec.decode
        self._outcomes = session.outcomes
        self._undecoded = undecoded
        self._guarded = guarded
        self._finish = finish
        self._repeatable = repeatable
        self._tell = tell

    # Each of these ends with the frame that knew a callback, or the loop would
    # hold on to the last one until the next fetch.  And each is short: to handle an
    # error behind its first 256 instructions Python itself wants memory.

    def _decoded(self, i: int, method: str) -> tuple[Any, Exception | None]:
        """Return a result and None, or None and why it can not be decoded."""
        completions = self._completions
        start = completions.starts[i] - completions.starts[0] + 1
        text = view(completions.results + start, completions.lens[i])
        try:
            return self._decode(text), None
        except self._guarded as cause:
            return None, self._undecoded(method, cause, completions.origins[i])

    def _deliver_result(self) -> None:
        """One of the results can not be decoded: that is its call's matter alone."""
        completions, calls, i = self._completions, self._calls, self._at
        token, following = completions.tokens[i], i + 1
        entry = calls.get(token)
        result, error = (None, None) if entry is None else self._decoded(i, entry[-1])
        if entry is not None and self._repeatable:
            self._finish(entry, result, error)
        is_last = following == completions.count
        self._at = following
        if is_last:
            completions.count = self._at = 0
        calls.discard(token)
        if entry is not None and not self._repeatable:
            self._finish(entry, result, error)

    def _deliver_failure(self) -> None:
        completions, calls, i = self._completions, self._calls, self._at
        failure, following = completions.failures[i], i + 1
        token = failure.token
        entry = calls.get(token)
        error: JsonRpcError | None = None
        if entry is not None:
            error = self._outcomes.error(failure.outcome, entry[-1])
            if self._repeatable:
                self._finish(entry, None, error)
        is_last = following == completions.failure_count
        self._at = following
        if is_last:
            completions.failure_count = self._at = 0
        calls.discard(token)
        if entry is not None and not self._repeatable:
            self._finish(entry, None, error)

    def _deliver_event(self) -> None:
        """Tell an event; one that there is no memory to tell is missed."""
        completions, i = self._completions, self._at
        self._at = i + 1
        if self._at == completions.event_count:
            completions.event_count = self._at = 0
        self._tell(completions.events[i])

    def deliver(self) -> bool:
        """
        Deliver what is left of the completions; True: that was all.

        A listener may come here again, and then leaves nothing.

        Raises:
            MemoryError: Call it again, later.
        """
        completions = self._completions
        while True:
            if completions.count:
                self._deliver_result()
            elif completions.failure_count:
                self._deliver_failure()
            elif completions.event_count:
                self._deliver_event()
            else:
                return True


_GOOD_NEWS = ("connected", "trusted", "back")


def tell_event(log: Log, session: Session, record: Any) -> None:
    """Log an event, one line a change of state, and hand it to the listener."""
    event = session.outcomes.event(record)
    log.write(
        logging.INFO if event.kind in _GOOD_NEWS else logging.WARNING,
        (event.kind, event.server),
        "%s %s%s",
        event.server,
        event.kind.replace("_", " "),
        f": {event.reason}" if event.reason else "",
    )
    on_event = session.on_event
    if on_event is None:
        return
    try:
        on_event(event)
    except Exception as error:  # noqa: BLE001
        tell_failed_listener(log, on_event, error)


def tell_failed_listener(log: Log, on_event: Any, error: BaseException) -> None:
    """Log what a listener raised."""
    kind = None  # one of its own
    log.write(logging.ERROR, kind, "on_event %r failed", on_event, error=error)
