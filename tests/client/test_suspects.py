"""A connected server that does not answer: suspicion, trials, and the way back."""

import contextlib

import pytest
from checker import Seen, violations
from children import ServerProcess
from history import History, servers_string, shares, until, wait_for_state
from witness import Witness, echo

from jsonrpcc import Client, ConnectionLost, RequestTimeout
from jsonrpcc.testing import Delay, Drop

QUICK = {"reconnect_delay": 0.05, "reconnect_delay_max": 0.1}


def test_a_silent_server_goes_out_of_rotation_after_five_timeouts(servers):
    silent, healthy = servers(2)
    silent.misbehave(Drop())
    history = History()
    events = []
    with Client(
        servers_string(silent, healthy, priorities=(2, 1)),
        reconnect_delay=30, reconnect_delay_max=30, on_event=events.append,
    ) as client:  # fmt: skip
        wait_for_state(client, "up", 0, 1)
        for i in range(5):
            assert client.servers()[0].state == "up", i
            assert isinstance(history.call(client, timeout=0.05).error, RequestTimeout)
        assert client.servers()[0].state == "suspect"
        assert shares(client, history, 20) == {healthy.address: 20}
        until(lambda: [e.kind for e in events if e.kind == "suspect"])
    history.check(silent, healthy)


def test_an_answer_between_timeouts_keeps_a_server_in_rotation(servers):
    (server,) = servers(1)
    history = History()
    with Client(server.address) as client:
        for _ in range(3):
            server.misbehave(Drop(times=4))
            for _ in range(4):
                assert history.call(client, timeout=0.03).error
            assert not history.call(client).error
        assert client.servers()[0].state == "up"
    history.check(server)


def test_the_last_server_is_never_abandoned_for_its_silence(servers):
    (server,) = servers(1)
    server.misbehave(Drop(times=8))
    history = History()
    with Client(server.address) as client:
        for _ in range(8):
            error = history.call(client, timeout=0.03).error
            assert isinstance(error, RequestTimeout), error
        assert client.servers()[0].state == "suspect"
        assert not history.call(client).error
        wait_for_state(client, "up")
    history.check(server)


def test_a_stopped_process_becomes_suspect_and_comes_back(servers):
    """After SIGSTOP, the kernel goes on accepting for it; only answers count."""
    (healthy,) = servers(1)
    events = []
    history = History()
    with (
        ServerProcess() as stopped,
        Client(
            f"{stopped.address},2 {healthy.address},1", on_event=events.append, **QUICK
        ) as client,
    ):
        wait_for_state(client, "up", 0, 1)
        assert not history.call(client).error
        stopped.stop()
        for _ in range(20):
            history.request(client, timeout=0.1)
        history.wait()
        assert client.servers()[0].state == "suspect"
        until(lambda: not history.call(client, timeout=0.3).error)
        stopped.go_on()
        # It is tried again by a call now and then, or answers late.
        until(
            lambda: (
                history.call(client, timeout=1) and client.servers()[0].state == "up"
            )
        )
        assert shares(client, history, 20) == {stopped.address: 20}
        until(lambda: any(event.kind == "trusted" for event in events))
    assert all(len(entry.outcomes) == 1 for entry in history.entries)


def test_a_suspect_is_tried_by_one_call_only(servers):
    """A failed trial costs that call and no other."""
    silent, healthy = servers(2)
    silent.misbehave(Drop())
    history = History()
    with Client(
        servers_string(silent, healthy), reconnect_delay=0.01, reconnect_delay_max=30
    ) as client:
        wait_for_state(client, "up", 0, 1)
        while client.servers()[0].state == "up":
            history.request(client, timeout=0.05)
            history.wait()
        before = len(silent.requests)
        until(lambda: history.call(client, timeout=0.2).error)  # that was the trial
        for _ in range(50):
            history.request(client, timeout=0.2)
        history.wait()
        assert len(silent.requests) == before + 1
    history.check(silent, healthy)


def test_a_slow_server_is_not_a_suspect(servers):
    slow, other = servers(2)
    slow.misbehave(Delay(0.2))
    history = History()
    with Client(servers_string(slow, other)) as client:
        wait_for_state(client, "up", 0, 1)
        for _ in range(40):
            history.request(client)
        history.wait()
        assert client.servers()[0].state == "up"
    assert not history.errors()
    history.check(slow, other)


def test_after_a_trial_however_long_the_others_have_their_turn(servers):
    """A caller with one call at a time must not try the suspect again and again."""
    silent, healthy = servers(2)
    silent.misbehave(Drop())
    history = History()
    with Client(
        servers_string(silent, healthy, priorities=(2, 1)),
        reconnect_delay=0.01, reconnect_delay_max=0.5,
    ) as client:  # fmt: skip
        wait_for_state(client, "up", 0, 1)
        while client.servers()[0].state == "up":
            history.request(client, timeout=0.05)
            history.wait()
        until(lambda: history.call(client, timeout=0.7).error)  # that was a trial
        assert history.call(client, timeout=0.7).error is None
    history.check(silent, healthy)


# ---- one that takes longer than the pauses ------------------------------------------


PAUSE = 0.005
SLOW = {"reconnect_delay": PAUSE, "reconnect_delay_max": PAUSE, "connect_timeout": 2}


def become_suspect(client, server, history):
    """Be silent until the client suspects the server, then take 30 pauses a call."""
    server.misbehave(Drop())
    while client.servers()[0].state == "up":
        history.request(client, timeout=0.03)
        history.wait()
    assert client.servers()[0].state == "suspect"
    server.misbehave(Delay(30 * PAUSE))


@pytest.mark.parametrize("connections", [1, 3])
def test_a_slow_server_loses_no_call_to_suspicion(servers, connections):
    """It has connect_timeout to answer, however small reconnect_delay_max is."""
    (server,) = servers(1)
    history = History()
    with Client(server.address, connections=connections, **SLOW) as client:
        until(lambda: client.servers()[0].connected == connections)
        for _ in range(3):
            become_suspect(client, server, history)
            before = len(history.entries)
            for i in range(12):
                history.request(client, timeout=10, idempotent=i % 2 == 0)
            history.wait()
            assert [entry.error for entry in history.entries[before:]] == [None] * 12
            assert client.servers()[0].state == "up"
        assert client.servers()[0].connects == connections
        assert client.stats().resent == 0
    history.check(server)


def test_a_slow_server_returns_while_another_one_works(servers):
    slow, other = servers(2)
    history = History()
    with Client(servers_string(slow, other, priorities=(2, 1)), **SLOW) as client:
        wait_for_state(client, "up", 0, 1)
        for _ in range(3):
            become_suspect(client, slow, history)
            before = len(history.entries)
            until(
                lambda: (
                    history.call(client, timeout=10)
                    and client.servers()[0].state == "up"
                )
            )
            errors = {entry.error for entry in history.entries[before:]}
            assert errors == {None}
        assert client.servers()[0].connects == 1
    history.check(slow, other)


# ---- a connection that is dead without a word ---------------------------------------


class Forgetful(Witness):
    """
    What a load balancer is that has lost a flow: it takes all and answers nothing.

    New connections work.
    """

    def __init__(self):
        self.forgotten = 0  # connections up to this number
        super().__init__(self.choose)

    def choose(self, frame):
        return [] if frame.connection <= self.forgotten else echo(frame)

    def forget(self):
        self.forgotten = self.connections

    def seen(self, number=0):
        return [Seen(frame.message()["params"][0], number) for frame in self.frames]


@contextlib.contextmanager
def silent_for_ever(*more, **options):
    """A server whose connection has gone silent, a client that suspects it."""
    history = History()
    with (
        Forgetful() as server,
        Client(f"{server.address},2 {' '.join(more)}", **QUICK, **options) as client,
    ):
        wait_for_state(client, "up", *range(len(client.servers())))
        assert not history.call(client).error
        server.forget()
        while client.servers()[0].state == "up":
            history.request(client, timeout=0.05)
            history.wait()
        assert client.servers()[0].state == "suspect"
        yield server, client, history


def test_a_dead_connection_to_the_only_server_is_renewed():
    with silent_for_ever() as (server, client, history):
        until(lambda: not history.call(client, timeout=0.1).error)
        wait_for_state(client, "up")
        assert client.servers()[0].connects > 1
        assert shares(client, history, 20) == {server.address: 20}
        assert not history.entries[-1].error
    assert violations(history.entries, server.seen()) == []
    kinds = {type(error) for error in history.errors()}
    assert kinds <= {RequestTimeout, ConnectionLost}
    assert {error.fate for error in history.errors()} == {"unknown"}


def test_a_dead_connection_to_a_better_server_is_renewed(servers):
    (other,) = servers(1)
    events = []
    with silent_for_ever(f"{other.address},1", on_event=events.append) as parts:
        server, client, history = parts
        until(
            lambda: (
                history.call(client, timeout=0.2) and client.servers()[0].state == "up"
            )
        )
        assert shares(client, history, 20) == {server.address: 20}
        until(lambda: any(event.kind == "trusted" for event in events))
    assert any(
        event.kind == "lost" and event.server == server.address for event in events
    )
    seen = server.seen() + [Seen(each.params[0], 1) for each in other.requests]
    assert violations(history.entries, seen) == []


def test_idempotent_calls_go_on_over_the_new_connection():
    with silent_for_ever() as (server, client, history):

        def is_resent():
            history.request(client, timeout=0.5, idempotent=True)
            history.call(client, timeout=0.02)
            return client.stats().resent

        until(is_resent)
        history.wait()
        assert not history.call(client).error
    assert violations(history.entries, server.seen()) == []


def test_a_slow_call_keeps_a_silent_connection():
    """The server may still be working on what was sent before the suspicion."""

    def answer(frame):
        method, nonce = frame.message()["method"], frame.message()["params"][0]
        if method == "slow":
            return [(1.0, echo(frame)[0][1])]
        return [] if nonce < silent else echo(frame)

    history, silent = History(), 0
    with Witness(answer) as server, Client(server.address, **QUICK) as client:
        slow = client.submit("slow", [-1], timeout=20)
        until(lambda: client.servers()[0].sent == 1)
        silent = 1 << 30
        while not slow.done():
            history.request(client, timeout=0.03)
            history.wait()
        assert slow.result() == [-1]
        assert client.servers()[0].connects == 1
