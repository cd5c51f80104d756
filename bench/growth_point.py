"""One point of one curve: ``python -m bench.growth_point KIND VALUE PORT...``."""

from __future__ import annotations

import gc
import json
import socket
import sys
import threading
import time
import tracemalloc
from contextlib import ExitStack
from itertools import cycle, islice
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import jsonrpcc
from bench.drive import GET_USER, Work, chains
from bench.job import HOST, USER, Job, WrongResultError, status_kib
from bench.rivals import wire

if TYPE_CHECKING:
    from collections.abc import Callable

TIMEOUT = 60.0
KEPT = 1000
"""Calls at once where something else than their number grows."""

FEW_BYTES = 1024 * 1024
MANY_BYTES = 32 * 1024 * 1024
"""Of results, in flight at once."""

BYTES_IN_ALL = 192 * 1024 * 1024
CALLS = 200_000


def _servers(ports: list[int]) -> str:
    return " ".join(f"{HOST}:{port},1" for port in ports)


def _client(ports: list[int]) -> jsonrpcc.Client:
    """Return a client that is connected to all its servers."""
    changed = threading.Event()
    client = jsonrpcc.Client(
        _servers(ports), timeout=TIMEOUT, on_event=lambda _: changed.set()
    )
    deadline = time.monotonic() + TIMEOUT
    while any(server.state != "up" for server in client.servers()):
        if time.monotonic() > deadline:
            raise TimeoutError
        # Not for ever: of so many events at once some are dropped.
        changed.wait(0.05)
        changed.clear()
    return client


def _run(client: jsonrpcc.Client, job: Job, calls: int, work: Work) -> None:
    ends: SimpleQueue[object] = SimpleQueue()
    chains(
        client.request,
        work,
        calls,
        job.window,
        job.latencies,
        lambda: ends.put(None),
        ends.put,
    )
    if (failure := ends.get()) is not None:
        raise WrongResultError(failure)


def _cost(
    ports: list[int], window: int, calls: int, work: Work = GET_USER
) -> dict[str, Any]:
    job = Job("growth", ports[0], calls, 0, window)
    with _client(ports) as client:
        _run(client, job, max(window, calls // 10), work)
        with job.measure():
            _run(client, job, calls, work)
        stats = client.stats()
    return job.report() | {
        "turns_per_call": stats.turns / (calls + max(window, calls // 10)),
    }


def in_flight(value: int, ports: list[int]) -> dict[str, Any]:
    """So many calls at once."""
    return _cost(ports, value, CALLS if value > 1 else CALLS // 10)


def servers(_: int, ports: list[int]) -> dict[str, Any]:
    """As many servers as there are ports, each call sent and received alone."""
    return in_flight(1, ports)


def servers_raw(_: int, ports: list[int]) -> dict[str, Any]:
    """As many servers by send and recv of fixed bytes: the kernel's part of it."""
    job = Job("growth", ports[0], CALLS // 10, 0, 1)
    frame = wire.request(1, "get_user", USER)
    with ExitStack() as stack:
        connections = [
            stack.enter_context(socket.create_connection((HOST, port)))
            for port in ports
        ]
        for one in connections:
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        around = cycle((one.send, one.recv) for one in connections)
        for send, recv in islice(around, job.calls // 10):
            send(frame)
            recv(4096)
        with job.measure():
            for send, recv in islice(around, job.calls):
                begun = time.perf_counter()
                send(frame)
                recv(4096)
                job.latencies.append(time.perf_counter() - begun)
    return job.report()


def servers_many(_: int, ports: list[int]) -> dict[str, Any]:
    """As many servers; with one of them, calls go out by the hundred."""
    return _cost(ports, KEPT, CALLS)


def payload(value: int, ports: list[int]) -> dict[str, Any]:
    """Results of so many bytes."""
    return _payload(value, ports, FEW_BYTES)


def payload_many(value: int, ports: list[int]) -> dict[str, Any]:
    """Return the same with more in flight than any cache holds."""
    return _payload(value, ports, MANY_BYTES)


def _payload(value: int, ports: list[int], at_once: int) -> dict[str, Any]:

    def check(result: Any) -> None:
        if result["rows"][0]["name"] != "User 1" or "pad" not in result:
            raise WrongResultError(value)

    window = max(1, min(KEPT, at_once // value))
    calls = max(20, min(CALLS, BYTES_IN_ALL // value))
    figures = _cost(ports, window, calls, Work(f"rows{value}", USER, check))
    return figures | {"ns_per_byte": figures["cpu_us"] * 1e3 / value}


def memory(value: int, ports: list[int]) -> dict[str, Any]:
    """
    Return what so many unanswered calls take, and Python's part of it.

    The part is measured in a second pass, as measuring it takes memory too; the
    first pass of each has already made what only grows once.
    """
    figures = {}
    with _client(ports) as client:
        rss = _hold(client, value, lambda: status_kib("VmRSS") * 1024)
    tracemalloc.start()
    with _client(ports) as client:
        python = _hold(client, value, lambda: tracemalloc.get_traced_memory()[0])
    figures["bytes_per_call"] = rss / value
    figures["python_bytes_per_call"] = python / value
    figures["c_bytes_per_call"] = (rss - python) / value
    return figures


def _hold(client: jsonrpcc.Client, calls: int, size: Callable[[], int]) -> int:
    """How much *size* grows by calls that the server holds back."""
    client.call("get_user", USER)
    gc.collect()
    before = size()
    for _ in range(calls):
        client.request("hold", USER, _unexpected, _ignore)
    client.call("get_user", USER)  # behind the others: all have been sent
    return size() - before


def _unexpected(result: object) -> None:
    raise WrongResultError(result)


def _ignore(error: object) -> None:
    """Take the error of a call that close() ends."""


def idle(value: int, ports: list[int]) -> dict[str, Any]:
    """Be there and do nothing, until stdin is closed; *value* servers are up."""
    client = _client(ports) if value else jsonrpcc.Client(_servers(ports))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.read()
    client.close()
    return {}


KINDS = {
    "in-flight": in_flight,
    "servers": servers,
    "servers-raw": servers_raw,
    "servers-many": servers_many,
    "payload": payload,
    "payload-many": payload_many,
    "memory": memory,
    "idle": idle,
}


def main() -> None:
    """Measure it and print the figures on one line."""
    kind, value, *ports = sys.argv[1:]
    figures = KINDS[kind](int(value), [int(port) for port in ports])
    json.dump(figures, sys.stdout)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
