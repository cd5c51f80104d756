"""
Signals while calls are made; reports what happened, as JSON.

    signals.py timer ADDRESS      SIGALRM at 1 kHz, interrupting system calls
    signals.py interrupt ADDRESS  SIGINT in blocking calls
    signals.py KIND ADDRESS       SIGINT in a blocking call of that KIND, see BLOCKING
    signals.py raise ADDRESS      a handler that raises, anywhere in request()
    signals.py pipe ADDRESS       dispositions and masks before and after
"""

import asyncio
import contextlib
import json
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

from history import LIMIT, History, until

from jsonrpcc import AsyncClient, Client, JsonRpcError, QueueFull

how, address = sys.argv[1:]


def timer():
    ticks = 0

    def tick(*_):
        nonlocal ticks
        ticks += 1

    signal.signal(signal.SIGALRM, tick)
    signal.siginterrupt(signal.SIGALRM, True)
    history = History()
    with Client(address) as client:
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        # So many, however busy the machine is.
        end = time.monotonic() + 20
        while time.monotonic() < end and (ticks <= 1500 or len(history.entries) < 500):
            for _ in range(20):
                history.request(client)
                history.call(client)
            history.map(client, 50)
        signal.setitimer(signal.ITIMER_REAL, 0)
        history.wait()
    history.check_outcomes()
    return {
        "ticks": ticks,
        "calls": len(history.entries),
        "errors": [repr(error) for error in history.errors()],
    }


def interrupt():
    """Ctrl-C at a random moment of a call that nobody answers."""
    delays = []
    sent = 0.0
    dice = random.Random(1)

    def interrupt_soon(delay, calling):
        nonlocal sent
        assert calling.wait(LIMIT)
        threading.Event().wait(delay)
        sent = time.monotonic()
        os.kill(os.getpid(), signal.SIGINT)

    with Client(address, timeout=20) as client:
        until(lambda: client.servers()[0].state == "up")
        for _ in range(40):
            calling = threading.Event()
            thread = threading.Thread(
                target=interrupt_soon, args=(0.01 + dice.random() * 0.05, calling)
            )
            thread.start()
            try:
                calling.set()
                client.call("silence", timeout=20)
            except KeyboardInterrupt:
                delays.append(time.monotonic() - sent)
            thread.join()
            assert client.call("echo", [1]) == [1]
        # Given up for good: nothing is in flight any more.
        until(lambda: client.stats().in_flight == 0)
    return {"interrupts": len(delays), "longest": max(delays)}


# ---- Ctrl-C in whatever blocks ------------------------------------------------------


def fill(client):
    """Calls that nobody answers, until there is room for none."""
    with contextlib.suppress(QueueFull):
        while True:
            client.request("silence", None, ignore, ignore, block=False, timeout=30)


def ignore(_):
    pass


def full(how):
    """Wait for room in a full client, in that way."""

    def block(client):
        fill(client)
        return lambda: how(client)

    return block


def blocked_map(client):
    results = client.map("silence", [None] * 10, timeout=30)
    return lambda: next(results)


def drain(client):
    client.request("silence", None, ignore, ignore, timeout=30)
    return client.drain


def future(client):
    return client.submit("silence", timeout=30).result


def future_with_a_limit(client):
    future = client.submit("silence", timeout=30)
    return lambda: future.result(25)


def close(client):
    """It waits for the callback that runs."""
    started = threading.Event()

    def on_result(_):
        started.set()
        release.wait(LIMIT)

    client.request("echo", [1], on_result)
    assert started.wait(LIMIT)
    return client.close


def close_lingers(client):
    """It waits up to a second for notifications to be sent."""
    client.notification("stop_reading")
    for _ in range(40):
        client.notification("note", ["x" * 1_000_000])
    return client.close


def asyncio_run(client):
    async def main():
        async with AsyncClient(address, timeout=30) as asynchronous:
            await asynchronous.call("silence", timeout=30)

    return lambda: asyncio.run(main())


BLOCKING = {
    "call": lambda client: lambda: client.call("silence", timeout=30),
    "call waiting for a server": lambda client: (
        lambda: nobody.call("echo", timeout=30, wait_for_ready=True)
    ),
    "proxy": lambda client: client.proxy.silence,
    "map": blocked_map,
    "drain": drain,
    "drain with a limit": lambda client: drain(client) and (lambda: client.drain(25)),
    "future": future,
    "future with a limit": future_with_a_limit,
    "close": close,
    "close lingers": close_lingers,
    "full: call": full(lambda client: client.call("echo", [1], timeout=30)),
    "full: request": full(lambda client: client.request("echo", [1], timeout=30)),
    "full: submit": full(lambda client: client.submit("echo", [1], timeout=30)),
    "full: notification": full(lambda client: client.notification("note", timeout=30)),
    "full: map": full(lambda client: list(client.map("echo", [[1]], timeout=30))),
    "asyncio.run": asyncio_run,
}


def interrupt_once(kind):
    """Returns how long Ctrl-C took; the client is of use afterwards."""
    release.clear()
    client = Client(address, timeout=20, max_in_flight=50)
    until(lambda: client.servers()[0].state == "up")
    block = BLOCKING[kind](client)
    sent = 0.0

    def interrupt_soon():
        nonlocal sent
        threading.Event().wait(0.05 + dice.random() * 0.15)
        sent = time.monotonic()
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt_soon)
    thread.start()
    try:
        block()
    except KeyboardInterrupt:
        took = time.monotonic() - sent
    else:
        raise AssertionError("it did not block")
    thread.join()
    release.set()
    if not kind.startswith(("full", "close")):
        assert client.call("echo", [1]) == [1]
    client.close()  # whatever is in flight: it ends, and that soon
    assert client.stats().in_flight == 0
    return took


dice = random.Random(3)
release = threading.Event()


def interrupt_each(kind):
    global nobody
    if kind == "call waiting for a server":
        nobody = Client("127.0.0.1:1", timeout=30)
    return {"longest": max(interrupt_once(kind) for _ in range(5))}


class Alarm(BaseException):
    pass


def raise_anywhere():
    """Whether a call was accepted is open then; that must hurt no other call."""

    def on_alarm(*_):
        raise Alarm

    raised = 0
    outcomes = 0

    def count(_):
        nonlocal outcomes
        outcomes += 1

    dice = random.Random(2)
    accepted = 0
    with Client(address) as client:
        until(lambda: client.servers()[0].state == "up")
        signal.signal(signal.SIGALRM, on_alarm)
        end = time.monotonic() + 20
        while time.monotonic() < end and (raised <= 500 or accepted < 5000):
            try:
                signal.setitimer(signal.ITIMER_REAL, 1e-6 + dice.random() * 4e-4)
                for _ in range(200):
                    client.request("echo", [1], count, count)
                    accepted += 1
                client.call("echo", [1])
                signal.setitimer(signal.ITIMER_REAL, 0)
            except Alarm:
                raised += 1
        with contextlib.suppress(Alarm):
            signal.setitimer(signal.ITIMER_REAL, 0)
        assert client.submit("echo", [2]).result(LIMIT) == [2]
        assert client.drain(LIMIT)
        # An alarm may come between acceptance and our counting.
        assert accepted <= outcomes <= accepted + raised, (accepted, outcomes, raised)
    return {"raised": raised, "accepted": accepted}


def pipe():
    def state():
        return [
            [str(signal.getsignal(number)) for number in signal.valid_signals()],
            sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        ]

    before = state()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # a write to a broken pipe kills
    errors = 0
    with Client(address, reconnect_delay=0.001, reconnect_delay_max=0.002) as client:
        assert client.call("echo", [1]) == [1]
        assert signal.getsignal(signal.SIGPIPE) is signal.SIG_DFL
        for _ in range(300):
            client.notification("close")
            try:
                client.call("echo", [1], wait_for_ready=True)
            except JsonRpcError:
                errors += 1
        statuses = [
            (task / "status").read_text() for task in Path("/proc/self/task").iterdir()
        ]
        masks = [
            int(line.split()[1], 16)
            for status in statuses
            for line in status.splitlines()
            if line.startswith("SigBlk")
        ]
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    assert state() == before
    blocking = sum(1 for mask in masks if mask)
    return {"errors": errors, "threads": len(masks), "blocking": blocking}


functions = {
    "timer": timer,
    "interrupt": interrupt,
    "raise": raise_anywhere,
    "pipe": pipe,
}
report = interrupt_each(how) if how in BLOCKING else functions[how]()
print(json.dumps(report))
