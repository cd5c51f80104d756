"""Closing an AsyncClient when things go wrong, and leaving it to the collector."""

import asyncio
import contextlib
import gc
import importlib
import random
import threading

import pytest
from helpers import LIMIT, descriptors, threads, until, until_then
from peers import needs_module

from jsonrpcc import AsyncClient, ClientClosed
from jsonrpcc.testing import Drop

PENDING = {"never": Drop()}


async def ended(tasks):
    """Return how calls end that others wait for, while close() is in trouble."""
    done, pending = await asyncio.wait(tasks, timeout=LIMIT)
    assert not pending
    return {type(task.exception()) for task in done}


async def settled(count, baseline):
    await until_then(lambda: count() <= baseline)


def pending_calls(client):
    return [asyncio.create_task(client.call("never", timeout=60)) for _ in range(3)]


async def sent_calls(client, server):
    tasks = pending_calls(client)
    await until_then(lambda: len(server.requests) == 3)
    return tasks


@pytest.mark.parametrize("steps", range(4))
def test_close_cancelled_at_each_await(serve, run, steps):
    """Drive it by hand; after some steps it is cancelled and never resumed."""
    server = serve(faults=PENDING)

    async def main():
        before = threads(), descriptors()
        client = AsyncClient(server.address)
        tasks = await sent_calls(client, server)
        closing = client.close()
        with contextlib.suppress(StopIteration, asyncio.CancelledError):
            for _ in range(steps):
                future = closing.send(None)
                future._asyncio_future_blocking = False  # as its task does
                await asyncio.wait([future], timeout=LIMIT)
            closing.throw(asyncio.CancelledError())
        closing.close()
        if steps:
            assert await ended(tasks) == {ClientClosed}
            del tasks
            await settled(threads, before[0])
            await settled(descriptors, before[1] + 2)  # the server's side
        await client.close()

    run(main())


def test_close_cancelled_at_random_moments(serve, run):
    server = serve(faults=PENDING)

    async def main():
        for _ in range(60):
            client = AsyncClient(server.address)
            tasks = pending_calls(client)
            await asyncio.sleep(random.choice([0, 0.001, 0.003]))
            closing = [asyncio.create_task(client.close()) for _ in range(3)]
            for _ in range(random.randrange(4)):
                await asyncio.sleep(0)
            await asyncio.sleep(random.choice([0, 0, 0.0005, 0.002]))
            for task in random.sample(closing, random.randint(0, 3)):
                task.cancel()
            await asyncio.wait(closing, timeout=LIMIT)
            if any(not task.cancelled() for task in closing):
                assert all(task.done() for task in tasks)
            if closing_began := client._closed:
                assert await ended(tasks) == {ClientClosed}
            await client.close()
            assert closing_began or await ended(tasks) == {ClientClosed}

    run(main())


def test_several_tasks_close_at_once(serve, run):
    server = serve(faults=PENDING)

    async def main():
        client = AsyncClient(server.address)
        tasks = await sent_calls(client, server)
        await asyncio.gather(*(client.close() for _ in range(10)))
        assert all(isinstance(task.exception(), ClientClosed) for task in tasks)
        await client.close()

    run(main())


def test_close_in_a_timeout_that_is_over(serve, run):
    server = serve(faults=PENDING)

    async def main():
        client = AsyncClient(server.address)
        tasks = await sent_calls(client, server)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.0001):
                await client.close()
        assert await ended(tasks) == {ClientClosed}

    run(main())


def test_close_in_a_cancelled_scope_of_anyio(serve):
    needs_module("anyio")
    anyio = importlib.import_module("anyio")
    server = serve(faults=PENDING)
    outcomes = []

    async def user(client):
        with pytest.raises(ClientClosed) as caught:
            await client.call("never", timeout=60)
        outcomes.append(caught.value)

    async def main():
        with anyio.fail_after(LIMIT):
            async with anyio.create_task_group() as group:
                with anyio.CancelScope() as scope:
                    async with AsyncClient(server.address) as client:
                        group.start_soon(user, client)
                        while not server.requests:
                            await anyio.sleep(0.001)
                        scope.cancel()
        assert len(outcomes) == 1

    anyio.run(main)


def test_close_while_the_executor_is_busy_or_gone(serve, run):
    server = serve()

    async def main():
        loop = asyncio.get_running_loop()
        release = threading.Event()
        busy = [loop.run_in_executor(None, release.wait, LIMIT) for _ in range(40)]
        try:
            async with asyncio.timeout(LIMIT):
                async with AsyncClient(server.address) as client:
                    assert await client.call("add", [1, 2]) == 3
        finally:
            release.set()
            await asyncio.gather(*busy)
        async with AsyncClient(server.address) as client:
            assert await client.call("add", [1, 2]) == 3
            await loop.shutdown_default_executor()

    run(main())


@pytest.mark.parametrize("with_loop", [False, True])
def test_close_after_the_loop_has_ended(serve, run, with_loop):
    server = serve(faults=PENDING)

    async def use():
        client = AsyncClient(server.address)
        tasks = await sent_calls(client, server)
        for task in tasks:
            task.cancel()
        return client

    before = threads()
    client = run(use())
    if with_loop:
        run(client.close())
    else:
        with pytest.raises(StopIteration):
            client.close().send(None)
    assert repr(client) == "<AsyncClient closed>"
    server.wait_for_connections(0)
    until(lambda: threads() <= before)


def test_close_from_another_loop_is_refused(serve, run):
    server = serve()

    async def main():
        async with AsyncClient(server.address) as client:
            assert await client.call("add", [1, 2]) == 3
            with pytest.raises(RuntimeError, match="another event loop"):
                await asyncio.to_thread(asyncio.run, client.close())
            assert await client.call("add", [1, 2]) == 3

    run(main())


def test_a_closed_client_refuses_in_every_style(serve, run):
    server = serve()

    async def main():
        client = AsyncClient(server.address)
        call = client.call
        await client.call("add", [1, 2])
        bound = client.call
        await client.close()
        for use in (call, bound, client.call, client.notification):
            with pytest.raises(ClientClosed) as caught:
                await use("add", [1, 2])
            assert (caught.value.method, caught.value.fate) == ("add", "not_sent")

    run(main())


# ---- garbage ------------------------------------------------------------------------


@pytest.mark.parametrize("uses", [0, 1, 2])
def test_a_forgotten_client_warns_and_is_cleaned_up(serve, run, uses):
    """It is collected at once while its loop goes on: nothing else refers to it."""
    server = serve()

    async def main():
        before = threads(), descriptors()
        for _ in range(10):
            client = AsyncClient(server.address)
            for _ in range(uses):
                await client.call("add", [1, 2])
            with pytest.warns(ResourceWarning, match="unclosed <AsyncClient"):
                del client
        await settled(threads, before[0])
        await until_then(lambda: not server.connections)
        await settled(descriptors, before[1])

    run(main())


@pytest.mark.parametrize("uses", [0, 1])
def test_a_client_forgotten_after_its_loop_warns(serve, run, uses):
    server = serve()

    async def main():
        client = AsyncClient(server.address)
        for _ in range(uses):
            await client.call("add", [1, 2])
        return client

    client = [run(main())]
    with pytest.warns(ResourceWarning, match="unclosed <AsyncClient"):
        client.clear()
    gc.collect()
    server.wait_for_connections(0)


def test_calls_of_a_forgotten_client_end(serve, run):
    server = serve(faults=PENDING)

    async def main():
        client = AsyncClient(server.address)
        assert await client.call("add", [1, 2]) == 3
        tasks = [asyncio.create_task(client.call("never")) for _ in range(3)]
        await until_then(lambda: len(server.requests) == 4)
        with pytest.warns(ResourceWarning, match="unclosed"):
            del client
        assert await ended(tasks) == {ClientClosed}

    run(main())


def test_forgotten_in_another_thread(serve, run):
    server = serve()

    async def main():
        client = AsyncClient(server.address)
        assert await client.call("add", [1, 2]) == 3
        box = [client]
        del client
        with pytest.warns(ResourceWarning, match="unclosed"):
            await asyncio.to_thread(box.clear)
        await until_then(lambda: not server.connections)

    run(main())


def test_close_when_the_loop_was_closed_with_calls_in_flight(serve):
    """It used to raise what the loop did; no task of the loop is run any more."""
    server = serve(Drop())
    ran = []

    async def one(client):
        try:
            await client.call("first", [1], timeout=60)
        finally:
            ran.append(1)

    loop = asyncio.new_event_loop()

    async def begin():
        client = AsyncClient(server.address)
        task = loop.create_task(one(client))
        await until_then(lambda: server.requests)
        return client, task

    client, task = loop.run_until_complete(begin())
    loop.close()
    asyncio.run(client.close())
    assert ran == []
    assert not task.done()
    task._log_destroy_pending = False
    del task
    gc.collect()
    assert ran == [1]  # by its end, not by the loop
