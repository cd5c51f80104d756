"""
Python's allocations fail while outcomes are told.

    no_memory_to_tell.py ADDRESS

First each once, in the thread that runs callbacks, and then all for a while.  The
callbacks themselves take no memory.  Reports as JSON how many calls were made, how
many had their one outcome, and how many of these were wrong.
"""

import _testcapi
import json
import sys
import threading

from history import LIMIT

from jsonrpcc import Client, InvalidResponse, RequestTimeout

MOST = 80  # allocations of one run that are made to fail
MANY = (
    600  # calls of each kind at once: more than a fetch gives, and than ints are made
)
ONCE = 0.04  # seconds until the outcomes have come
WHILE = 0.3

address = sys.argv[1]


class Calls:
    """Some of a kind, and what was told of each."""

    def __init__(self, client, method, count, timeout, kind=None):
        self.told = bytearray(count)
        self.wrong = bytearray(count)
        self.kind = kind
        for i in range(count):
            client.request(method, [i], *self.callbacks(i), timeout=timeout)

    def callbacks(self, i):
        def on_result(result):
            self.told[i] += 1
            self.wrong[i] = self.kind is not None or result != i

        def on_error(error):
            self.told[i] += 1
            if not isinstance(error.__cause__, MemoryError):  # to decode it
                self.wrong[i] = self.kind is None or not isinstance(error, self.kind)

        return on_result, on_error


def tell(client, count, seconds, first, last):
    """Have memory fail from before the outcomes come."""
    calls = [
        Calls(client, "slow", count, LIMIT),
        Calls(client, "odd", count, LIMIT, InvalidResponse),
        Calls(client, "silence", count, ONCE / 2, RequestTimeout),
    ]
    lock = threading.Lock()
    lock.acquire()
    _testcapi.set_nomemory(first, last)
    lock.acquire(True, seconds)  # a keyword would want memory
    _testcapi.remove_mem_hooks()
    assert client.drain(LIMIT), "a call was lost"
    return {
        "calls": 3 * count,
        "told_once": sum(each.told.count(1) for each in calls),
        "wrong": sum(sum(each.wrong) for each in calls),
    }


with Client(address, timeout=60, codec="json") as client:
    client.request("echo", [0])
    assert client.drain(LIMIT)
    report = [tell(client, 2, ONCE, number, number + 1) for number in range(1, MOST)]
    report.append(tell(client, MANY, WHILE, 0, 0))
print(json.dumps(report))
