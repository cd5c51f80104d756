"""
What the client's tests share.

Waiting, threads, resources of this process, callbacks that record, call styles.
"""

import asyncio
import os
import queue
import re
import socketserver
import threading
import time
from pathlib import Path

from time_limits import PATIENCE

from jsonrpcc import AsyncClient, Client
from jsonrpcc.testing import netstring, split_netstrings

LIMIT = 5.0 * PATIENCE  # seconds after which a test that waits fails
QUICK = {"reconnect_delay": 0.01, "reconnect_delay_max": 0.05}


def until(condition, limit=LIMIT):
    """Wait until condition() is true; return what it returned."""
    never = threading.Event()
    end = time.monotonic() + limit
    while not (value := condition()):
        assert time.monotonic() < end, f"it did not come within {limit} s"
        never.wait(0.001)
    return value


async def until_then(condition):
    """Do the same in a coroutine; *condition* runs in the event loop."""
    async with asyncio.timeout(LIMIT):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


def in_threads(*functions):
    """Run each function in a thread of its own; fail if one raises or hangs."""
    failures = []

    def run(function):
        try:
            function()
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=run, args=(f,), daemon=True) for f in functions]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 30 * PATIENCE
    for thread in threads:
        thread.join(max(0, end - time.monotonic()))
        assert not thread.is_alive(), "a thread hangs"
    if failures:
        raise failures[0]


def rss():
    """Return this process's memory in bytes."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def descriptors():
    """Return how many descriptors this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def threads():
    """Return how many threads this process has, according to the kernel."""
    return sum(1 for _ in Path("/proc/self/task").iterdir())


class Told:
    """Callbacks for requests, and what they were called with."""

    def __init__(self):
        self.outcomes = []
        self.threads = set()
        self._queue = queue.SimpleQueue()

    def on_result(self, result):
        self._tell(("result", result))

    def on_error(self, error):
        self._tell(("error", error))

    def _tell(self, outcome):
        self.threads.add(threading.current_thread().name)
        self.outcomes.append(outcome)
        self._queue.put(outcome)

    def next(self):
        """Return the next outcome, ("result", result) or ("error", error)."""
        return self._queue.get(timeout=LIMIT)

    def result(self):
        kind, result = self.next()
        assert kind == "result", repr(result)
        return result

    def error(self):
        kind, error = self.next()
        assert kind == "error", error
        return error


class Wire(socketserver.ThreadingTCPServer):
    """A server on plain sockets that keeps the bytes it gets and answers null."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), self._handle)
        self.address = f"127.0.0.1:{self.server_address[1]}"
        self.received = b""
        self.payloads = []
        self.thread = threading.Thread(target=self.serve_forever, args=(0.01,))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exc_info):
        self.shutdown()
        self.thread.join()
        self.server_close()

    def _handle(self, sock, address, server):
        rest = b""
        while data := sock.recv(65536):
            self.received += data
            payloads, rest = split_netstrings(rest + data)
            self.payloads += payloads
            for payload in payloads:
                if found := re.search(rb'"id":(\d+)', payload[:60]):
                    sock.sendall(netstring(b'{"id":%b,"result":null}' % found[1]))


def outcome(told):
    kind, value = told.next()
    if kind == "error":
        raise value
    return value


def by_request(servers, method, params, **options):
    told = Told()
    with Client(servers, **options) as client:
        client.request(method, params, told.on_result, told.on_error)
        value = outcome(told)
    assert len(told.outcomes) == 1
    return value


def by_call(servers, method, params, **options):
    with Client(servers, **options) as client:
        return client.call(method, params)


def by_submit(servers, method, params, **options):
    with Client(servers, **options) as client:
        return client.submit(method, params).result(LIMIT)


def by_map(servers, method, params, **options):
    with Client(servers, **options) as client:
        [value] = client.map(method, [params])
        return value


def by_async(servers, method, params, **options):
    async def main():
        async with AsyncClient(servers, **options) as client:
            return await client.call(method, params)

    return asyncio.run(main())


STYLES = {
    "request": by_request,
    "call": by_call,
    "submit": by_submit,
    "map": by_map,
    "async": by_async,
}
