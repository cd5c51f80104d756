"""Tasks that await calls: whatever happens to them, and however they are run."""

import asyncio
import collections
import contextvars
import gc
import logging
import os
import random
import sys
import time

import pytest
from helpers import LIMIT, until_then

from jsonrpcc import AsyncClient, RemoteError
from jsonrpcc._speedups import Pending, Wait
from jsonrpcc.testing import Delay, Drop

CALLS = int(os.environ.get("JSONRPCC_AWAIT_CALLS", "5_000"))


def alive():
    """The calls and waits that are not yet garbage."""
    gc.collect()
    kinds = collections.Counter(type(each) for each in gc.get_objects())
    return kinds[Pending] + kinds[Wait]


class Attack:
    """Tasks that await calls in random ways, and are cancelled at random moments."""

    def __init__(self, client, seed):
        self.client = client
        self.dice = random.Random(seed)
        self.outcomes = collections.Counter()
        self.tasks = {}

    async def call(self, number):
        call = self.client.call("first", [number])
        how = self.dice.randrange(4)
        if how == 0:
            return await asyncio.wait_for(call, LIMIT)
        if how == 1:
            async with asyncio.timeout(self.dice.choice([LIMIT, LIMIT, 0])):
                return await call
        return await (asyncio.shield(call) if how == 2 else call)

    async def one(self, number):
        try:
            assert await self.call(number) == number
        except TimeoutError:
            self.outcomes["timeout"] += 1
        else:
            self.outcomes["result"] += 1

    async def some(self, numbers):
        dice, tasks = self.dice, self.tasks
        for number in numbers:
            task = tasks[number] = asyncio.create_task(self.one(number))
            if dice.random() < 0.3:
                await asyncio.sleep(0)
            if dice.random() < 0.2:
                dice.choice(list(tasks.values())).cancel()
            await asyncio.wait([task])
            del tasks[number]
            if task.cancelled():
                self.outcomes["cancelled"] += 1
            else:
                task.result()


@pytest.mark.parametrize("seed", range(2))
def test_tasks_cancelled_at_any_moment_lose_and_leak_nothing(serve, run, seed):
    server = serve()

    async def main():
        async with AsyncClient(server.address, timeout=4 * LIMIT) as client:
            before = alive()
            attack = Attack(client, seed)
            await asyncio.gather(
                *(attack.some(range(first, CALLS, 50)) for first in range(50))
            )
            assert sum(attack.outcomes.values()) == CALLS
            assert len(attack.outcomes) == 3
            assert await client.drain()
            assert client.stats().in_flight == 0
            assert client._futures.pending() == []
            await until_then(lambda: alive() <= before)

    run(main())


def test_each_way_to_wait(serve, run):
    server = serve()

    async def main():
        async with AsyncClient(server.address) as client:

            def call(number):
                return client.call("first", [number])

            assert await call(1) == 1
            assert await asyncio.wait_for(call(2), LIMIT) == 2
            assert await asyncio.shield(call(3)) == 3
            assert await asyncio.ensure_future(call(4)) == 4
            assert await asyncio.gather(call(5), call(6)) == [5, 6]
            assert {await each for each in asyncio.as_completed([call(7)])} == {7}
            done, _ = await asyncio.wait([asyncio.create_task(call(8))])
            assert done.pop().result() == 8
            async with asyncio.TaskGroup() as group:
                task = group.create_task(call(9))
            assert task.result() == 9
            loop = asyncio.get_running_loop()
            future = asyncio.run_coroutine_threadsafe(call(10), loop)
            assert await asyncio.wrap_future(future) == 10
            with pytest.raises(RemoteError):
                await asyncio.create_task(client.call("fail"))
            assert not asyncio.isfuture(pending := call(11))
            assert asyncio.iscoroutine(pending)
            assert await pending == 11

    run(main())


def test_the_tasks_that_asyncio_has_in_python(serve, run):
    server = serve(faults={"never": Drop()})

    async def main():
        task_of = asyncio.tasks._PyTask
        async with AsyncClient(server.address) as client:
            loop = asyncio.get_running_loop()
            tasks = [task_of(client.call("first", [i]), loop=loop) for i in range(9)]
            assert await asyncio.gather(*tasks) == list(range(9))
            with pytest.raises(RemoteError):
                await task_of(client.call("fail"), loop=loop)
            never = task_of(client.call("never"), loop=loop)
            await asyncio.sleep(0)
            never.cancel()
            with pytest.raises(asyncio.CancelledError):
                await never

    run(main())


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with 3.12")
def test_eager_tasks(serve):
    server = serve()

    async def main():
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        got = []

        async def chain(number, calls):
            for _ in range(calls):
                assert await client.call("first", [number]) == number
            got.append(number)
            if calls > 1:  # within a task that we have woken
                await asyncio.create_task(chain(number, calls - 1))

        async with AsyncClient(server.address, max_in_flight=7) as client:
            await asyncio.gather(*(chain(i, 4) for i in range(50)))
            assert sorted(got) == sorted(list(range(50)) * 4)

    asyncio.run(main())


def test_a_task_runs_alone_and_in_its_own_context(serve, run):
    """Even if a full client makes it deliver to others while it waits for room."""
    server = serve(Delay(0.0005))
    number = contextvars.ContextVar("number")

    async def main():
        running = []

        async def one(i):
            number.set(i)
            for _ in range(5):
                task = asyncio.current_task()
                step = client.call("first", [i])
                assert await step == i
                assert asyncio.current_task() is task
                assert number.get() == i
                assert running == []
                running.append(i)
                running.remove(i)

        async with AsyncClient(server.address, max_in_flight=3) as client:
            await asyncio.gather(*(one(i) for i in range(40)))

    run(main())


def test_a_callback_runs_in_the_context_of_its_request(serve, run):
    server = serve()
    number = contextvars.ContextVar("number")

    async def main():
        got = []

        async def one(i):
            number.set(i)
            await client.request(
                "first", [i], lambda result: got.append((result, number.get()))
            )

        async with AsyncClient(server.address) as client:
            await asyncio.gather(*(one(i) for i in range(10)))
            assert await client.drain()
        assert sorted(got) == [(i, i) for i in range(10)]

    run(main())


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("calls", [6, 200])
def test_an_interrupt_in_one_task_loses_no_other(serve, error, calls):
    """It ends the loop, which runs again; all other tasks get their results."""
    server = serve()
    loop = asyncio.new_event_loop()
    got = []

    async def one(client, number):
        result = await client.call("first", [number])
        if number == 5:
            raise error
        got.append(result)

    async def begin():
        client = AsyncClient(server.address)
        await client.call("first", [0])
        return client, [loop.create_task(one(client, i)) for i in range(calls)]

    async def end():
        await asyncio.wait(tasks, timeout=LIMIT)
        await client.close()

    client, tasks = loop.run_until_complete(begin())
    with pytest.raises(error):
        loop.run_until_complete(asyncio.gather(*tasks))
    loop.run_until_complete(end())
    loop.close()
    assert sorted(got) == [i for i in range(calls) if i != 5]
    assert isinstance(tasks[5].exception(), error)


def test_a_debugged_loop_sees_each_task_by_itself(serve, caplog):
    server = serve()

    async def slow(client):
        await client.call("first", [1])
        time.sleep(0.05)  # noqa: ASYNC251

    async def main():
        asyncio.get_running_loop().slow_callback_duration = 0.04
        async with AsyncClient(server.address) as client:
            await asyncio.create_task(slow(client), name="the slow one")

    with caplog.at_level(logging.WARNING, "asyncio"):
        asyncio.run(main(), debug=True)
    assert any("the slow one" in record.getMessage() for record in caplog.records)


def test_a_callback_that_cannot_run_is_told_to_the_loop(serve):
    """As the loop does with what it calls itself."""
    server = serve()
    told = []

    def fail(_):
        raise ValueError("x")

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(context))
        async with AsyncClient(server.address) as client:
            task = asyncio.create_task(client.call("first", [1]))
            await asyncio.sleep(0)
            task._fut_waiter.add_done_callback(fail)
            assert await task == 1
            await until_then(lambda: told)

    asyncio.run(main())
    assert [type(each["exception"]) for each in told] == [ValueError]


def test_a_loop_with_futures_of_its_own_keeps_them(serve):
    class Future(asyncio.Future):
        """One that its loop needs."""

    class Loop(asyncio.SelectorEventLoop):
        def create_future(self):
            return Future(loop=self)

    server = serve()

    async def main():
        async with AsyncClient(server.address) as client:
            task = asyncio.create_task(client.call("first", [1]))
            await asyncio.sleep(0)
            assert type(task._fut_waiter) is Future
            assert await task == 1
            calls = [client.call("first", [i]) for i in range(300)]
            assert await asyncio.gather(*calls) == list(range(300))

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(main())
