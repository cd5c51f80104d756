"""
The same call in every style.

    python examples/calls.py                     against a server of its own
    python examples/calls.py localhost:9999      against yours
"""

import asyncio
import sys
import threading

import jsonrpcc
from jsonrpcc.testing import Server


def callbacks(client: jsonrpcc.Client) -> None:
    """Return at once; a callback gets the outcome."""
    done = threading.Event()

    def on_result(result: int) -> None:
        print("callback:", result)
        done.set()

    def on_error(error: jsonrpcc.JsonRpcError) -> None:
        print("callback:", repr(error))
        done.set()

    client.request("add", [1, 2], on_result, on_error)
    done.wait()


def blocking(client: jsonrpcc.Client) -> None:
    """Wait for the result; an error is raised."""
    print("blocking:", client.call("add", {"a": 1, "b": 2}))
    print("by proxy:", client.proxy.add(1, 2))
    try:
        client.call("no_such_method")
    except jsonrpcc.RemoteError as error:
        print("raised:", error.code, error.message)


def futures(client: jsonrpcc.Client) -> None:
    """Start many, collect later."""
    started = [client.submit("add", [n, n]) for n in range(5)]
    print("futures:", [future.result() for future in started])


def bulk(client: jsonrpcc.Client) -> None:
    """Any number of calls: results in order, memory bounded."""
    total = sum(client.map("add", ([n, 1] for n in range(10_000))))
    print("map:", total)


async def tasks(servers: str) -> None:
    """Await them."""
    async with jsonrpcc.AsyncClient(servers) as client:
        await client.notification("log", ["hello"])
        print("await:", await client.call("add", [1, 2]))
        print(
            "gather:", await asyncio.gather(*(client.proxy.add(n, n) for n in range(5)))
        )


def run(servers: str) -> None:
    """Show all of them."""
    with jsonrpcc.Client(servers, timeout=2.0) as client:
        callbacks(client)
        blocking(client)
        futures(client)
        bulk(client)
        client.notification("log", ["bye"])
    asyncio.run(tasks(servers))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        run(sys.argv[1])
    else:
        with Server({"add": lambda a, b: a + b, "log": lambda _: None}) as server:
            run(server.address)
