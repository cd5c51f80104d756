"""
A state machine drives a real client through any order of events.

hypothesis chooses the steps, and shortens those that break a promise.  The model is
the history of calls, and the checker of histories the judge.
"""

import gc
import os
from collections import Counter

from checker import Seen, violations
from history import METHODS, History, until
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)

from jsonrpcc import Client, QueueFull
from jsonrpcc.testing import (
    Close,
    Delay,
    Drop,
    Duplicate,
    NeverRead,
    Reset,
    Server,
    Split,
    WrongId,
)

# "make soak" asks for more.
EXAMPLES = int(os.environ.get("JSONRPCC_STATES", "10"))
STEPS = 30
SERVERS = 3
MOST = 8  # calls in flight: the callers meet the limit

places = st.integers(0, SERVERS - 1)
timeouts = st.sampled_from([0.02, 0.05, 0.3])
options = st.fixed_dictionaries(
    {"timeout": timeouts, "idempotent": st.booleans()},
    optional={"wait_for_ready": st.just(True)},
)
faults = st.sampled_from(
    [
        Drop(),
        Drop(times=3),
        Delay(0.03),
        Close(),
        Reset(times=2),
        Duplicate(),
        WrongId(0),
        NeverRead(),
        Split(1),
    ]
)
priorities = st.lists(st.integers(1, 2), min_size=1, max_size=SERVERS)


class States(RuleBasedStateMachine):
    """One client after another, three servers, and all that may happen to them."""

    def __init__(self):
        super().__init__()
        self.servers = [Server({**METHODS, "note": len}) for _ in range(SERVERS)]
        for server in self.servers:
            server.__enter__()
        self.stopped = set()
        self.frozen = set()
        self.history = History()
        self.calls = []
        self.noted = 0
        self.client = None

    # ---- clients -----------------------------------------------------------------

    @initialize(ranks=priorities)
    def open(self, ranks):
        text = " ".join(
            f"{server.address},{rank}"
            for server, rank in zip(self.servers, ranks, strict=False)
        )
        self.client = Client(
            text, max_in_flight=MOST, reconnect_delay=0.005, reconnect_delay_max=0.05
        )

    @rule(ranks=priorities)
    def close_and_open(self, ranks):
        self.client.close()
        assert self.history.open() == []
        self.open(ranks)

    @rule(ranks=priorities)
    def forget_and_open(self, ranks):
        """Without close(), the calls in flight end all the same."""
        self.client = None
        self.calls.clear()
        gc.collect()
        self.history.wait()
        self.open(ranks)

    @rule()
    def drain(self):
        if self.client.drain(0.05):
            assert self.history.open() == []

    # ---- calls ---------------------------------------------------------------------

    @rule(options=options, block=st.booleans())
    def request(self, options, block):
        try:
            _, call = self.history.request(self.client, block=block, **options)
        except QueueFull:
            assert not block or options["timeout"] < 0.3
        else:
            self.calls.append(call)

    @rule(options=options)
    def submit(self, options):
        try:
            self.history.submit(self.client, **options)
        except QueueFull:
            self.history.entries[-1].accepted = False

    @rule(options=options)
    def call(self, options):
        try:
            self.history.call(self.client, **options)
        except QueueFull:
            self.history.entries[-1].accepted = False

    @rule(count=st.integers(1, 2 * MOST), timeout=timeouts)
    def map(self, count, timeout):
        self.history.map(self.client, count, timeout=timeout)

    @rule()
    def notification(self):
        self.noted += 1
        self.client.notification("note", [str(self.noted)])

    # What is chosen must not hang on what happened: time plays a part in that.

    @rule(which=st.integers(0, 63))
    def cancel(self, which):
        if self.calls:
            self.calls.pop(which % len(self.calls)).cancel()

    @rule()
    def wait_for_one(self):
        before = len(self.history.open())
        until(lambda: len(self.history.open()) < before or not before)

    # ---- servers -------------------------------------------------------------------

    @rule(place=places)
    def stop(self, place):
        self.thaw(place)
        self.servers[place].stop()
        self.stopped.add(place)

    @rule(place=places)
    def start(self, place):
        if place in self.stopped:
            self.servers[place].start()
            self.stopped.discard(place)

    @rule(place=places)
    def freeze(self, place):
        if place not in self.stopped | self.frozen:
            self.servers[place].freeze()
            self.frozen.add(place)

    @rule(place=places)
    def thaw(self, place):
        if place in self.frozen:
            self.servers[place].thaw()
            self.frozen.discard(place)

    @rule(place=places, fault=faults)
    def misbehave(self, place, fault):
        if place not in self.stopped | self.frozen:
            self.servers[place].misbehave(fault)

    @rule(place=places)
    def behave(self, place):
        if place not in self.stopped | self.frozen:
            self.servers[place].behave()

    @rule(place=places, reset=st.booleans())
    def drop_connections(self, place, reset):
        if place not in self.stopped | self.frozen:
            self.servers[place].drop_connections(reset=reset)

    # ---- what holds ------------------------------------------------------------------

    @invariant()
    def one_outcome_at_the_most(self):
        assert all(len(entry.outcomes) <= 1 for entry in self.history.entries)

    @invariant()
    def no_more_in_flight_than_allowed(self):
        assert self.client is None or self.client.stats().in_flight <= MOST

    def teardown(self):
        """Once all is well again, a call succeeds; then the history is judged."""
        try:
            if self.client is not None:
                self.check()
        finally:
            for place in set(self.frozen):
                self.thaw(place)
            for server in self.servers:
                server.__exit__()

    def check(self):
        for place in range(SERVERS):
            self.thaw(place)
            self.start(place)
            self.behave(place)
        until(
            lambda: (
                not self.history.call(
                    self.client, timeout=0.3, wait_for_ready=True
                ).error
            )
        )
        self.client.close()
        assert self.history.open() == []
        requests = [
            (place, request)
            for place, server in enumerate(self.servers)
            for request in server.requests
        ]
        seen = [
            Seen(request.params[0], place)
            for place, request in requests
            if request.method == "echo"
        ]
        assert violations(self.history.entries, seen) == []
        notes = Counter(r.params[0] for _, r in requests if r.method == "note")
        assert set(notes) <= {str(n + 1) for n in range(self.noted)}
        assert not notes or max(notes.values()) == 1


TestStates = States.TestCase
TestStates.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
