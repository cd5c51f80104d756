"""
The outcome checker: compares what calls were promised with what happened.

`violations` compares the calls that a `history.History` has recorded with what the
servers have seen (the witness), and returns the promises that were broken.  It
is a pure function, so test_history.py can show that it catches what it should.
"""

import time
from dataclasses import dataclass, field

from time_limits import PATIENCE

import jsonrpcc

LATE = 1.0 * PATIENCE  # how late an outcome may be after its deadline
MOST_SENDS = 3  # of an idempotent call


@dataclass
class Outcome:
    time: float
    result: object = None
    error: Exception | None = None


@dataclass
class Entry:
    """One call: its arguments, whether it was accepted, and its outcomes."""

    nonce: int
    submitted: float
    deadline: float
    idempotent: bool = False
    accepted: bool = False
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def error(self):
        return self.outcomes[0].error

    def note_result(self, result):
        self.outcomes.append(Outcome(time.monotonic(), result=result))

    def note_error(self, error):
        self.outcomes.append(Outcome(time.monotonic(), error=error))


@dataclass(frozen=True)
class Seen:
    """A request that a server received whole."""

    nonce: int
    server: int


@dataclass(frozen=True)
class Healthy:
    """A period in which a server was up and undisturbed."""

    server: int
    since: float
    until: float


def violations(entries, seen, closed_at=None, *, priorities=(), healthy=()):
    """
    Return the promises that were broken, one text each.

    *priorities* are those of the servers, for the *healthy* periods.
    """
    found = _passed_over(entries, seen, priorities, healthy)
    times_seen = {}
    for one in seen:
        times_seen.setdefault(one.nonce, []).append(one.server)
    known = {entry.nonce for entry in entries}
    found += [
        f"{n}: a server saw a request nobody made" for n in times_seen if n not in known
    ]
    for entry in entries:
        places = times_seen.get(entry.nonce, [])
        found += [
            f"{entry.nonce}: {text}" for text in _faults(entry, places, closed_at)
        ]
    return found


def _passed_over(entries, seen, priorities, healthy):
    """Find calls that went to a worse server although a better one was healthy."""
    places = {}
    for one in seen:
        places.setdefault(one.nonce, []).append(one.server)
    found = []
    for entry in entries:
        if not entry.accepted or len(entry.outcomes) != 1:
            continue
        outcome = entry.outcomes[0]
        best = max(
            (
                priorities[span.server]
                for span in healthy
                if span.since <= entry.submitted and outcome.time <= span.until
            ),
            default=None,
        )
        if best is None:
            continue
        went = places.get(entry.nonce, [])
        worse = [server for server in went if priorities[server] < best]
        if worse:
            found.append(f"{entry.nonce}: a server of {best} was up, went to {worse}")
        if isinstance(outcome.error, jsonrpcc.ServerFailure):
            found.append(f"{entry.nonce}: a server was up, yet {outcome.error!r}")
    return found


def _faults(entry, places, closed_at):  # noqa: C901  (a list of rules)
    if not entry.accepted:
        if entry.outcomes:
            yield "refused, and yet an outcome"
        if places:
            yield "refused, and yet sent"
        return
    if len(entry.outcomes) != 1:
        yield f"{len(entry.outcomes)} outcomes"
        return
    if len(places) > (MOST_SENDS if entry.idempotent else 1):
        yield f"seen whole by servers {places}"
    (outcome,) = entry.outcomes
    if outcome.time > entry.deadline + LATE:
        yield f"outcome {outcome.time - entry.deadline:.3f} s late"
    if closed_at is not None and outcome.time > closed_at:
        yield "outcome after close() had returned"
    error = outcome.error
    if error is None:
        if outcome.result != [entry.nonce]:
            yield f"result of another call: {outcome.result!r}"
        if not places:
            yield "a result that no server sent"
    elif not isinstance(error, jsonrpcc.JsonRpcError):
        yield f"a foreign error: {error!r}"
    else:
        yield from _error_faults(error, entry, places, outcome.time)


def _error_faults(error, entry, places, at):
    if error.fate == "not_sent" and places:
        yield f"not_sent, and servers {places} saw it"
    if error.fate == "answered" and not places:
        yield "answered, and no server saw it"
    if isinstance(error, jsonrpcc.ConnectionLost) and error.fate != "unknown":
        yield f"connection lost, and {error.fate}"
    if isinstance(error, jsonrpcc.RequestTimeout) and at < entry.deadline - 0.005:
        yield f"timeout {entry.deadline - at:.3f} s early"
