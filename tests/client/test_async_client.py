"""The client for asyncio: awaiting, cancelling, closing, on any loop."""

import asyncio
import os
from pathlib import Path

import pytest
from helpers import LIMIT, until_then

from jsonrpcc import (
    AsyncClient,
    Cancelled,
    ClientClosed,
    ConnectionLost,
    QueueFull,
    RemoteError,
    RequestTimeout,
    ServerFailure,
)
from jsonrpcc.testing import Close, Delay, Drop

PROGRAMS = Path(__file__).parents[1] / "programs"


def test_call_gives_the_result_or_raises_the_error(serve, run):
    server = serve(faults={"never": Drop()})

    async def main():
        async with AsyncClient(server.address) as client:
            assert await client.call("add", [1, 2]) == 3
            assert await client.call("add", {"a": 1, "b": 2}) == 3
            assert await client.call("echo", "['a', 1]") == ["a", 1]
            with pytest.raises(RemoteError, match="it failed"):
                await client.call("fail")
            with pytest.raises(RequestTimeout) as caught:
                await client.call("never", timeout=0.05)
            assert 0.05 <= caught.value.elapsed < 1

    run(main())


def test_gathered_calls_get_their_own_results(serve, run):
    server = serve()

    async def main():
        # The last answer comes when the server has done all the others.
        async with AsyncClient(server.address, timeout=LIMIT) as client:
            got = await asyncio.gather(
                *(client.call("first", [i]) for i in range(5000))
            )
            assert got == list(range(5000))
            assert client.stats().ok == 5000

    run(main())


def test_gather_returns_errors_in_their_places(serve, run):
    server = serve()

    async def main():
        async with AsyncClient(server.address) as client:
            calls = [client.call(m, [1, "no"]) for m in ("echo", "fail", "echo")]
            got = await asyncio.gather(*calls, return_exceptions=True)
            assert got[0] == got[2] == [1, "no"]
            assert isinstance(got[1], RemoteError)

    run(main())


def test_cancelling_the_task_cancels_the_call(serve, run):
    server = serve(faults={"never": Drop()})

    async def main():
        async with AsyncClient(server.address) as client:
            task = asyncio.create_task(client.call("never", timeout=60))
            await until_then(lambda: server.requests)
            assert client.stats().in_flight == 1
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await until_then(lambda: client.stats().cancelled == 1)
            await until_then(lambda: client.stats().in_flight == 0)
            assert await client.call("add", [1, 2]) == 3

    run(main())


def test_asyncio_timeout_cancels_the_call(serve, run):
    server = serve(faults={"never": Drop()})

    async def main():
        async with AsyncClient(server.address) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await client.call("never", timeout=60)
            await until_then(lambda: client.stats().cancelled == 1)

    run(main())


def test_a_task_cancelled_before_its_call_is_flushed_ends_alone(serve, run):
    server = serve(faults={"never": Drop()})

    async def main():
        async with AsyncClient(server.address) as client:
            # An answer that is there already would win over the cancellation.
            tasks = [
                asyncio.create_task(client.call("first" if i % 2 else "never", [i]))
                for i in range(100)
            ]
            await asyncio.sleep(0)
            for task in tasks[::2]:
                task.cancel()
            got = await asyncio.gather(*tasks, return_exceptions=True)
            assert got[1::2] == list(range(1, 100, 2))
            assert all(isinstance(each, asyncio.CancelledError) for each in got[::2])
            await until_then(lambda: client.stats().in_flight == 0)

    run(main())


def test_notification_goes_on_as_soon_as_it_is_queued(serve, run):
    server = serve()

    async def main():
        async with AsyncClient(server.address) as client:
            assert await client.notification("note", {"a": 1}) is None
            await client.notification("note", "['b']")
            await client.call("echo")
            notes = server.requests[:2]
            assert [note.params for note in notes] == [{"a": 1}, ["b"]]
            assert all(note.notification for note in notes)

    run(main())


def test_proxy_names_methods(serve, run):
    server = serve(methods={"math.add": lambda a, b: a + b})

    async def main():
        async with AsyncClient(server.address) as client:
            assert await client.proxy.math.add(1, 2) == 3
            assert await client.proxy.math.add(a=1, b=2) == 3

    run(main())


def test_close_ends_pending_calls_with_client_closed(serve, run):
    server = serve(faults={"never": Drop()})

    async def main():
        client = AsyncClient(server.address)
        tasks = [asyncio.create_task(client.call("never")) for _ in range(3)]
        await until_then(lambda: len(server.requests) == 3)
        await client.close()
        for task in tasks:
            with pytest.raises(ClientClosed) as caught:
                await task
            assert caught.value.method == "never"
            assert caught.value.fate == "unknown"
        await client.close()
        with pytest.raises(ClientClosed):
            await client.call("add", [1, 2])
        with pytest.raises(ClientClosed):
            await client.notification("add", [1, 2])
        assert repr(client) == "<AsyncClient closed>"

    run(main())


def test_close_before_any_use(serve, run):
    async def main():
        client = AsyncClient(serve().address)
        await client.close()
        with pytest.raises(ClientClosed):
            await client.call("add", [1, 2])

    run(main())


def test_close_sends_the_notifications_it_was_given(serve, run):
    server = serve()

    async def main():
        async with AsyncClient(server.address) as client:
            for i in range(100):
                await client.notification("note", [i])

    run(main())
    notes = server.wait_for_requests(100)
    assert [note.params for note in notes] == [[i] for i in range(100)]


def test_a_client_works_on_each_loop_that_makes_one(serve, run):
    server = serve()

    async def main():
        async with AsyncClient(server.address) as client:
            return await client.call("add", [1, 2])

    assert run(main()) == run(main()) == 3


def test_a_client_belongs_to_one_loop(serve, run):
    client = AsyncClient(serve().address)

    async def use():
        return await client.call("add", [1, 2])

    async def use_and_close():
        try:
            assert await use() == 3
            with pytest.raises(RuntimeError, match="loop"):
                await asyncio.to_thread(lambda: asyncio.run(use()))
            assert await use() == 3
        finally:
            await client.close()

    run(use_and_close())


def test_descriptors_that_lie_far_apart(serve, run):
    """libevent's epoll is not found then, and everything works without it."""
    server = serve()

    async def main():
        held = [os.open("/dev/null", os.O_RDONLY) for _ in range(300)]
        os.close(held.pop(0))  # the eventfd's; the epoll comes behind all others
        try:
            async with AsyncClient(server.address) as client:
                return await client.call("first", [1])
        finally:
            for fd in held:
                os.close(fd)

    assert run(main()) == 1


def test_two_loops_in_two_threads(serve, run):
    server = serve()

    async def main():
        async with AsyncClient(server.address) as client:
            return await asyncio.gather(
                *(client.call("first", [i]) for i in range(500))
            )

    async def both():
        return await asyncio.gather(
            main(), *(asyncio.to_thread(asyncio.run, main()) for _ in range(2))
        )

    assert run(both()) == [list(range(500))] * 3


def test_local_failures_are_raised(serve, run):
    broken, stopped = serve(Close(0)), serve()
    stopped.stop()

    async def main():
        async with AsyncClient(broken.address) as client:
            with pytest.raises(ConnectionLost):
                await client.call("add", [1, 2])
        async with AsyncClient(stopped.address) as client:
            with pytest.raises(ServerFailure) as caught:
                await client.call("add", [1, 2])
            assert caught.value.fate == "not_sent"

    run(main())


def test_a_full_client_makes_callers_wait(serve, run):
    server = serve(Delay(0.001))

    async def main():
        async with AsyncClient(server.address, max_in_flight=2) as client:
            got = await asyncio.gather(*(client.call("first", [i]) for i in range(9)))
            assert got == list(range(9))

    run(main())


def test_a_full_client_is_waited_for_until_the_timeout(serve, run):
    server = serve(Drop())

    async def main():
        async with AsyncClient(server.address, max_in_flight=1) as client:
            task = asyncio.create_task(client.call("first", [1], timeout=60))
            await until_then(lambda: server.requests)
            with pytest.raises(QueueFull) as caught:
                await client.call("first", [2], timeout=0.05)
            assert caught.value.fate == "not_sent"
            task.cancel()
            await until_then(lambda: client.stats().in_flight == 0)

    run(main())


def test_cancelled_is_never_seen_by_others(serve, run):
    """asyncio has CancelledError; ours is for callbacks."""
    server = serve(Drop())

    async def main():
        async with AsyncClient(server.address) as client:
            task = asyncio.create_task(client.call("first"))
            await until_then(lambda: server.requests)
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            assert not isinstance(caught.value, Cancelled)

    run(main())
