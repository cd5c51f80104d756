"""
What the tests with faults share: records of calls and their outcomes, and waiting.

A `History` records every call it makes: when it was accepted, and each outcome it got.
"""

import itertools
import logging
import threading
import time
from collections import Counter

from checker import Entry, Seen, violations
from time_limits import PATIENCE

import jsonrpcc

LIMIT = 10.0 * PATIENCE  # seconds after which a test that waits fails

# Some programs lose servers on purpose, and their stderr must stay empty.
logging.getLogger("jsonrpcc").addHandler(logging.NullHandler())


def until(condition, limit=LIMIT, what="the condition"):
    """Wait until condition() is true; return what it returned."""
    never = threading.Event()
    end = time.monotonic() + limit
    while not (value := condition()):
        assert time.monotonic() < end, f"{what} did not come within {limit} s"
        never.wait(0.002)
    return value


class History:
    """Makes calls of the method echo and records their outcomes."""

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
        """Call with callbacks; refused calls are recorded as such and raise."""
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
        """Call and wait; errors of accepted calls are recorded and not raised."""
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
        """Like call(), with an AsyncClient."""
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
        """Call with a future."""
        entry = self._entry(timeout, idempotent)
        future = client.submit(
            "echo", [entry.nonce], timeout=timeout, idempotent=idempotent, **options
        )
        entry.accepted = True
        future.add_done_callback(lambda future: _note_future(entry, future))
        return entry, future

    def map(self, client, count, *, timeout=5.0, **options):
        """Call with map()."""
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
        """Fail unless each accepted call had exactly one outcome; without a witness."""
        wrong = [e for e in self.entries if len(e.outcomes) != e.accepted]
        wrong += [e for e in self.entries if e.accepted and not e.error
                  and e.outcomes[0].result != [e.nonce]]  # fmt: skip
        assert not wrong, wrong[:10]

    def check(self, *servers, closed_at=None):
        """Fail if a promise was broken; the servers are the witnesses."""
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
    """Return the nonce without the ballast."""
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
    """Wait until servers are in that state; one that is up may still be proving."""

    def is_there(index):
        info = client.servers()[index]
        return info.state == state or (state == "up" and info.is_used)

    until(lambda: all(map(is_there, indexes or (0,))), what=f"state {state}")
