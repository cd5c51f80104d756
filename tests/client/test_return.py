"""A server that was down for a long time is soon used again by clients that call."""

import contextlib
import json
import statistics
import subprocess
import threading
import time
from collections import Counter

import pytest
from children import start_program
from history import METHODS, until, wait_for_state

from jsonrpcc import Client, JsonRpcError
from jsonrpcc.testing import Server

LONG = {"reconnect_delay": 3600, "reconnect_delay_max": 3600}
PAUSE = 0.02


def call_until(client, moment, took, stop, **options):
    """Call repeatedly; record how long after moment() the first call succeeded."""
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
def test_callers_reach_a_server_that_is_back_within_two_seconds(
    server, count, down, options, waits
):
    """Calls that fail at once and calls that wait both have the server tried."""
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


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("processes", "each"), [(1, 20), (10, 100)])
def test_many_clients_return_soon_without_a_stampede(processes, each):
    """
    Up to a thousand, whose server was down for ten seconds, as services are restarted.

    By hand: pytest -m slow -s tests/client/test_return.py -k stampede
    """
    count, down = processes * each, 10
    with Server(METHODS, keep=0) as server, contextlib.ExitStack() as stack:
        programs = [
            stack.enter_context(
                start_program(
                    "coming_back.py", each, server.address, stdin=subprocess.PIPE
                )
            )
            for _ in range(processes)
        ]
        for program in programs:
            assert program.stdout.readline() == "up\n"
        server.stop()
        stopped = time.monotonic()
        threading.Event().wait(down)
        restarted = time.monotonic()
        server.start()
        for program in programs:
            program.stdin.write(f"{restarted}\n")
            program.stdin.flush()
        reports = [json.loads(each.communicate(timeout=120)[0]) for each in programs]
    assert not any(report["late"] for report in reports)
    took = sorted(m - restarted for report in reports for m in report["successes"])
    seconds = Counter()
    for moment, number in (a for report in reports for a in report["attempts"]):
        seconds[int(moment - stopped)] += number
    figures = {
        "clients": count,
        "median": round(statistics.median(took), 3),
        "worst": round(max(took), 3),
        "attempts in each second": [seconds[n] for n in range(down)],
    }
    print(figures)
    # In the first two seconds each client tries at once, by its backoff, and because
    # its calls ask; from then on once in two seconds.
    assert max(seconds[n] for n in range(down)) <= 2 * count, figures
    assert sum(seconds[n] for n in range(5, down)) <= 0.8 * count * (down - 5), figures
    # The median of a thousand is that of two busy processors as well.
    assert figures["median"] <= (1.2 + 3.1 / count**0.5 if count <= 20 else 2), figures
    assert figures["worst"] <= 2.5, figures


def test_nobody_asks_for_more_than_one_attempt_in_two_seconds():
    """However many calls fail, attempts are at least two seconds apart."""
    with Server(METHODS) as gone:
        address = gone.address
    with Client(address, **LONG) as client:
        wait_for_state(client, "down")
        end = time.monotonic() + 3
        while time.monotonic() < end:
            with contextlib.suppress(JsonRpcError):
                client.call("echo", [1])
        assert 1 <= client.servers()[0].attempts_failed - 1 <= 2
