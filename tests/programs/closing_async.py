"""Close AsyncClients while things go wrong; report what happened, as JSON."""

import asyncio
import concurrent.futures
import contextlib
import os
import threading
import time

from closing_trouble import (
    QUICK,
    closed,
    dice,
    few_descriptors,
    main,
    problems,
    some_servers,
    time_limit,
)
from forked import exit_code
from history import LIMIT, History

from jsonrpcc import AsyncClient, ClientClosed, JsonRpcError


class AsyncVictim:
    """An AsyncClient with tasks that await calls."""

    def __init__(self, count=6):
        self.history = History()
        self.hook = lambda: None
        self.client = AsyncClient(
            some_servers(), timeout=30, max_in_flight=dice.choice([2, 64]),
            on_event=lambda _: self.hook(), **QUICK,
        )  # fmt: skip
        self.tasks = [asyncio.create_task(self.use()) for _ in range(count)]

    async def use(self):
        while not self.client._closed:
            await self.history.await_call(self.client, timeout=time_limit())
            if dice.random() < 0.2:
                with contextlib.suppress(JsonRpcError):
                    await self.client.notification("note", ["x" * 100_000])
            self.hook()

    async def end(self):
        began = time.monotonic()
        await asyncio.wait_for(self.client.close(), LIMIT)
        done, late = await asyncio.wait(self.tasks, timeout=LIMIT)
        self.look(done, late, began)

    def look(self, done, late, began):
        closed(began)
        if late:
            problems.append(f"{len(late)} calls never ended")
        problems.extend(
            f"a task: {task.exception()!r}" for task in done
            if not task.cancelled() and task.exception()
            and not isinstance(task.exception(), ClientClosed)
        )  # fmt: skip
        if self.client.stats().in_flight:
            problems.append("calls are in flight in a closed client")


async def nap(most):
    await asyncio.sleep(dice.choice([0, dice.uniform(0, most), dice.uniform(0, most)]))


async def cancelled():
    """Closed by tasks that are cancelled at any moment, or run out of time."""
    victim = AsyncVictim()
    await nap(dice.choice([0.01, 0.1]))
    closers = [asyncio.create_task(victim.client.close()) for _ in range(3)]
    for closer in closers:
        await nap(0.002)
        closer.cancel()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(dice.uniform(0, 0.002)):
            await victim.client.close()
    await victim.end()


async def busy_executor():
    """The loop's executor has no thread left, or is gone."""
    victim = AsyncVictim()
    loop, release = asyncio.get_running_loop(), threading.Event()
    executor = concurrent.futures.ThreadPoolExecutor(1)
    loop.set_default_executor(executor)
    busy = loop.run_in_executor(None, release.wait, LIMIT)
    await nap(dice.choice([0.01, 0.1]))
    if dice.random() < 0.5:
        executor.shutdown(wait=False)
    await victim.end()
    release.set()
    await busy


async def crosswise():
    """Two clients, each closed by tasks of the other's outcomes and events."""
    victims = AsyncVictim(), AsyncVictim()
    closers = []
    for victim, other in zip(victims, reversed(victims), strict=True):

        def close(other=other):
            if dice.random() < 0.3:
                closers.append(asyncio.ensure_future(other.client.close()))

        victim.hook = close
    await nap(dice.choice([0.01, 0.1]))
    for victim in victims:
        await victim.end()
    await asyncio.wait_for(asyncio.gather(*closers), LIMIT)


async def without_descriptors():
    victim = AsyncVictim()
    await nap(0.005)
    with few_descriptors():
        await nap(0.02)
        closing = asyncio.create_task(victim.client.close())
        await nap(0.005)
    await asyncio.wait_for(closing, LIMIT)
    await victim.end()


async def while_forking():
    """The loop forks in the middle of its own close()."""
    victim = AsyncVictim()
    await nap(dice.choice([0.01, 0.1]))
    closing = asyncio.create_task(victim.client.close())
    for _ in range(dice.randrange(3)):
        await asyncio.sleep(0)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            asyncio._set_running_loop(None)
            asyncio.run(victim.client.close())
            code = 0
        finally:
            os._exit(code)
    await asyncio.wait_for(closing, LIMIT)
    await victim.end()
    if (code := await asyncio.to_thread(exit_code, pid)) != 0:
        problems.append(f"a child: {code}")


def after_its_loop():
    """Its loop has ended, possibly in the middle of a close()."""

    async def use():
        victim = AsyncVictim()
        await nap(dice.choice([0.01, 0.1]))
        closing = asyncio.create_task(victim.client.close())
        for _ in range(dice.randrange(3)):
            await asyncio.sleep(0)
        if dice.random() < 0.5:
            closing.cancel()
        return victim

    began = time.monotonic()
    victim = asyncio.run(use())
    if dice.random() < 0.5:
        asyncio.run(victim.client.close())
    else:
        with contextlib.suppress(StopIteration):
            victim.client.close().send(None)
    victim.look(victim.tasks, [], began)


def in_a_loop(coroutine):
    return lambda: asyncio.run(coroutine())


main(
    {
        "cancelled": in_a_loop(cancelled),
        "executor": in_a_loop(busy_executor),
        "crosswise": in_a_loop(crosswise),
        "async_descriptors": in_a_loop(without_descriptors),
        "async_fork": in_a_loop(while_forking),
        "loop": after_its_loop,
    }
)
