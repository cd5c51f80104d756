"""Servers in doubt: long and cancelled trials, proof, and whose fault a silence is."""

import contextlib
import threading
import time

import pytest
from history import METHODS, History, servers_string, shares, until, wait_for_state
from witness import Witness, echo

from jsonrpcc import Client, ConnectionLost, JsonRpcError, RemoteError, RequestTimeout
from jsonrpcc.testing import Delay, Drop, Server, netstring

QUICK = {"reconnect_delay": 0.05, "reconnect_delay_max": 0.3}
PARSE_ERROR = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse"}}'
HOUR = 3600


@contextlib.contextmanager
def dead_connection(*servers):
    """A client whose connection to the best server is dead, and suspected."""
    dead = threading.Event()

    def answer(frame):
        return [] if dead.is_set() and frame.connection == 1 else echo(frame)

    with (
        Witness(answer) as best,
        Client(
            f"{best.address},2 {servers[0].address},1", timeout=0.05, **QUICK
        ) as client,
    ):
        wait_for_state(client, "up", 0, 1)
        client.call("echo", [0], timeout=1)
        dead.set()
        while client.servers()[0].state == "up":
            with contextlib.suppress(RequestTimeout):
                client.call("echo", [0])
        yield client, best


def sent_to_best(client):
    return client.servers()[0].sent


@pytest.mark.parametrize("cancels", [False, True])
def test_a_trial_of_an_hour_keeps_no_server_out(servers, cancels):
    """It is abandoned: cancelled, or after reconnect_delay_max without an answer."""
    with dead_connection(*servers(1)) as (client, _):
        before = sent_to_best(client)
        trial = None
        while sent_to_best(client) == before:
            trial = client.submit("echo", [1], timeout=HOUR)
            until(lambda: trial.done() or sent_to_best(client) > before)  # noqa: B023
        if cancels:
            trial.cancel()

        def is_back():
            with contextlib.suppress(JsonRpcError):  # that was a trial
                client.call("echo", [2], timeout=0.2)
            return client.servers()[0].state == "up"

        until(is_back)
        if not cancels:
            assert isinstance(trial.exception(timeout=1), ConnectionLost)


def test_trials_cancelled_one_after_the_other_leave_others_their_turn(servers):
    """If a caller cancels each time, most calls are served elsewhere."""
    silent, healthy = servers(2)
    silent.misbehave(Drop())
    with Client(servers_string(silent, healthy, priorities=(2, 1)), **QUICK) as client:
        wait_for_state(client, "up", 0, 1)
        while client.servers()[0].state == "up":
            with contextlib.suppress(RequestTimeout):
                client.call("echo", [0], timeout=0.02)
        began, cancelled = time.monotonic(), 0
        for _ in range(40):
            call = client.submit("echo", [1], timeout=HOUR)
            with contextlib.suppress(TimeoutError):
                call.result(timeout=0.1)
                continue
            call.cancel()
            cancelled += 1
        assert cancelled <= 2 + (time.monotonic() - began) / 0.3


# ---- whose silence it is -----------------------------------------------------------


def test_while_we_do_not_read_no_server_is_blamed():
    """A callback blocks and reading pauses; the server answers, and is not blamed."""
    release = threading.Event()
    outcomes = []
    methods = {**METHODS, "big": lambda: "x" * 60_000}
    with (
        Server(methods) as server,
        Client(server.address, max_undelivered_bytes=100_000, **QUICK) as client,
    ):
        wait_for_state(client, "up")
        client.request("echo", [0], lambda _: release.wait())
        for _ in range(3):
            client.request("big", None, outcomes.append, outcomes.append, timeout=5)
        until(lambda: client.stats().undelivered_bytes > 100_000)
        for _ in range(10):
            client.request("echo", [1], None, lambda _: None, timeout=0.05)
        until(lambda: client.stats().timeouts == 10)
        for _ in range(3):
            client.request("echo", [2], outcomes.append, outcomes.append, timeout=30)
        never = threading.Event()
        for _ in range(20):  # longer than a trial may take
            assert client.servers()[0].state == "up"
            never.wait(0.03)
        release.set()
        until(lambda: len(outcomes) == 6)
        assert client.servers()[0].losses == 0
    assert outcomes[3:] == [[2]] * 3


def test_a_request_that_cannot_be_read_is_a_remote_error(servers):
    """The error has id null; the caller learns it, and the server is not blamed."""
    (spare,) = servers(1)
    with (
        Witness(lambda _: [(0, netstring(PARSE_ERROR))]) as best,
        Client(f"{best.address},2 {spare.address},1", **QUICK) as client,
    ):
        wait_for_state(client, "up", 0, 1)
        for _ in range(12):
            with pytest.raises(RemoteError, match="Parse"):
                client.call("echo", ["\ud7ff"], timeout=1)
        assert client.servers()[0].state == "up"
        assert client.stats().rejected == 0


def test_of_several_calls_none_gets_what_may_be_anothers():
    events = []
    with (
        Witness(lambda _: [(0, netstring(PARSE_ERROR))]) as server,
        Client(server.address, on_event=events.append) as client,
    ):
        wait_for_state(client, "up")
        client.notification("echo", [0])
        for _ in range(20):
            with pytest.raises(RequestTimeout):
                client.call("echo", [0], timeout=0.02)
        until(lambda: client.stats().rejected == 21)
        assert client.servers()[0].state == "up"
    told = [event for event in events if event.kind == "rejected"]
    assert len(told) == 1
    assert "could not read" in told[0].reason


# ---- proof --------------------------------------------------------------------------


def test_a_server_that_comes_back_gets_one_call_first(servers):
    """While the first answer is slow, all other calls go elsewhere."""
    best, other = servers(2)
    history = History()
    with Client(servers_string(best, other, priorities=(2, 1)), **QUICK) as client:
        wait_for_state(client, "up", 0, 1)
        assert not history.call(client).error
        best.misbehave(Delay(0.3))
        best.drop_connections()
        until(lambda: client.servers()[0].losses == 1)
        wait_for_state(client, "proving", 0)
        assert shares(client, history, 50) == {best.address: 1, other.address: 49}
        assert client.servers()[0].state == "up"
        best.behave()
        assert shares(client, history, 50) == {best.address: 50}
    assert not history.errors()
    history.check(best, other)
