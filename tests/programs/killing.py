"""
Exceptions from outside for the thread that runs callbacks; reports, as JSON.

    killing.py ADDRESS SECONDS

The thread of each client gets one before its first step, as one that is meant for the
thread that makes the client can do until CPython 3.13; and then more at random
moments.  The callbacks are C functions, into which no exception gets: all of them
have to be called, each once, without that anybody uses the client again.
It takes SECONDS, and longer on a busy machine, until enough have been hit.
"""

import collections
import ctypes
import json
import logging
import random
import sys
import time

from history import LIMIT, until

from jsonrpcc import Client, _crew, _worker

address, seconds = sys.argv[1:]
logging.disable(logging.CRITICAL)
# It remembers which levels are enabled; one that hits it while it finds that out for
# the first time leaves its lock held for ever.
for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
    logging.getLogger("jsonrpcc").isEnabledFor(level)
logging.raiseExceptions = False  # one that hits a log line is told on stderr otherwise
dice = random.Random(7)
start_new_thread = _worker.start_new_thread
kept = []  # tracebacks too: whoever keeps them keeps no thread from being replaced
sys.unraisablehook = kept.append
hits = collections.Counter()


class Outside(BaseException):
    pass


def hit(thread, kind):
    hits[kind] += ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread), ctypes.py_object(Outside)
    )


def start_and_hit(function, args):
    """Make the thread find it at its first step: keep the GIL until it is set."""
    before = hits["first step"]
    thread = start_new_thread(function, args)
    for _ in range(1_000_000):  # the system has to have started it
        hit(thread, "first step")
        if hits["first step"] > before:
            break
    _worker.start_new_thread = start_new_thread
    sys.setswitchinterval(1e-4)
    return thread


class Refused:
    """A codec that refuses some results, which are then delivered one by one."""

    def encode(self, value):
        return json.dumps(value).encode()

    def decode(self, text):
        value = json.loads(bytes(text))
        numbers = value if isinstance(value, list) else [value]
        if any(isinstance(n, int) and n % 7 == 3 for n in numbers):
            raise ValueError
        return value


def threads_of(client):
    """Those that run its callbacks: of its own, or of the crew, or none yet."""
    worker = client._dispatcher.worker
    in_crew = isinstance(worker, _crew.Place)
    workers = [each for each, _ in worker._crew._workers] if in_crew else [worker]
    return [each._ident for each in workers if each._ident] or [0]


def one_client(codec):
    _worker.start_new_thread = start_and_hit
    results, errors = [], []
    calls = 0
    with Client(address, timeout=LIMIT, codec=codec) as client:
        assert client._dispatcher is not None
        for _ in range(20):
            for _ in range(20):
                calls += 1
                method = "fail" if calls % 5 == 4 else "first"
                client.request(method, [calls], results.append, errors.append)
            time.sleep(dice.uniform(0, 2e-3))
            hit(dice.choice(threads_of(client)), "any step")
        until(lambda: len(results) + len(errors) >= calls)
        assert client.drain(LIMIT)
    assert client._dispatcher.worker.has_ended()
    return calls, len(results), len(errors), len(set(results)) == len(results)


reports = []
end = time.monotonic() + float(seconds)
latest = end + 2 * LIMIT
while (now := time.monotonic()) < end or (
    now < latest and (len(reports) <= 3 or hits["any step"] <= 30)
):
    sys.setswitchinterval(10)  # see start_and_hit()
    reports.append(one_client(Refused() if len(reports) % 2 else "msgspec"))
wrong = [r for r in reports if r[0] != r[1] + r[2] or not r[3]]
print(json.dumps({
    "clients": len(reports), "wrong": wrong[:5], "hits": dict(hits),
    "kinds": sorted({each.exc_type.__name__ for each in kept}),
}))  # fmt: skip
