"""Await calls one at a time; the argument is the servers string."""

import asyncio
import sys

from jsonrpcc import AsyncClient


async def main():
    async with AsyncClient(sys.argv[1], timeout=3) as client:
        for i in range(50):
            got = await asyncio.wait_for(client.call("first", [i]), 4)
            assert got == i


asyncio.run(main())
