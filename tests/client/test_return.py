"""A server that was down for long is used again soon by those who call it."""

import contextlib
import statistics
import threading
import time

import pytest
from history import METHODS, until, wait_for_state

from jsonrpcc import Client, JsonRpcError
from jsonrpcc.testing import Server

LONG = {"reconnect_delay": 30, "reconnect_delay_max": 30}
PAUSE = 0.02


def call_until(client, moment, took, stop, **options):
    """Call again and again; note how long after moment() the first success came."""
    pause = threading.Event()
    while not stop.is_set():
        with contextlib.suppress(JsonRpcError):
            client.call("echo", [1], **options)
            if moment():
                took.append(time.monotonic() - moment())
                return
        pause.wait(PAUSE)


@pytest.mark.parametrize(
    ("count", "down", "options"),
    [(20, 0.5, LONG), pytest.param(80, 10, {}, marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("waits", [False, True])
def test_callers_are_back_within_two_seconds(server, count, down, options, waits):
    """Calls that fail at once, and calls that wait, both have the server tried."""
    restarted, took, stop = [], [], threading.Event()
    with contextlib.ExitStack() as stack:
        stack.callback(stop.set)
        clients = [
            stack.enter_context(Client(server.address, **options)) for _ in range(count)
        ]
        for client in clients:
            wait_for_state(client, "up")
        server.stop()
        until(lambda: all(each.servers()[0].losses for each in clients))
        threads = [
            threading.Thread(
                target=call_until,
                args=(client, lambda: restarted and restarted[0], took, stop),
                kwargs={"wait_for_ready": True, "timeout": 30} if waits else {},
            )
            for client in clients
        ]
        for thread in threads:
            thread.start()
        stop.wait(down)
        restarted.append(time.monotonic())
        server.start()
        until(lambda: len(took) == count)
        for thread in threads:
            thread.join()
    # Evenly spread over two seconds; the chance to fail is about 1 in 1000.
    assert statistics.median(took) <= 1 + 3.1 / count**0.5, sorted(took)
    assert max(took) <= 2.5, sorted(took)


def test_nobody_asks_for_more_than_one_attempt_in_two_seconds():
    """However many calls fail: attempts are at least two seconds apart."""
    with Server(METHODS) as gone:
        address = gone.address
    with Client(address, **LONG) as client:
        wait_for_state(client, "down")
        end = time.monotonic() + 3
        while time.monotonic() < end:
            with contextlib.suppress(JsonRpcError):
                client.call("echo", [1])
        assert 1 <= client.servers()[0].attempts_failed - 1 <= 2
