"""
Calls with pauses between them; reports how often other threads have woken up.

    sparse.py HOW ADDRESS CALLS PAUSE

HOW is "call" or "await".
"""

import asyncio
import json
import sys
import threading
import time
from pathlib import Path

from jsonrpcc import AsyncClient, Client

how, address, calls, pause = sys.argv[1:]
calls, pause = int(calls), float(pause)


def wakes():
    """Return how often each thread but this one has waited so far."""
    count = 0
    for task in Path("/proc/self/task").iterdir():
        if int(task.name) != threading.get_native_id():
            lines = (task / "status").read_text().splitlines()
            count += int(next(x for x in lines if x.startswith("vol")).split()[1])
    return count


def use_client():
    with Client(address) as client:
        assert client.call("echo", [0]) == [0]
        before = wakes()
        for n in range(calls):
            time.sleep(pause)
            assert client.call("echo", [n]) == [n]
        return wakes() - before


async def use_async_client():
    async with AsyncClient(address) as client:
        assert await client.call("echo", [0]) == [0]
        before = wakes()
        for n in range(calls):
            await asyncio.sleep(pause)
            assert await client.call("echo", [n]) == [n]
        return wakes() - before


woken = use_client() if how == "call" else asyncio.run(use_async_client())
print(json.dumps({"woken": woken}))
