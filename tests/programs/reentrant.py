"""
Use a client from inside of its own uses; reports what happened, as JSON.

    reentrant.py moments KIND STEP ADDRESS    at every STEPth bytecode of such a use
    reentrant.py closing KIND STEP ADDRESS    the same, and the client is closed there
    reentrant.py child KIND STEP ADDRESS      the same, at the first use after fork()
    reentrant.py collector KIND STEP ADDRESS  at every STEPth run of the collector
    reentrant.py signals KIND COUNT ADDRESS   COUNT times, from a signal handler

Between two bytecodes is where Python runs signal handlers and, from 3.12 on,
finalizers.  What is done there waits for outcomes of its own, and so hangs if the
use that it came into holds anything that the client's thread needs.
"""

import contextlib
import gc
import itertools
import json
import os
import random
import signal
import sys
import threading
import warnings

from forked import exit_code
from history import LIMIT, until

from jsonrpcc import Client, ClientClosed

warnings.filterwarnings("ignore", "This process .* is multi-threaded")

how, kind, number, address = sys.argv[1:]
number = int(number)
problems = []


# ---- uses ----------------------------------------------------------------------------


def request(client):
    seen = []
    client.request("echo", [1], seen.append, seen.append)
    until(lambda: seen)
    assert seen == [[1]], seen


def submit(client):
    assert client.submit("echo", [2]).result(LIMIT) == [2]


def call(client):
    assert client.call("echo", [3]) == [3]


def call_unusually(client):
    assert client.call("echo", "['a']", timeout=7) == ["a"]


def notify(client):
    client.notification("echo")


def bulk(client):
    assert list(client.map("echo", [[i] for i in range(5)])) == [[i] for i in range(5)]


def drain(client):
    client.request("echo", [4], lambda _: None)
    assert client.drain(LIMIT)


def look(client):
    assert client.stats().requests >= 0
    assert "Client" in repr(client)


def close(client):
    client.close()


INNER = (submit, request, notify, drain, call, bulk)
OUTER = {
    use.__name__: use
    for use in (request, submit, call, call_unusually, notify, bulk, drain, look, close)
}
turn = itertools.count()


def interrupt(client):
    """What a handler does: never raises, whatever has become of the client."""
    inner = close if how == "closing" else INNER[next(turn) % len(INNER)]
    if threading.current_thread() is not threading.main_thread():
        inner = call  # the client's own thread waits for no callback
    try:
        inner(client)
    except ClientClosed:
        if kind != "close":
            problems.append(f"{inner.__name__}: closed")
    except BaseException as error:
        problems.append(f"{inner.__name__}: {error!r}")


# ---- moments -------------------------------------------------------------------------


class Moment:
    """Interrupts at the n-th bytecode after it was set as the trace function."""

    def __init__(self, left, client):
        self.left = left
        self.client = client

    def __call__(self, frame, event, _):
        frame.f_trace_opcodes = True
        if event == "opcode":
            self.left -= 1
            if self.left == 0 and ready(self.client):
                interrupt(self.client)
        return self

    def has_come(self):
        return self.left <= 0


class Collection(Moment):
    """Interrupts at the n-th run of the garbage collector."""

    kept = ()

    def __call__(self, phase, _):
        if phase == "stop":
            # At the threshold again, so that the next allocation is its next run:
            # what is made and freed at once would never get it there.
            self.kept = ([], self.kept)
        else:
            self.left -= 1
            if self.left == 0 and ready(self.client):
                interrupt(self.client)


@contextlib.contextmanager
def traced(moment):
    sys.settrace(moment)
    try:
        yield
    finally:
        sys.settrace(None)


@contextlib.contextmanager
def collected(moment):
    gc.callbacks.append(moment)
    gc.set_threshold(1)
    try:
        yield
    finally:
        gc.set_threshold(700)
        gc.callbacks.remove(moment)


def ready(client):
    """Whether it is constructed but for its first opening."""
    return "_session" in vars(client)


def construct(client):
    client.__init__(address, timeout=LIMIT)


def moments(within):
    """Interrupt one use after the other, each a STEP further, until it is over."""
    use = OUTER.get(kind, construct)
    # What a client makes at its first uses only is most of what is allocated.
    fresh = kind in ("close", "construct") or within is collected
    client = None if fresh else Client(address, timeout=LIMIT)
    for at in itertools.count(random.Random(1).randint(1, number), number):
        if fresh:
            client = Client.__new__(Client)
        if fresh and kind != "construct":
            construct(client)
        moment = (Moment if within is traced else Collection)(at, client)
        with within(moment):
            use(client)
        if fresh and kind != "close":
            submit(client)
            client.close()
        if not moment.has_come() or problems:
            client.close()
            return at // number
    return 0


def closing():
    """Close within one use after the other: it may end as it likes, but it ends."""
    for at in itertools.count(random.Random(1).randint(1, number), number):
        with Client(address, timeout=LIMIT) as client:
            moment = Moment(at, client)
            with traced(moment), contextlib.suppress(ClientClosed, AssertionError):
                OUTER[kind](client)
            if not moment.has_come() or problems:
                return at // number
            try:
                client.submit("echo")
            except ClientClosed:
                continue
            problems.append(f"not closed at {at}")
    return 0


MORE, OVER, WRONG = 10, 11, 12


def child(client, at):
    moment = Moment(at, client)
    with traced(moment):
        OUTER[kind](client)
    if kind != "close":
        submit(client)
    client.close()
    for problem in problems:
        print(problem, file=sys.stderr, flush=True)
    return WRONG if problems else MORE if moment.has_come() else OVER


def children():
    with Client(address, timeout=LIMIT) as client:
        submit(client)
        for at in itertools.count(random.Random(1).randint(1, number), number):
            pid = os.fork()
            if pid == 0:
                code = WRONG
                try:
                    code = child(client, at)
                finally:
                    os._exit(code)
            code = exit_code(pid, 2 * LIMIT)
            if code == OVER:
                return at // number
            if code != MORE:
                problems.append(f"child {at}: {code}")
                return at // number
    return 0


def signals():
    dice = random.Random()
    depth = 0
    count = 0

    def handle(*_):
        nonlocal depth, count
        if depth < 3:
            depth += 1
            interrupt(client)
            depth -= 1
        count += 1
        signal.setitimer(signal.ITIMER_REAL, dice.uniform(1e-5, 3e-3))

    signal.signal(signal.SIGALRM, handle)
    with Client(address, timeout=LIMIT) as client:
        signal.setitimer(signal.ITIMER_REAL, 1e-4)
        while count < number and not problems:
            OUTER[kind](client)
        signal.setitimer(signal.ITIMER_REAL, 0)
    return count


def main():
    if how == "child":
        seen = children()
    elif how == "signals":
        seen = signals()
    elif how == "closing":
        seen = closing()
    else:
        seen = moments(traced if how == "moments" else collected)
    print(json.dumps({"moments": seen, "problems": problems}))


if __name__ == "__main__":
    main()
