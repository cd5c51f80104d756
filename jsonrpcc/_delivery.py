"""Delivers what C code leaves: failures, events, results that it cannot decode."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from jsonrpcc._jsonrpcc import lib
from jsonrpcc._session import result_of
from jsonrpcc._speedups import attempt

if TYPE_CHECKING:
    from jsonrpcc._errors import JsonRpcError
    from jsonrpcc._log import Log
    from jsonrpcc._records import EventKind
    from jsonrpcc._session import Session

_LEVELS: dict[EventKind, int] = {  # of most events, it is WARNING
    "connected": logging.INFO,
    "trusted": logging.INFO,
    "back": logging.INFO,
    "added": logging.INFO,
    "leaving": logging.INFO,
    "gone": logging.INFO,
    "resolved": logging.INFO,
    "all_down": logging.ERROR,
    "renewed": logging.DEBUG,
}
_CERTIFICATES = ("connected", "certificates")  # when there is one to look at

PAUSE = 0.01
"""Seconds until the next try after memory has run out."""


class Calls(Protocol):
    """Which callbacks or future get the outcome of a call: `Callbacks` or `Futures`."""

    def get(self, token: int, /) -> Any:
        """Return the entry, whose last item is the method, or None."""

    def discard(self, token: int, /) -> None:
        """Forget the entry; allocates nothing."""


class Delivery:
    """
    Delivers outcomes one by one, and none twice.

    The memory for an outcome is allocated before its call is forgotten.  So if there
    is none, nothing is lost: the completions record what is left of them, and the next
    deliver() continues there.

    Attributes:
        guarded: Exceptions of a codec or listener that mean no more than a refused
            result, or an event that was heard.
        repeatable: A call may be finished twice, and is finished before it is
            forgotten.  So an exception from outside, such as a signal handler's, loses
            no outcome.
        held: The arguments of finish() for a call that was forgotten and cannot be
            finished twice.  finish() sets this to None once it cannot turn back.
    """

    guarded: ClassVar[type[BaseException]]
    repeatable: ClassVar[bool]

    def __init__(
        self, session: Session, completions: Any, calls: Calls, log: Log
    ) -> None:
        self.session = session
        self.log = log
        self._completions = completions
        self._at = 0
        self._calls = calls
        self.held: tuple[Any, Any, Any] | None = None

    # ---- implemented by subclasses --------------------------------------------

    def finish(self, entry: Any, result: Any, error: Any) -> None:
        """Deliver the outcome of a call: *result*, or *error* if that is not None."""
        raise NotImplementedError

    def undecoded(self, method: str, cause: Any, origin: Any) -> Any:
        """Return the error for a result that the codec refused."""
        return self.session.outcomes.undecoded(method, cause, origin)

    def tell(self, record: Any) -> None:
        """Log an event, one line per change of state, and pass it to the listener."""
        session, log = self.session, self.log
        try:
            event = session.outcomes.event(record)
            level = _LEVELS.get(event.kind, logging.WARNING)
            if event.kind == "certificates" and not event.reason:
                level = logging.INFO
            log.write(
                level,
                (event.kind, event.server),
                "%s%s%s",
                event.server and f"{event.server} ",
                event.kind.replace("_", " "),
                f": {event.reason}" if event.reason else "",
            )
            if event.kind == "all_down":
                log.remind("still all down: %s", session.outcomes.unreachable)
            elif event.kind == "available":
                log.remind()
            if event.kind in _CERTIFICATES:
                text = session.outcomes.expiring(record.server)
                if text:
                    log.write(logging.WARNING, ("expiring", event.server), "%s", text)
            if session.on_event is not None:
                session.on_event(event)
        except self.guarded as error:
            kind = None  # its own
            log.write(
                logging.ERROR, kind, "on_event %r failed", session.on_event, error=error
            )

    # ---- what is delivered ----------------------------------------------------

    # A callback is known only to the frames of these, or the loop would keep the last
    # one until the next fetch.  And each is short: to handle an error after the first
    # 256 instructions, Python itself needs memory.

    def _decoded(self, i: int, entry: Any) -> tuple[Any, Exception | None]:
        """Return a result and None, or None and why it cannot be decoded."""
        completions = self._completions
        text: Any = result_of(completions, i)
        *_, decoder, method = entry
        decode = self.session.codec.decode
        if decoder is not None:
            decode, text = decoder.decode, bytes(text)
        cause: BaseException | None
        try:
            result, cause = attempt(decode, text, self.guarded)
        except MemoryError as error:
            result, cause = None, error
        if cause is None:
            return result, None
        origin = lib.jsonrpcc_completions_origin(completions, i)
        return None, self.undecoded(method, cause, origin)

    def _deliver_result(self) -> None:
        """Decode alone: a result that cannot be decoded affects only its own call."""
        completions, calls, i = self._completions, self._calls, self._at
        token, following = completions.tokens[i], i + 1
        entry = calls.get(token)
        result, error = (None, None) if entry is None else self._decoded(i, entry)
        if entry is not None and self.repeatable:
            self.finish(entry, result, error)
            entry = None
        held = None if entry is None else (entry, result, error)
        is_last = following == completions.count
        self._at = following
        if is_last:
            completions.count = self._at = 0
        self.held = held
        calls.discard(token)

    def _deliver_failure(self) -> None:
        completions, calls, i = self._completions, self._calls, self._at
        failure = lib.jsonrpcc_completions_failure(completions, i)
        following = i + 1
        token = failure.token
        entry = calls.get(token)
        error: JsonRpcError | None = None
        if entry is not None:
            error = self.session.outcomes.error(failure.outcome, entry[-1])
            if self.repeatable:
                self.finish(entry, None, error)
                entry = None
        held = None if entry is None else (entry, None, error)
        is_last = following == completions.failure_count
        self._at = following
        if is_last:
            completions.failure_count = self._at = 0
        self.held = held
        calls.discard(token)

    def _deliver_event(self) -> None:
        """Deliver an event, or drop it if there is no memory."""
        completions, i = self._completions, self._at
        event = lib.jsonrpcc_completions_event(completions, i)
        self._at = i + 1
        if self._at == completions.event_count:
            completions.event_count = self._at = 0
        self.tell(event)

    def deliver(self) -> bool:
        """
        Deliver what is left of the completions.  True: that was all.

        A listener may call this again; then nothing is left.

        Raises:
            MemoryError: Call it again, later.
        """
        completions = self._completions
        while True:
            if self.held is not None:
                self.finish(*self.held)
            elif completions.count:
                self._deliver_result()
            elif completions.failure_count:
                self._deliver_failure()
            elif completions.event_count:
                self._deliver_event()
            else:
                return True
