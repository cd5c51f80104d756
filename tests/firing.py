"""
What the tests under fire share: the outcome checker, child programs, waiting.

A `History` notes every call it makes: when it was accepted, each outcome it got.
`violations` holds that against what the servers have seen (the witness) and says
what was promised and did not happen.  It is a pure function, so test_firing.py
can show that it catches what it should.
"""

import contextlib
import itertools
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from patience import PATIENCE

import jsonrpcc

LIMIT = 10.0 * PATIENCE  # seconds until a test that waits has failed
LATE = 1.0 * PATIENCE  # that an outcome may come after its deadline
MOST_SENDS = 3  # of an idempotent call

# Programs whose stderr is to stay empty lose servers on purpose.
logging.getLogger("jsonrpcc").addHandler(logging.NullHandler())

PROGRAMS = Path(__file__).parent / "programs"
CHILD_LIMIT = 30.0 * PATIENCE


def until(condition, limit=LIMIT, what="the condition"):
    """Wait until condition() is true; return what it returned."""
    never = threading.Event()
    end = time.monotonic() + limit
    while not (value := condition()):
        assert time.monotonic() < end, f"{what} did not come within {limit} s"
        never.wait(0.002)
    return value


# ---- the history of calls -----------------------------------------------------


@dataclass
class Outcome:
    time: float
    result: object = None
    error: Exception | None = None


@dataclass
class Entry:
    """One call: what was asked, whether it was accepted, what came of it."""

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
    """A span in which a server was up and nothing was done to it."""

    server: int
    since: float
    until: float


def violations(entries, seen, closed_at=None, *, priorities=(), healthy=()):
    """
    Return what broke the promises, one text each.

    *priorities* are those of the servers, for the *healthy* spans.
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
    """Find calls that lived while a server was healthy, and went to a worse one."""
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


class History:
    """Makes calls of the method echo and notes what comes of them."""

    def __init__(self, *, start=0):
        self.entries = []
        self.start = start
        self._nonces = itertools.count(start)

    def _entry(self, timeout, idempotent):
        now = time.monotonic()
        entry = Entry(next(self._nonces), now, now + timeout, idempotent)
        self.entries.append(entry)
        return entry

    def request(self, client, *, timeout=5.0, idempotent=False, pad=(), **options):
        """Call by callback; refused calls are noted as such and raise."""
        entry = self._entry(timeout, idempotent)
        entry.accepted = True  # an outcome may come before request() returns
        try:
            call = client.request(
                "echo", [entry.nonce, *pad], entry.note_result, entry.note_error,
                timeout=timeout, idempotent=idempotent, **options,
            )  # fmt: skip
        except BaseException:
            entry.accepted = False
            raise
        return entry, call

    def call(self, client, *, timeout=5.0, idempotent=False, pad=(), **options):
        """Call and wait; errors of accepted calls are noted and not raised."""
        entry = self._entry(timeout, idempotent)
        try:
            result = client.call(
                "echo", [entry.nonce, *pad], timeout=timeout, idempotent=idempotent,
                **options,
            )  # fmt: skip
        except jsonrpcc.QueueFull:
            raise
        except jsonrpcc.JsonRpcError as error:
            entry.accepted = not isinstance(error, jsonrpcc.ClientClosed)
            entry.accepted |= error.elapsed is not None
            if not entry.accepted:
                raise
            entry.note_error(error)
        else:
            entry.accepted = True
            entry.note_result(result)
        return entry

    async def await_call(self, client, *, timeout=5.0, idempotent=False):  # noqa: ASYNC109
        """As call(), of an AsyncClient."""
        entry = self._entry(timeout, idempotent)
        entry.accepted = True
        try:
            result = await client.call(
                "echo", [entry.nonce], timeout=timeout, idempotent=idempotent
            )
        except jsonrpcc.QueueFull:
            entry.accepted = False
        except jsonrpcc.JsonRpcError as error:
            entry.note_error(error)
        else:
            entry.note_result(result)
        return entry

    def submit(self, client, *, timeout=5.0, idempotent=False, **options):
        """Call by future."""
        entry = self._entry(timeout, idempotent)
        future = client.submit(
            "echo", [entry.nonce], timeout=timeout, idempotent=idempotent, **options
        )
        entry.accepted = True
        future.add_done_callback(lambda future: _note_future(entry, future))
        return entry, future

    def map(self, client, count, *, timeout=5.0, **options):
        """Call many, in order."""
        entries = [self._entry(timeout, False) for _ in range(count)]
        params = ([entry.nonce] for entry in entries)
        results = client.map(
            "echo", params, timeout=timeout, return_exceptions=True, **options
        )
        for entry, result in zip(entries, results, strict=True):
            entry.accepted = True
            # They are submitted as the window moves, so the deadline is not known.
            entry.deadline = time.monotonic()
            failed = isinstance(result, Exception)
            (entry.note_error if failed else entry.note_result)(result)

    def wait(self, limit=LIMIT):
        """Wait until every accepted call has an outcome."""
        until(lambda: not self.open(), limit, "an outcome of every call")

    def open(self):
        return [e for e in self.entries if e.accepted and not e.outcomes]

    def errors(self):
        return [e.error for e in self.entries if e.outcomes and e.error is not None]

    def check_outcomes(self):
        """Fail unless each accepted call had one outcome; there is no witness."""
        wrong = [e for e in self.entries if len(e.outcomes) != e.accepted]
        wrong += [e for e in self.entries if e.accepted and not e.error
                  and e.outcomes[0].result != [e.nonce]]  # fmt: skip
        assert not wrong, wrong[:10]

    def check(self, *servers, closed_at=None):
        """Fail if a promise was broken; servers are the witnesses."""
        seen = [
            Seen(request.params[0], number)
            for number, server in enumerate(servers)
            for request in server.requests
            if request.method == "echo"
        ]
        broken = violations(self.entries, seen, closed_at)
        assert not broken, f"{len(broken)} of {len(self.entries)}: {broken[:10]}"


def _note_future(entry, future):
    if future.cancelled():
        entry.note_error(jsonrpcc.Cancelled("cancelled", fate="unknown"))
    elif (error := future.exception()) is not None:
        entry.note_error(error)
    else:
        entry.note_result(future.result())


def echo(nonce, *_):
    """Return the nonce, whatever ballast came with it."""
    return [nonce]


METHODS = {"echo": echo}


def servers_string(*servers, priorities=()):
    """Return the servers string, with priorities from the first one on."""
    ranks = [*priorities, *[1] * len(servers)]
    return " ".join(
        f"{server.address},{rank}" for server, rank in zip(servers, ranks, strict=False)
    )


def shares(client, history, count, **options):
    """Make so many calls; return how many went to each server."""
    before = Counter({s.address: s.sent for s in client.servers()})
    for _ in range(count):
        history.request(client, **options)
    history.wait()
    after = Counter({s.address: s.sent for s in client.servers()})
    return after - before


def state_of(client, index=0):
    return client.servers()[index].state


def wait_for_state(client, state, *indexes):
    until(
        lambda: all(state_of(client, i) == state for i in indexes or (0,)),
        what=f"state {state}",
    )


# ---- child programs -------------------------------------------------------------


@dataclass
class Ended:
    """How a child program ended."""

    code: int
    out: str
    err: str
    time: float  # time.monotonic() when its end was seen

    def report(self):
        """Return what the program reported: the JSON on its last line."""
        assert self.code == 0, f"exit code {self.code}: {self.out}{self.err}"
        assert not self.err, self.err
        # So does a program in which ASan finds an error, with exitcode=0 and log_path.
        assert self.out, "it ended with code 0, and has said nothing"
        return json.loads(self.out.splitlines()[-1])


def start_program(name, *args, env=(), before=(), **options):
    """
    Start tests/programs/name, by the command *before* it if there is one.

    By faulthandler a crash, and SIGABRT, say where all its threads were.
    """
    python = [sys.executable, "-X", "faulthandler", "-W", "error"]
    return subprocess.Popen(
        [*before, *python, PROGRAMS / name, *map(str, args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PROGRAMS.parent), **dict(env)},
        **options,
    )


def run_program(name, *args, limit=CHILD_LIMIT, **options):
    """Run tests/programs/name to its end; one that hangs fails the test."""
    with start_program(name, *args, **options) as child:
        try:
            out, err = child.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGABRT)
            out, err = child.communicate()
            raise AssertionError(f"{name} {args} hangs: {out}{err}") from None
        return Ended(child.returncode, out, err, time.monotonic())


class ServerProcess:
    """A testing server in a process of its own, to be stopped and killed."""

    def __init__(self):
        self.child = start_program("server.py", stdin=subprocess.PIPE)
        self.address = self.child.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            self.child.send_signal(signal.SIGCONT)
            self.child.kill()
        self.child.communicate()

    def kill(self):
        self.child.kill()

    def stop(self):
        """Stop it, and wait until it has stopped."""
        self.child.send_signal(signal.SIGSTOP)
        status = Path(f"/proc/{self.child.pid}/stat")
        until(lambda: status.read_text().rpartition(")")[2].split()[0] == "T")

    def go_on(self):
        self.child.send_signal(signal.SIGCONT)


def descriptors():
    """Return how many descriptors this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def threads():
    """Return how many threads the kernel knows of this process."""
    return sum(1 for _ in Path("/proc/self/task").iterdir())
