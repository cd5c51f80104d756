"""
Event loops that end with calls in flight, collected with all that belongs to them.

    collecting.py COUNT ADDRESS

What a call that nobody awaits any more does to the core at its end must not come
after the end of the core, in whatever order the collector runs finalizers.  glibc
overwrites freed memory, so that it would crash.
"""

import asyncio
import gc
import sys
import time
import warnings

from jsonrpcc import AsyncClient

count, address = int(sys.argv[1]), sys.argv[2]
warnings.simplefilter("ignore", ResourceWarning)
gc.disable()


class Slow:
    """Garbage that gives the client's threads time to end."""

    def __init__(self):
        self.me = self

    def __del__(self):
        time.sleep(0.05)


async def use(client, _slow):
    await client.call("silence")


async def main():
    client = AsyncClient(address)
    await client.call("echo", [1])
    task = asyncio.create_task(use(client, Slow()))
    await asyncio.sleep(0.01)  # until it has made the call
    return task


for _ in range(count):
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)  # tasks that are never done
    task = loop.run_until_complete(main())
    loop.close()
    del loop, task
    gc.collect()
print("true")
