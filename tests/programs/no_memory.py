"""
Python's allocations fail, each once, in what jsonrpcc._speedups does.

    no_memory.py ADDRESS

Each entry point runs with its first allocation failing, with its second, and so
on.  Reports as JSON by entry point: how often it raised MemoryError and how often it
did not, as what failed was not needed; and the calls that clients counted.
"""

import _testcapi
import asyncio
import contextlib
import json
import sys
from functools import partial

from history import LIMIT

from jsonrpcc import AsyncClient, Client

MOST = 60  # allocations of one run that are made to fail

address = sys.argv[1]
report = {}


@contextlib.contextmanager
def failing(number):
    """Have the allocation of that number fail; MemoryError is one of two ends."""
    ended = [1, 0]
    _testcapi.set_nomemory(number, number + 1)
    try:
        yield ended
    except MemoryError:
        ended[:] = 0, 1
    finally:
        _testcapi.remove_mem_hooks()


def each_fails(name, function):
    fine = failed = 0
    for number in range(1, MOST):
        with failing(number) as ended:
            function()
        fine += ended[0]
        failed += ended[1]
    report[name] = {"fine": fine, "failed": failed}


def ignore(*_):
    pass


def settle(client):
    """Connect, and have told of it: memory fails for all threads alike."""
    client.request("echo", [1], ignore)
    assert client.drain(LIMIT)


def blocking():
    with Client(address) as client:
        settle(client)
        assert client.call("echo", [1]) == [1]  # what is made at first
        each_fails("call", lambda: client.call("echo", [1], timeout=5.0))
        assert client.call("echo", [1]) == [1]
        assert client.drain(LIMIT)


def callbacks():
    """The server does not answer: nothing else runs Python code meanwhile."""
    with Client(address, timeout=60) as client:
        settle(client)
        client.request("silence", [1], ignore)
        for name, params in ("request", [1]), ("request of text", "[1]"):
            before = client.stats().requests
            each_fails(name, partial(client.request, "silence", params, ignore, ignore))
            # An accepted call has not ended in an error, and a refused one is none.
            report[name]["counted"] = client.stats().requests - before
        each_fails("notification", lambda: client.notification("silence", [1]))
        calls = [client.request("silence", [1]) for _ in range(3)]
        each_fails("repr", lambda: repr(calls[0]))
        assert client.call("echo", [1]) == [1]


async def awaiting():
    async with AsyncClient(address, timeout=60) as client:
        assert await client.call("echo", [1]) == [1]
        before = client.stats().requests
        pending = [None] * MOST  # that have room already
        numbers = iter(range(MOST))

        def call():
            at = next(numbers)
            pending[at] = client.call("silence", [1])
            pending[at].send(None)

        each_fails("await", call)
        report["await"]["counted"] = client.stats().requests - before
        pending = [each for each in pending if each is not None]
        for each in pending:
            each.close()
        assert await client.call("echo", [1]) == [1]


blocking()
callbacks()
asyncio.run(awaiting())
print(json.dumps(report))
