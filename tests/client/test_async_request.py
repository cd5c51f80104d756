"""Calls with callbacks in an event loop, drain(), and block=False."""

import asyncio
import functools
import gc
import logging
import random

import pytest
from helpers import LIMIT, until, until_then

from jsonrpcc import (
    AsyncClient,
    Call,
    Cancelled,
    ClientClosed,
    JsonRpcError,
    QueueFull,
    RemoteError,
)
from jsonrpcc.testing import Chaos, Close, Delay, Drop


def test_a_request_runs_exactly_one_callback_in_the_loop(serve, run):
    server = serve()

    async def main():
        async with AsyncClient(server.address) as client:
            loop, got = asyncio.get_running_loop(), []

            def on_result(result):
                assert asyncio.get_running_loop() is loop
                got.append(result)

            call = await client.request("add", [1, 2], on_result, got.append)
            assert isinstance(call, Call)
            assert call.method == "add"
            await client.request("fail", None, got.append, on_error=got.append)
            assert await client.drain()
            assert got[0] == 3
            assert isinstance(got[1], RemoteError)
            assert len(got) == 2

    run(main())


def test_a_request_is_sent_without_being_awaited_any_further(serve, run):
    server = serve()

    async def main():
        async with AsyncClient(server.address) as client:
            for i in range(300):
                await client.request("first", [i])
            await until_then(lambda: len(server.requests) == 300)

    run(main())


@pytest.mark.parametrize("bad", [1, "text", object()])
def test_a_callback_must_be_callable(serve, run, bad):
    server = serve()

    async def main():
        async with AsyncClient(server.address) as client:
            with pytest.raises(TypeError, match="on_result must be callable or None"):
                await client.request("add", [1, 2], bad)
            with pytest.raises(TypeError, match="on_error must be callable or None"):
                await client.request("add", [1, 2], None, bad)
            assert client.stats().requests == 0

    run(main())


def test_a_coroutine_function_is_not_a_callback(serve, run):
    """Nobody would await the coroutine that it returns."""
    server = serve()

    async def on_result(result):
        raise AssertionError

    async def main():
        async with AsyncClient(server.address) as client:
            with pytest.raises(TypeError, match="coroutine function"):
                await client.request("add", [1, 2], on_result)

    run(main())


def test_a_callback_that_raises_is_logged_and_hurts_nobody(serve, run, caplog):
    server = serve()

    async def main():
        async with AsyncClient(server.address, name="one") as client:
            await client.request("first", [1], lambda _: 1 / 0)
            await client.request("fail")
            got = []
            await client.request("first", [2], got.append)
            await client.drain()
            assert got == [2]

    with caplog.at_level(logging.ERROR, "jsonrpcc"):
        run(main())
    texts = [record.getMessage() for record in caplog.records]
    assert texts[0] == "one: callback of 'first' failed"
    assert "it failed" in texts[1]
    assert texts[1].endswith("(no on_error was given)")


def test_cancel_gives_cancelled_to_on_error(serve, run):
    server = serve(Drop())

    async def main():
        async with AsyncClient(server.address) as client:
            got = []
            call = await client.request("first", [1], on_error=got.append)
            await until_then(lambda: server.requests)
            call.cancel()
            assert await client.drain()
            (error,) = got
            assert isinstance(error, Cancelled)

    run(main())


def test_close_runs_the_last_callback_before_it_returns(serve, run):
    server = serve(Drop())

    async def main():
        for _ in range(20):
            client, got = AsyncClient(server.address), []
            for i in range(50):
                await client.request("first", [i], got.append, got.append)
            await asyncio.gather(client.close(), client.close())
            assert len(got) == 50
            assert all(isinstance(error, ClientClosed) for error in got)
            with pytest.raises(ClientClosed):
                await client.request("first", [1], got.append, got.append)
            assert len(got) == 50

    run(main())


def test_a_full_client_makes_a_request_wait_or_refuses_it(serve, run):
    server = serve(Drop())

    async def main():
        async with AsyncClient(server.address, max_in_flight=1) as client:
            call = await client.request("first", [1], timeout=60)
            await until_then(lambda: server.requests)
            for style in (client.request, client.call):
                with pytest.raises(QueueFull) as caught:
                    await style("first", [2], timeout=0.05)
                assert caught.value.fate == "not_sent"
                with pytest.raises(QueueFull):
                    await asyncio.wait_for(style("first", [2], block=False), LIMIT)
            got = []
            waiting = asyncio.create_task(
                client.request("first", [3], on_error=got.append, timeout=60)
            )
            await asyncio.sleep(0)
            call.cancel()
            (await waiting).cancel()
            assert await client.drain()
            assert isinstance(got[0], Cancelled)

    run(main())


def test_a_full_client_makes_a_notification_wait(serve, run):
    server = serve()
    server.stop()
    text = ["x" * 60]

    async def main():
        async with AsyncClient(
            server.address,
            max_queued_bytes=100,
            reconnect_delay=0.05,
            reconnect_delay_max=0.1,  # close() gives the notification a second
        ) as client:
            options = {"timeout": 60, "wait_for_ready": True}
            first = await client.request("first", text, **options)
            with pytest.raises(QueueFull):
                await client.notification("note", text, timeout=0.05)
            waiting = asyncio.create_task(client.notification("note", text, **options))
            await asyncio.sleep(0)
            assert not waiting.done()
            first.cancel()
            await asyncio.wait_for(waiting, LIMIT)
            assert client.stats().notifications == 1
            server.start()
            assert await client.drain()

    run(main())
    until(lambda: server.requests)
    assert [(r.method, r.params) for r in server.requests] == [("note", text)]


def test_a_full_client_refuses_a_notification_that_must_not_wait(serve, run):
    server = serve()
    server.stop()

    async def main():
        async with AsyncClient(server.address, max_queued_bytes=100) as client:

            async def notify():
                await client.notification(
                    "note", ["x" * 60], timeout=60, wait_for_ready=True, block=False
                )

            await notify()
            with pytest.raises(QueueFull):
                await asyncio.wait_for(notify(), LIMIT)

    run(main())


def test_a_full_client_refuses_a_blocking_call_that_must_not_wait(serve, client_for):
    server = serve(Drop())
    client = client_for(server, max_in_flight=1)
    call = client.request("first", [1], timeout=60)
    with pytest.raises(QueueFull):
        client.call("first", [2], timeout=60, block=False)
    with pytest.raises(QueueFull):
        client.submit("first", [2], timeout=60, block=False)
    call.cancel()


def test_cancelling_the_wait_for_room_makes_no_call(serve, run):
    server = serve(Drop())

    async def main():
        async with AsyncClient(server.address, max_in_flight=1) as client:
            got = []
            call = await client.request("first", [1], timeout=60)
            waiting = asyncio.create_task(client.request("first", [2], got.append))
            await asyncio.sleep(0.01)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            call.cancel()
            await client.drain()
            assert client.stats().requests == 1
            assert got == []

    run(main())


def test_drain_waits_for_each_style_within_its_timeout(serve, run):
    server = serve(faults={"first": Delay(0.05), "never": Drop()})

    async def main():
        async with AsyncClient(server.address) as client:
            assert await client.drain()
            got = []
            task = asyncio.create_task(client.call("first", [1]))
            await asyncio.sleep(0)
            await client.request("first", [2], got.append)
            assert not await client.drain(timeout=0.001)
            assert await client.drain()
            assert got == [2]
            assert await task == 1
            call = await client.request("never")
            assert not await client.drain(timeout=0.02)
            call.cancel()
        assert await client.drain()

    run(main())


def test_a_callback_may_make_calls(serve, run):
    server = serve()

    async def main():
        async with AsyncClient(server.address) as client:
            tasks, got = [], []

            def on_result(result):
                tasks.append(asyncio.create_task(again(result)))

            async def again(result):
                await client.request("first", [result + 1], got.append)

            await client.request("first", [1], on_result)
            await until_then(lambda: got)
            assert got == [2]

    run(main())


class Outcomes:
    """Requests of random kinds, each with the number of its outcomes."""

    def __init__(self, client, dice):
        self.client = client
        self.dice = dice
        self.counts = {}
        self.tasks = []

    def add(self, number):
        self.counts[number] = self.counts.get(number, 0) + 1

    async def request(self, number):
        dice, add = self.dice, functools.partial(self.add, number)
        options = {"block": dice.random() < 0.5, "idempotent": dice.random() < 0.5}
        try:
            call = await self.client.request(
                "first", [number], lambda _: add(), lambda _: add(), timeout=0.3,
                **options,
            )  # fmt: skip
        except (JsonRpcError, asyncio.CancelledError):
            add()
            return
        if dice.random() < 0.2:
            call.cancel()

    async def make(self, count):
        for number in range(count):
            task = asyncio.create_task(self.request(number))
            # One that is cancelled before its first step makes no call.
            task.add_done_callback(
                lambda task, number=number: task.cancelled() and self.add(number)
            )
            self.tasks.append(task)
            if self.dice.random() < 0.1:
                await asyncio.sleep(0)
            if self.dice.random() < 0.1:
                self.dice.choice(self.tasks).cancel()


@pytest.mark.parametrize("seed", range(6))
def test_each_request_has_one_outcome_whatever_happens(serve, run, seed):
    """Cancelled, full, lost, closed at any moment: one callback a call, or an error."""
    servers = [serve(), serve(Chaos(1, {Close(): 0.1, Drop(): 0.1}))]
    text = " ".join(server.address for server in servers)

    async def main():
        client = AsyncClient(text, max_in_flight=20)
        outcomes = Outcomes(client, random.Random(seed))
        await outcomes.make(150)
        if seed % 2:
            await asyncio.wait(outcomes.tasks)
            assert await client.drain()
            assert len(outcomes.counts) == 150
        await client.close()
        await asyncio.wait(outcomes.tasks)
        assert outcomes.counts == dict.fromkeys(range(150), 1)

    run(main())


def test_a_dropped_client_tells_its_callbacks(serve, run):
    server = serve(Drop())

    async def main():
        client, got = AsyncClient(server.address), []
        await client.request("first", [1], got.append, got.append)
        with pytest.warns(ResourceWarning, match="unclosed"):  # noqa: PT031
            del client
            gc.collect()
        await until_then(lambda: got)
        assert isinstance(got[0], ClientClosed)

    run(main())


def test_a_request_in_another_loop_raises(serve, run):
    server = serve()

    async def main():
        async with AsyncClient(server.address) as client:
            await client.call("first", [1])

            async def other():
                for make in (lambda: client.request("first"), client.drain):
                    with pytest.raises(RuntimeError, match="loop"):
                        await make()
                with pytest.raises(RuntimeError, match="loop"):
                    await anext(client.map("first", [[1]]))

            await asyncio.to_thread(asyncio.run, other())

    run(main())
