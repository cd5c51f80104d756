"""Calls from tasks of trio; the one that takes too long is cancelled."""

import os

import trio

from jsonrpcc.anyio import Client

SERVERS = os.environ.get("JSONRPCC_SERVERS", "localhost:9999")


async def add(client: Client, n: int, results: dict[int, int]) -> None:
    """Do one of the calls."""
    results[n] = await client.call("add", [n, n])


async def main() -> tuple[dict[int, int], bool, int]:
    """Make calls side by side, one in vain, and many of one method."""
    results: dict[int, int] = {}
    async with Client(SERVERS) as client, trio.open_nursery() as nursery:
        for n in range(1, 10):
            nursery.start_soon(add, client, n, results)
    async with Client(SERVERS) as client:
        with trio.move_on_after(0.5) as scope:
            await client.call("slow", timeout=60)
        total = sum([each async for each in client.map("add", [[1, 2], [3, 4]])])
    return results, scope.cancelled_caught, total


if __name__ == "__main__":
    print(trio.run(main))
