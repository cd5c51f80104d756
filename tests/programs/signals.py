"""
Signals while calls are made; reports what happened, as JSON.

    signals.py timer ADDRESS      SIGALRM at 1 kHz, interrupting system calls
    signals.py interrupt ADDRESS  SIGINT in blocking calls
    signals.py raise ADDRESS      a handler that raises, anywhere in request()
    signals.py pipe ADDRESS       dispositions and masks before and after
"""

import contextlib
import json
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

from firing import LIMIT, History, until

from jsonrpcc import Client, JsonRpcError

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
        end = time.monotonic() + 2
        while time.monotonic() < end:
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

    def interrupt_soon(delay):
        nonlocal sent
        threading.Event().wait(delay)
        sent = time.monotonic()
        os.kill(os.getpid(), signal.SIGINT)

    with Client(address, timeout=20) as client:
        until(lambda: client.servers()[0].state == "up")
        for _ in range(40):
            thread = threading.Thread(
                target=interrupt_soon, args=(0.01 + dice.random() * 0.05,)
            )
            thread.start()
            try:
                client.call("silence", timeout=20)
            except KeyboardInterrupt:
                delays.append(time.monotonic() - sent)
            thread.join()
            assert client.call("echo", [1]) == [1]
        # Given up for good: nothing is in flight any more.
        until(lambda: client.stats().in_flight == 0)
    return {"interrupts": len(delays), "longest": max(delays)}


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
        end = time.monotonic() + 2.5
        while time.monotonic() < end:
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
print(json.dumps(functions[how]()))
