"""
Every entry point again and again, in a debug build of Python that counts references.

    references.py COUNT [NAME ...]

Each of them, or those named, runs COUNT times to warm up, and RUNS times COUNT times
to be measured; those that make clients, a quarter of that.  Reports as JSON what each
run left behind, by entry point: references, blocks of memory, descriptors.  One of
them, "planted", loses a reference on purpose.
"""

import asyncio
import concurrent.futures
import gc
import itertools
import json
import logging
import signal
import sys
from array import array

from children import ServerProcess
from entry_points import AWAITING, BLOCKING, SLOW
from helpers import descriptors, threads
from history import LIMIT, until

from jsonrpcc import AsyncClient, Client

references = getattr(sys, "gettotalrefcount", int)  # another build counts none
RUNS = 5
WARM_UP = 3


# Python's cache of attributes of types keeps up to 4096 names.  C code that asks by a
# name of its own making, as that of json and ours do, has it keep another one each time
# until it is full, which looks like a leak that becomes slower and slower.
OLDER = "_clear_type_cache"  # before 3.13
clear_type_cache = getattr(sys, "_clear_internal_caches", None) or getattr(sys, OLDER)


def left_behind(into):
    gc.collect()
    gc.collect()
    clear_type_cache()
    into[:] = array("q", [references(), sys.getallocatedblocks(),
                          descriptors()])  # fmt: skip


def measure(once, times, settle):
    """What each run left behind."""
    # In arrays: what has been measured is not to grow what will be.
    totals = [array("q", [0, 0, 0]) for _ in range(WARM_UP + RUNS + 1)]
    settle()
    left_behind(totals[0])
    for total in totals[1:]:
        for _ in range(times):
            once()
        settle()
        left_behind(total)
    runs = [
        [new - old for new, old in zip(after, before, strict=True)]
        for before, after in itertools.pairwise(totals[WARM_UP:])
    ]
    return {"times": times * RUNS, "runs": runs}


class Bench:
    """The clients that are called, and how they come to rest."""

    def __init__(self, address):
        self.client = Client(address)
        self.loop = asyncio.new_event_loop()
        self.loop.set_default_executor(concurrent.futures.ThreadPoolExecutor(1))
        # asyncio keeps so many for reuse; it shall have them from the start.
        futures = [self.loop.create_future() for _ in range(300)]
        iterators = [iter(future) for future in futures]
        del iterators, futures
        # What is started once and stays: a dispatcher, the loop's other thread.
        self.client.submit("echo", [1]).result(LIMIT)
        self.run(self.use_and_close(AsyncClient(address)))
        self.awaiting = AsyncClient(address)
        self.run(self.awaiting.call("echo", [1]))
        self.threads = threads()

    def run(self, coroutine):
        self.loop.run_until_complete(coroutine)

    async def use_and_close(self, client):
        await client.call("echo", [1])
        await client.close()

    def at_rest(self):
        # Clients, whose threads end then.  Not once before: collect() does nothing
        # while another thread collects, and one may be busy with a warning.
        gc.collect()
        return (
            self.client.stats().in_flight == 0
            and self.awaiting.stats().in_flight == 0
            and threads() <= self.threads
        )

    async def fetch(self):
        """What has come goes to its futures, and what these call soon is called."""
        for _ in range(5):
            await asyncio.sleep(0)

    def settle(self):
        assert self.client.drain(LIMIT)
        until(self.at_rest, what=f"rest from {threads()} to {self.threads} threads")
        self.run(self.fetch())

    def measure(self, function, times):
        def once():
            if function in AWAITING:
                self.run(function(self.awaiting))
            else:
                function(self.client)

        return measure(once, times, self.settle)

    def close(self):
        self.client.close()
        self.run(self.awaiting.close())
        self.run(self.loop.shutdown_default_executor())
        self.loop.close()


def interrupt(*_):
    raise InterruptedError


def main():
    count, names = int(sys.argv[1]), sys.argv[2:]
    # It complains of errors of calls that are given up here.
    logging.getLogger("asyncio").disabled = True
    signal.signal(signal.SIGALRM, interrupt)
    with ServerProcess() as server:
        bench = Bench(server.address)
        found = {
            function.__name__: bench.measure(
                function, max(1, count // 4) if function in SLOW else count
            )
            for function in BLOCKING + AWAITING
            if not names or function.__name__ in names
        }
        bench.close()
    print(json.dumps(found))


main()
