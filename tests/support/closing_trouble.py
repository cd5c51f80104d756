"""
Closing clients while things go wrong: what the programs share.

    PROGRAM TROUBLE ROUNDS SEED ADDRESS...

The servers answer, or hang, or do not read, or are not there.  Each round has
clients with calls of every style in flight, and closes them in TROUBLE, which is
one of the program's.  Whatever it is: close() returns, by then each accepted call
has had its one outcome, none comes later, and nothing is left behind.
"""

import asyncio
import contextlib
import gc
import json
import logging
import os
import random
import resource
import sys
import threading
import time
import warnings

from helpers import descriptors, threads
from history import LIMIT, until

trouble, rounds, seed = sys.argv[1], int(sys.argv[2]), sys.argv[3]
addresses = sys.argv[4:]
dice = random.Random(f"{trouble} {seed}")
logging.disable(logging.CRITICAL)
warnings.filterwarnings("ignore", "This process .* is multi-threaded")
problems = []
closes = []
QUICK = {"reconnect_delay": 0.01, "reconnect_delay_max": 0.05}


def pause(most):
    threading.Event().wait(dice.uniform(0, most))


def live():
    """Let clients be used for a while."""
    pause(dice.choice([0.001, 0.01, 0.01, 0.05, 0.3]))


def some_servers():
    return " ".join(dice.sample(addresses, dice.randint(1, len(addresses))))


def time_limit():
    return dice.choice([0.005, 0.05, 30, 30])


def closed(began):
    """Count a close() that has returned, and record it if that took too long."""
    closes.append(began)
    if time.monotonic() - began > LIMIT:
        problems.append(f"close took {time.monotonic() - began:.1f} s")


@contextlib.contextmanager
def few_descriptors():
    """No descriptors are left in this block, or only some."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, soft), hard))
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.dup(0))
        for _ in range(dice.randrange(4)):
            os.close(taken.pop())
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in taken:
            os.close(fd)


def main(troubles):
    """Run the trouble of the command line so many times, and report."""
    # What Python opens for good, and TSan starts with the first thread.
    asyncio.run(asyncio.to_thread(int))
    before = threads(), descriptors()
    for _ in range(rounds):
        if problems:
            break
        troubles[trouble]()
    gc.collect()
    with contextlib.suppress(AssertionError):
        until(lambda: threads() <= before[0] and descriptors() <= before[1])
    left = threads() - before[0], descriptors() - before[1]
    report = {"closes": len(closes), "problems": problems[:5], "left": left}
    print(json.dumps(report))
