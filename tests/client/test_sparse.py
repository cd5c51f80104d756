"""
Calls with pauses in between: cheap, and never on a connection that has ended.

While nothing is in flight no thread watches the sockets, for 0.2 s at a time.
"""

import asyncio
import contextlib
import random
import time

import pytest
from children import run_program
from helpers import QUICK, until
from history import METHODS
from time_limits import PATIENCE

from jsonrpcc import AsyncClient, Client, JsonRpcError, RequestTimeout
from jsonrpcc.testing import Server

CALLS = 100
GAP = 0.005  # seconds: more than a loop stays unwatched with calls in flight
IDLE = 0.2  # seconds until what happened in a pause is noticed


@pytest.fixture
def server():
    with Server(METHODS, keep=0) as server:
        yield server


@pytest.mark.parametrize("how", ["call", "await"])
def test_a_call_after_a_pause_wakes_no_other_thread(server, how):
    """The event thread looks now and then, not once or more for every call."""
    report = run_program("sparse.py", how, server.address, CALLS, GAP).report()
    assert report["woken"] < CALLS / 2


def pauses(seconds):
    """Random ones, shorter and longer than what the event thread sleeps."""
    dice = random.Random()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield dice.choice([dice.uniform(0.001, 0.004), dice.uniform(0.003, 1.3 * IDLE)])


def lose_in_pauses(server, call, sleep):
    """Have the connection end while nothing is in flight; return the outcomes."""
    outcomes = []
    for pause in pauses(2.5):
        server.drop_connections(reset=random.random() < 0.5)  # returns when it has
        sleep(pause)
        try:
            assert call("echo", [len(outcomes)]) == [len(outcomes)]
            outcomes.append("answered")
        except JsonRpcError as error:
            outcomes.append(error.fate)
        until(lambda: server.connections == 1)
        with contextlib.suppress(RequestTimeout):
            call("echo", [1], timeout=5, wait_for_ready=True)
    return outcomes


def check(outcomes):
    assert len(outcomes) > 5
    assert set(outcomes) <= {"answered", "not_sent"}, "one went to a dead connection"


def test_no_call_goes_to_a_connection_that_ended_in_a_pause(server, client_for):
    client = client_for(server, **QUICK)
    assert client.call("echo", [1]) == [1]
    check(lose_in_pauses(server, client.call, time.sleep))


def test_no_await_goes_to_a_connection_that_ended_in_a_pause(server):
    """With a loop that did something else meanwhile, or was asleep."""
    with asyncio.Runner() as runner:
        client = AsyncClient(server.address, **QUICK)

        def call(*args, **options):
            async def main():
                return await client.call(*args, **options)

            return runner.run(main())

        def sleep(pause):
            if random.random() < 0.5:
                time.sleep(pause)
            else:
                runner.run(asyncio.sleep(pause))

        try:
            assert call("echo", [1]) == [1]
            check(lose_in_pauses(server, call, sleep))
        finally:
            runner.run(client.close())


def test_an_end_in_a_pause_is_reported_soon(server):
    """Without any call, the event is reported and a new connection is made."""
    told = []
    with Client(server.address, on_event=told.append, **QUICK) as client:
        for _ in range(5):
            assert client.call("echo", [1], wait_for_ready=True) == [1]
            before = len(told)
            began = time.monotonic()
            server.drop_connections()
            until(lambda before=before: "lost" in {e.kind for e in told[before:]})
            assert time.monotonic() - began < 2 * IDLE * PATIENCE
            until(lambda: client.servers()[0].state in {"up", "proving"})


def test_a_pause_delays_no_reconnect(server):
    """The client's own timers go off while nothing is in flight."""
    with Client(server.address, **QUICK) as client:
        assert client.call("echo", [1]) == [1]
        server.stop()
        until(lambda: client.servers()[0].attempts_failed >= 8)
        server.start()
        until(lambda: client.servers()[0].state in {"up", "proving"})
        assert client.call("echo", [2]) == [2]
