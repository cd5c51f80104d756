"""
Exceptions from outside while calls are made; reports what happened, as JSON.

    raising.py HOW STYLE ADDRESS SECONDS

HOW is "signal" (a handler that raises), "value" (it raises a ValueError, as codecs
do), or "thread" (PyThreadState_SetAsyncExc(), as gevent.Timeout and debuggers do).
It takes SECONDS, and longer on a busy machine, until enough has been raised.
Each call asks for a number of its own: whatever is raised, and when, no call gets the
number of another, each one that was accepted has one outcome, and the client works
afterwards.
"""

import asyncio
import collections
import contextlib
import ctypes
import json
import logging
import queue
import random
import signal
import sys
import threading
import time
from pathlib import Path

from history import LIMIT

import jsonrpcc
from jsonrpcc import AsyncClient, Client, JsonRpcError

how, style, address, seconds = sys.argv[1:]
ENOUGH = 4
logging.disable(logging.CRITICAL)
PACKAGE = str(Path(jsonrpcc.__file__).parent)
dice = random.Random(4)
numbers = iter(range(1, 1 << 30))
outcomes = collections.Counter()
wrong = []


class Outside(ValueError if how == "value" else BaseException):
    """A BaseException is nothing that the client could take for an error of its own."""


class Named(dict):
    """A dict to everybody but those who look at the type."""


# Each leads through another piece of code until the call is accepted.
WAYS = [
    lambda n: (([n, 1],), {}),
    lambda n: (([n, None],), {}),
    lambda n: ((f"[{n}]",), {}),
    lambda n: (([n],), {"timeout": 5}),
    lambda n: ((Named(n=n),), {}),
    lambda n: (([n],), {"timeout": 5.0, "idempotent": 1}),
]


def note(n, result):
    outcomes[n] += 1
    if result != (n[0] if isinstance(n, tuple) else n):
        wrong.append((n, repr(result)))


def note_error(n, error):
    outcomes[n] += 1
    if not isinstance(error, jsonrpcc.Cancelled):
        wrong.append((n, repr(error)))


def request(client, n, args, options):
    client.request("first", *args, lambda result: note(n, result),
                   lambda error: note_error(n, error), **options)  # fmt: skip
    accepted.add(n)


def submit(client, n, args, options):
    # Not add_done_callback(): what is raised in there may leave its lock held.
    futures[n] = client.submit("first", *args, **options)


def call(client, n, args, options):
    note(n, client.call("first", *args, **options))


def notification(client, n, args, options):
    options.pop("idempotent", None)
    client.notification("first", *args, **options)


def bulk(client, n, args, options):
    """Its results are in the order of its params, whatever came in between."""
    asked = [args[0], [n, 1], None, [n]]
    for at, result in enumerate(client.map("first", asked, window=2, **options)):
        note((n, at), n if at == 2 and result is None else result)


STYLES = {
    "map": bulk,
    "request": request,
    "submit": submit,
    "call": call,
    "notification": notification,
}
accepted = set()
raised = 0
fired = 0  # by signals
ignored = 0  # by Python, in finalizers
armed = False


def in_package(frame):
    while frame is not None and not frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
    return frame is not None


def on_alarm(_, frame):
    global armed, fired
    # An event loop is not made for this: only what is ours is tried there.
    if armed and (style != "await" or in_package(frame)):
        armed = False
        fired += 1
        raise Outside


def arm():
    global armed
    armed = True
    if how != "thread":
        signal.setitimer(signal.ITIMER_REAL, dice.uniform(5e-6, 150e-6))
    else:
        tickets.append([])
        asked.put(tickets[-1])


def disarm():
    """Nothing is raised any more."""
    global armed
    armed = False
    signal.setitimer(signal.ITIMER_REAL, 0)
    settled = how != "thread"
    while not settled:
        try:
            while tickets and not tickets[-1]:
                time.sleep(0)
            settled = True
            for _ in range(100):
                pass
        except Outside:
            settled = False


def raise_when_asked(thread):
    while (ticket := asked.get()) is not None:
        for _ in range(dice.randrange(40)):
            pass
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread), ctypes.py_object(Outside)
        )
        ticket.append("raised")


def rounds():
    end = time.monotonic() + float(seconds)
    latest = end + 2 * LIMIT
    while (now := time.monotonic()) < end or (raised < ENOUGH and now < latest):
        yield


def run(client):
    global raised
    function = STYLES[style]
    for _ in rounds():
        try:
            try:
                arm()
                for _ in range(3):
                    n = next(numbers)
                    args, options = WAYS[n % len(WAYS)](n)
                    function(client, n, args, options)
            finally:
                disarm()
        except Outside:
            raised += 1
    disarm()


async def run_async(client):
    global raised

    async def one(n):
        args, options = WAYS[n % len(WAYS)](n)
        note(n, await client.call("first", *args, **options))

    for _ in rounds():
        tasks = [asyncio.create_task(one(next(numbers))) for _ in range(8)]
        arm()
        done, late = await asyncio.wait(tasks, timeout=LIMIT)
        disarm()
        if late:
            wrong.append(f"{len(late)} tasks never ended")
            break
        for task in done:
            error = task.exception()
            if isinstance(error, Outside):
                raised += 1
            elif error is not None:
                wrong.append(repr(error))


async def awaiting():
    async with AsyncClient(address, timeout=5, max_in_flight=7) as client:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        await client.call("first", [0])
        await run_async(client)
        assert await client.call("first", [7]) == 7
        for _ in range(500):
            if client.stats().in_flight == 0:
                break
            await asyncio.sleep(0.01)
        assert client.stats().in_flight == 0


def ignore(_):
    global ignored
    ignored += 1


# A thread that starts may get what was meant for the one that starts it.
sys.unraisablehook = ignore
asked, tickets, futures = queue.SimpleQueue(), [], {}
signal.signal(signal.SIGALRM, on_alarm)
if style == "await":
    asyncio.run(awaiting())
else:
    if how == "thread":
        args = (threading.get_ident(),)
        thread = threading.Thread(target=raise_when_asked, args=args, daemon=True)
        thread.start()
    # Few: waiting for room is one of the ways.
    with Client(address, timeout=5, max_in_flight=4) as client:
        with contextlib.suppress(JsonRpcError):
            run(client)
        assert client.drain(LIMIT), "drain() has not ended"
        assert client.call("first", [7]) == 7
        assert client.submit("first", "[8]").result(LIMIT) == 8
        assert client.drain(LIMIT)
        assert client.stats().in_flight == 0
        for n, future in futures.items():
            accepted.add(n)
            note(n, future.result(0))
    if how == "thread":
        asked.put(None)
        thread.join()
twice = [n for n, count in outcomes.items() if count > 1]
lost = [n for n in accepted if outcomes[n] != 1]
report = {
    "calls": next(numbers),
    "raised": raised,
    "swallowed": fired - raised - ignored,
    "wrong": wrong[:5],
    "twice": twice[:5],
    "lost": lost[:5],
}
print(json.dumps(report))
