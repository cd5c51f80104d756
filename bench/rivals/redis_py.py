"""
redis-py with hiredis against redis-server: another protocol, a C parser.

It has no callbacks and cannot share a connection between tasks: many calls at
once are a pipeline, many tasks a pool.  The values are the JSON texts that our
server gives, and are decoded and checked just the same.
"""

from __future__ import annotations

import threading
from time import perf_counter
from typing import TYPE_CHECKING, Any

import orjson
import redis
import redis.asyncio

from bench.drive import GET_USER, Work, blob
from bench.job import HOST, Job, check_user
from bench.rivals.protocol import await_one_by_one, await_tasks, run_uvloop

if TYPE_CHECKING:
    from collections.abc import Callable

THREADS = 8
POOL = 10
"""Connections for many tasks: of 10, 50, 200 and 1000 this was the cheapest."""


def _pipelines(client: Any, work: Work, calls: int, window: int) -> None:
    """One pipeline of *window* calls after the other."""
    check, loads, method = work.check, orjson.loads, work.method
    while calls > 0:
        pipeline = client.pipeline(transaction=False)
        for _ in range(min(window, calls)):
            pipeline.get(method)
        for value in pipeline.execute():
            check(loads(value))
        calls -= window


def _callback(job: Job, work: Work = GET_USER) -> None:
    client = redis.Redis(HOST, job.port)
    _pipelines(client, work, job.warmup, job.window)
    with job.measure():
        _pipelines(client, work, job.calls, job.window)
    client.close()


def callback(job: Job) -> None:
    """Pipelines of the window's size; a function per result."""
    _callback(job)


def map(job: Job) -> None:  # noqa: A001 - the workload's name
    """The same: a pipeline's results are in order."""
    _callback(job)


def blob64k(job: Job) -> None:
    """Values of 64 KiB."""
    _callback(job, blob("blob64k"))


def blob1m(job: Job) -> None:
    """Values of 1 MiB."""
    _callback(job, blob("blob1m"))


def callback8(job: Job) -> None:
    """Eight threads, each with a pipeline of its own."""
    client = redis.Redis(HOST, job.port)
    gates = [threading.Barrier(THREADS + 1) for _ in range(2)]

    def work() -> None:
        for gate, calls in zip(gates, (job.warmup, job.calls), strict=True):
            _pipelines(client, GET_USER, calls // THREADS, job.window // THREADS)
            gate.wait()
            gate.wait()

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    gates[0].wait()
    with job.measure():
        gates[0].wait()
        gates[1].wait()
    gates[1].wait()
    for thread in threads:
        thread.join()
    client.close()


def sync(job: Job) -> None:
    """One call after the other."""
    client = redis.Redis(HOST, job.port)
    get: Any = client.get
    for _ in range(job.warmup):
        check_user(orjson.loads(get("get_user")))
    with job.measure():
        for _ in range(job.calls):
            begun = perf_counter()
            result = orjson.loads(get("get_user"))
            job.latencies.append(perf_counter() - begun)
            check_user(result)
    client.close()


def _run_async(job: Job, pool: int, main: Callable[[Any], Any]) -> None:
    async def connected() -> None:
        connections = redis.asyncio.BlockingConnectionPool(
            host=HOST, port=job.port, max_connections=pool, timeout=None
        )
        async with redis.asyncio.Redis(connection_pool=connections) as client:
            get: Any = client.get

            async def call(method: str, _params: Any) -> Any:
                return orjson.loads(await get(method))

            await main(call)
        await connections.disconnect()

    run_uvloop(connected())


def await_(job: Job) -> None:
    """Many tasks, which share a pool of connections."""
    _run_async(job, POOL, lambda call: await_tasks(job, call))


def await1(job: Job) -> None:
    """One call after the other."""
    _run_async(job, 1, lambda call: await_one_by_one(job, call))
