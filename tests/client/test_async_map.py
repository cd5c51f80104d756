"""AsyncClient.map: order, window, errors, cancellation, the end."""

import asyncio
import gc
import random

import pytest
from helpers import LIMIT, until_then

from jsonrpcc import AsyncClient, ClientClosed, JsonRpcError, RemoteError
from jsonrpcc.testing import Chaos, Close, Delay, Drop


async def collect(results):
    return [result async for result in results]


async def slowly(items, pause=0):
    for item in items:
        await asyncio.sleep(pause)
        yield item


PARAMS = {
    "list": list,
    "generator": iter,
    "asynchronous": slowly,
    "slow": lambda items: slowly(items, 0.0001),
}


@pytest.fixture(params=PARAMS.values(), ids=PARAMS.keys())
def params(request):
    return request.param


def test_results_come_in_the_order_of_the_params(serve, run, params):
    server = serve(faults={"first": lambda request: Delay(random.random() / 200)})

    async def main():
        async with AsyncClient(server.address) as client:
            items = [[i] for i in range(700)]
            got = await collect(client.map("first", params(items), window=50))
            assert got == list(range(700))
            assert await collect(client.map("first", params([]))) == []

    run(main())


@pytest.mark.parametrize("window", [1, 2, 7, 100])
@pytest.mark.parametrize("kind", ["generator", "asynchronous"])
def test_no_more_than_the_window_is_in_flight_or_read(serve, run, kind, window):
    server = serve()

    async def main():
        returned, ahead, most = 0, 0, 0

        def items():
            nonlocal ahead
            for i in range(300):
                ahead = max(ahead, i + 1 - returned)
                yield [i]

        async with AsyncClient(server.address) as client:
            params = PARAMS[kind](items())
            async for _ in client.map("first", params, window=window):
                most = max(most, client.stats().in_flight)
                returned += 1
        # The one that is being returned is not counted yet.
        assert returned == 300
        assert most <= window
        assert ahead <= window

    run(main())


def test_params_may_come_from_earlier_results(serve, run):
    server = serve()

    async def main():
        async with AsyncClient(server.address) as client:
            todo, got = [1], 0
            params = iter(lambda: [todo.pop()], None)
            async for got in client.map("first", params, window=1):
                if got >= 100:
                    break
                todo.append(got * 2)
            assert got == 128

    run(main())


def test_a_result_comes_before_slow_params(serve, run):
    server = serve()

    async def main():
        never = asyncio.Event()

        async def items():
            yield [1]
            await never.wait()

        async with AsyncClient(server.address) as client:
            results = client.map("first", items())
            assert await asyncio.wait_for(anext(results), LIMIT) == 1
            await results.aclose()

    run(main())


def test_an_error_is_raised_in_its_turn_and_ends_it(serve, run, params):
    server = serve(methods={"half": lambda n: n // (n != 5)})

    async def main():
        async with AsyncClient(server.address) as client:
            results = client.map("half", params([[n] for n in range(10)]))
            assert [await anext(results) for _ in range(5)] == list(range(5))
            with pytest.raises(RemoteError):
                await anext(results)
            assert await collect(results) == []
            await until_then(lambda: client.stats().in_flight == 0)

    run(main())


def test_errors_stand_among_the_results_if_wanted(serve, run, params):
    server = serve(methods={"half": lambda n: n // (n != 5)})

    async def main():
        async with AsyncClient(server.address) as client:
            items = [[n] for n in range(10)]
            items[3] = 7  # which are no params
            items[4] = [float("nan")]
            got = await collect(
                client.map("half", params(items), return_exceptions=True)
            )
            assert [n for n, each in enumerate(got) if each == n] == [
                0,
                1,
                2,
                6,
                7,
                8,
                9,
            ]
            assert isinstance(got[3], TypeError)
            assert isinstance(got[4], ValueError)
            assert isinstance(got[5], RemoteError)

    run(main())


def test_bad_params_are_raised_in_their_turn(serve, run, params):
    server = serve()

    async def main():
        async with AsyncClient(server.address) as client:
            results = client.map("first", params([[1], "{'id': }", [2]]))
            assert await anext(results) == 1
            with pytest.raises(ValueError, match="offset 7"):
                await anext(results)
            assert await collect(results) == []

    run(main())


@pytest.mark.parametrize("return_exceptions", [False, True])
def test_what_the_params_raise_comes_last(serve, run, return_exceptions):
    server = serve()

    def items():
        yield [1]
        yield [2]
        raise LookupError

    async def main():
        async with AsyncClient(server.address) as client:
            for params in (items(), slowly(items())):
                results = client.map(
                    "first", params, return_exceptions=return_exceptions
                )
                assert await anext(results) == 1
                assert await anext(results) == 2
                with pytest.raises(LookupError):
                    await anext(results)
                assert await collect(results) == []

    run(main())


@pytest.mark.parametrize("window", [0, -1, 1.5, True, "8"])
def test_a_wrong_window_is_refused(serve, run, window):
    async def main():
        async with AsyncClient(serve().address) as client:
            with pytest.raises(ValueError, match="window must be a positive integer"):
                client.map("first", [], window=window)
            with pytest.raises(TypeError):
                client.map("first", 7)
            with pytest.raises(TypeError, match="method must be a str"):
                client.map(7, [])

    run(main())


def test_a_cancelled_anext_loses_nothing(serve, run, params):
    """At every step: wherever it is cancelled, all results arrive in order."""
    dice = random.Random(3)
    server = serve(faults={"first": lambda request: Delay(random.random() / 300)})

    async def main():
        async with AsyncClient(server.address) as client:
            items = [[i] for i in range(200)]
            results, got = client.map("first", params(items), window=9), []
            while len(got) < 200:
                task = asyncio.create_task(anext(results))
                for _ in range(dice.randrange(6)):
                    await asyncio.sleep(0)
                task.cancel()
                try:
                    got.append(await task)
                except asyncio.CancelledError:
                    continue
            assert got == list(range(200))
            assert await collect(results) == []

    run(main())


def test_dropping_it_cancels_its_calls(serve, run, params):
    server = serve(Drop())

    async def main():
        async with AsyncClient(server.address) as client:
            for end in ("close", "drop"):
                before = client.stats().cancelled
                results = client.map("first", params([[i] for i in range(40)]))
                task = asyncio.create_task(anext(results))
                await until_then(lambda: client.stats().in_flight >= 1)
                task.cancel()
                await asyncio.wait([task])
                if end == "close":
                    await results.aclose()
                    assert await collect(results) == []
                del results, task
                gc.collect()
                await until_then(lambda: client.stats().in_flight == 0)
                assert client.stats().cancelled > before

    run(main())


def test_break_and_errors_leave_no_unheard_exception(serve, run, caplog):
    """Errors that nobody retrieves are not reported; asyncio would log them."""
    server = serve(methods={"fail": lambda: 1 / 0})

    async def main():
        async with AsyncClient(server.address) as client:
            for _ in range(3):
                with pytest.raises(RemoteError):
                    await collect(client.map("fail", [[]] * 100))
            async for _ in client.map("fail", [[]] * 9, return_exceptions=True):
                break
            gc.collect()
            await client.drain()
        gc.collect()

    run(main())
    assert caplog.records == []


def test_one_task_at_a_time(serve, run):
    server = serve(Drop())

    async def main():
        async with AsyncClient(server.address) as client:
            results = client.map("first", [[1]])
            task = asyncio.create_task(anext(results))
            await until_then(lambda: server.requests)
            with pytest.raises(RuntimeError, match="already executing"):
                await anext(results)
            task.cancel()
            await asyncio.wait([task])

    run(main())


def test_a_full_client_delays_and_loses_nothing(serve, run, params):
    server = serve(Delay(0.0005))

    async def main():
        async with AsyncClient(server.address, max_in_flight=3) as client:
            items = [[i] for i in range(60)]
            got = await asyncio.gather(
                *(collect(client.map("first", params(items))) for _ in range(3))
            )
            assert got == [list(range(60))] * 3

    run(main())


def test_close_ends_it(serve, run):
    server = serve(Drop())

    async def main():
        client = AsyncClient(server.address)
        results = client.map("first", [[1], [2]])
        task = asyncio.create_task(anext(results))
        await until_then(lambda: server.requests)
        await client.close()
        with pytest.raises(ClientClosed):
            await task
        assert await collect(results) == []
        with pytest.raises(ClientClosed):
            await anext(client.map("first", [[1]]))

    run(main())


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("comes", ["in time", "late", "never"])
def test_close_ends_it_while_it_reads_params(serve, run, caplog, comes, keep):
    """Whatever becomes of the params that it has asked for; they are told."""
    server = serve()
    ended = []

    async def main():
        goes_on = asyncio.Event()

        async def params():
            try:
                yield [1]
                await goes_on.wait()
                yield [2]
            finally:
                ended.append(comes)

        client = AsyncClient(server.address)
        results = client.map("first", params(), return_exceptions=keep)
        assert await anext(results) == 1
        task = asyncio.create_task(anext(results))
        await asyncio.sleep(0)
        if comes == "in time":
            goes_on.set()
            await asyncio.sleep(0)
        await client.close()
        if comes == "late":
            goes_on.set()
        if comes == "never":
            task.cancel()
            await asyncio.wait([task])
            task = asyncio.create_task(anext(results))
        outcome = (await asyncio.gather(task, return_exceptions=True))[0]
        assert outcome == 2 or isinstance(outcome, ClientClosed)
        if outcome == 2 or keep:
            with pytest.raises((ClientClosed, StopAsyncIteration)):
                await anext(results)
        with pytest.raises(StopAsyncIteration):
            await anext(results)
        del results, task
        gc.collect()
        await until_then(lambda: ended == [comes])

    run(main())
    assert caplog.records == []


def test_each_call_has_one_outcome_under_faults(serve, run, params):
    servers = [serve(), serve(Chaos(1, {Close(): 0.1, Drop(): 0.1}))]
    text = " ".join(server.address for server in servers)

    async def main():
        async with AsyncClient(text, timeout=0.3, max_in_flight=40) as client:
            items = [[i] for i in range(300)]
            got = await collect(
                client.map("first", params(items), return_exceptions=True)
            )
            assert len(got) == 300
            for number, each in enumerate(got):
                assert each == number or isinstance(each, JsonRpcError)

    run(main())
