"""
A program that ends in one of many ways, under load.

    ending.py ENDING ADDRESS

The last statement prints time.monotonic(); the test measures from there.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
import time
import warnings

from history import LIMIT, until

from jsonrpcc import AsyncClient, Client, JsonRpcError

ending, address = sys.argv[1:]
client = Client(address, timeout=20, max_in_flight=2048)
forever = threading.Event()
blocked = threading.Event()


def ignore(_):
    pass


def block(_):
    blocked.set()
    forever.wait()


def submit():
    with contextlib.suppress(JsonRpcError):
        while True:
            client.request("echo", [1], ignore, ignore)


def call():
    with contextlib.suppress(JsonRpcError):
        while True:
            with contextlib.suppress(ConnectionError):
                client.call("echo", [1])


def bulk():
    with contextlib.suppress(JsonRpcError):
        while True:
            list(client.map("echo", [[1]] * 500, return_exceptions=True))


def load(*works):
    for work in works:
        threading.Thread(target=work, daemon=True).start()
    until(lambda: client.stats().requests > 300)


def last_statement():
    print(time.monotonic(), flush=True)


def exception():
    last_statement()
    raise LookupError("the end")


def exit_code():
    last_statement()
    sys.exit(3)


def os_exit():
    last_statement()
    os._exit(4)


def send(number):
    last_statement()
    os.kill(os.getpid(), number)
    forever.wait(LIMIT)


def dropped():
    global client
    mine, client = client, None
    for _ in range(500):
        mine.request("echo", [1], ignore, ignore)
    last_statement()
    del mine


def close_races():
    threading.Thread(target=client.close).start()
    last_statement()


def callback_runs():
    running = threading.Event()

    def spin(_):
        running.set()
        end = time.monotonic() + 0.2
        while time.monotonic() < end:
            pass

    client.request("echo", [1], spin, spin)
    assert running.wait(LIMIT)
    last_statement()


def callback_blocks():
    client.request("echo", [1], block, block)
    assert blocked.wait(LIMIT)
    last_statement()


async def await_many(asynchronous):
    with contextlib.suppress(JsonRpcError):
        while True:
            await asynchronous.call("echo", [1], timeout=20)


def asyncio_pending():
    """Tasks are cancelled in the middle of their calls, by asyncio.run()."""

    async def main():
        async with AsyncClient(address, timeout=20) as asynchronous:
            tasks = [asyncio.create_task(await_many(asynchronous)) for _ in range(50)]
            await asyncio.sleep(0.05)
            last_statement()
            return len(tasks)

    asyncio.run(main())


def asyncio_never_closed():
    """The loop is gone when the remaining outcomes for its client arrive."""
    warnings.simplefilter("ignore", ResourceWarning)  # as it is by default

    async def main():
        global asynchronous
        asynchronous = AsyncClient(address, timeout=20)
        tasks = [asyncio.create_task(await_many(asynchronous)) for _ in range(50)]
        await asyncio.sleep(0.05)
        last_statement()
        return len(tasks)

    asyncio.run(main())


def exception_in_a_callback():
    """Exceptions in callbacks end nothing, not even SystemExit."""

    def on_result(_):
        blocked.set()
        sys.exit(7)

    logging.getLogger("jsonrpcc").propagate = False
    client.request("echo", [1], on_result, on_result)
    assert blocked.wait(LIMIT)
    last_statement()


ENDINGS = {
    "asyncio, pending": ((submit,), asyncio_pending),
    "asyncio, never closed": ((), asyncio_never_closed),
    "sys.exit in a callback": ((submit,), exception_in_a_callback),
    "normal": ((submit,), last_statement),
    "exception": ((submit,), exception),
    "sys.exit": ((submit,), exit_code),
    "os._exit": ((submit, call), os_exit),
    "SIGTERM": ((submit, call), lambda: send(signal.SIGTERM)),
    "SIGINT": ((submit, call), lambda: send(signal.SIGINT)),
    "del": ((), dropped),
    "never closed": ((), last_statement),
    "close races": ((submit,), close_races),
    "daemons": ((submit, submit, call, call, bulk), last_statement),
    "callback runs": ((submit,), callback_runs),
    "callback blocks": ((submit,), callback_blocks),
}

works, end = ENDINGS[ending]
if works:
    load(*works)
end()
