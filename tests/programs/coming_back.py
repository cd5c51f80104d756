"""
Clients that call a server which goes away and comes back.

    coming_back.py COUNT ADDRESS

Says "up" when all are connected.  They call for ever until a line on stdin says when
(time.monotonic(), which all processes share) the server was back, and then until
each has had a first success.  Reports as JSON when those were, and the moments of
all attempts to connect that failed while it was away, to half a second.

Their calls wait for the server: a thousand clients whose calls fail at once and come
again take more than the two processors that tests may have.
"""

import asyncio
import json
import sys
import time

from jsonrpcc import AsyncClient, JsonRpcError

count, address = int(sys.argv[1]), sys.argv[2]
PAUSE = 0.25  # seconds between two calls of a client
LIMIT = 60.0
back = 0.0
attempts = []  # (moment, how many since the last one)


def failed(clients):
    return sum(client.servers()[0].attempts_failed for client in clients)


async def watch(clients):
    before = failed(clients)
    while True:
        await asyncio.sleep(0.5)
        now = failed(clients)
        if now > before:
            attempts.append((time.monotonic(), now - before))
        before = now


async def use(client):
    """Return when the first call after the server's return got its result."""
    while True:
        try:
            await client.call("echo", [1], timeout=LIMIT, wait_for_ready=True)
        except JsonRpcError:
            pass
        else:
            if back and time.monotonic() > back:
                return time.monotonic()
        await asyncio.sleep(PAUSE)


def hear():
    global back
    back = float(sys.stdin.readline())


async def main():
    clients = [AsyncClient(address) for _ in range(count)]
    for client in clients:
        await client.call("echo", [1], wait_for_ready=True, timeout=LIMIT)
    print("up", flush=True)
    watching = asyncio.create_task(watch(clients))
    users = [asyncio.create_task(use(client)) for client in clients]
    await asyncio.to_thread(hear)
    done, late = await asyncio.wait(users, timeout=LIMIT)
    watching.cancel()
    for client in clients:
        await client.close()
    print(json.dumps({"successes": [task.result() for task in done],
                      "late": len(late), "attempts": attempts}))  # fmt: skip


asyncio.run(main())
