"""The path of every call is in C, and nobody should notice."""

import asyncio
import collections.abc
import gc
import inspect
import sys
import time
import weakref

import pytest
from helpers import until

from jsonrpcc import AsyncClient, Client, RequestTimeout
from jsonrpcc.testing import Drop


def test_methods_of_a_subclass_are_its_own(serve):
    class Mine(Client):
        def request(self, method, *args, **kwargs):
            seen.append(method)
            return super().request(method, *args, **kwargs)

        def call(self, method, *args, **kwargs):
            seen.append(method)
            return super().call(method, *args, **kwargs)

    seen = []
    with Mine(serve().address) as client:
        assert client.call("first", [1]) == 1
        assert client.submit("first", [2]).result(5) == 2
        client.request("first", [3])
        assert client.call("first", [4]) == 4
    assert seen == ["first"] * 4


@pytest.mark.parametrize("name", ["request", "notification", "call"])
def test_arguments_are_those_of_the_documented_method(serve, name):
    """Both ways accept the same arguments and refuse the same."""
    documented = inspect.signature(getattr(Client, name))
    usual = {"method": "first", "params": [1], "timeout": 1.0}
    with Client(serve().address) as client:
        for _ in range(2):  # the documented method, and then its short cut
            function = getattr(client, name)
            function("first", [1], timeout=1.0)
            function(**usual)  # no positional one at all
            for keyword in set(documented.parameters) - {"self", "method"}:
                value = {"params": [1], "timeout": 2}.get(keyword)
                if documented.parameters[keyword].default in {True, False}:
                    value = True
                function("first", **{"params": [1], keyword: value})
            with pytest.raises(TypeError):
                function()
            with pytest.raises(TypeError):
                function("first", [1], unknown=1)
            with pytest.raises(TypeError):
                function("first", [1], params=[1])
            with pytest.raises(TypeError):
                function(1, [1])
            with pytest.raises(ValueError, match="timeout"):
                function("first", [1], timeout=-1.0)
            with pytest.raises(TypeError, match="timeout"):
                function("first", [1], timeout="1")
            with pytest.raises(ValueError, match="params"):
                function("first", "[1")
            with pytest.raises(TypeError, match="params"):
                function("first", {1, 2})
            with pytest.raises(ValueError, match=r"NaN|finite|nan"):
                function("first", [float("nan")])


def test_a_client_with_short_cuts_is_not_part_of_a_cycle(serve):
    """Dropping the last reference ends it at once."""
    server = serve()
    gc.disable()
    try:
        client = Client(server.address)
        assert client.call("first", [1]) == 1
        client.request("first", [1])
        assert client.drain(5)
        gone = weakref.ref(client)
        del client
        assert gone() is None
    finally:
        gc.enable()
    server.wait_for_connections(0)


def test_calls_do_not_leak_references(serve):
    method = "first-with-a-name-of-its-own"[:5]
    params = [object.__hash__(object())]

    def on_result(result):
        results.append(result)

    results = []
    with Client(serve().address) as client:
        client.call(method, params)
        before = [sys.getrefcount(each) for each in (on_result, params)]
        for _ in range(300):
            client.request(method, params, on_result, on_result)
            client.call(method, params)
            client.notification(method, params)
            list(client.map(method, [params] * 3))
        assert client.drain(5)
        assert len(results) == 300
        after = [sys.getrefcount(each) for each in (on_result, params)]
    assert after == before


def test_a_call_of_an_async_client_is_a_coroutine(serve):
    async def main():
        async with AsyncClient(serve().address) as client:
            assert await client.call("first", [1]) == 1
            call = client.call("first", [2])
            assert isinstance(call, collections.abc.Coroutine)
            assert asyncio.iscoroutine(call)
            assert await asyncio.create_task(call) == 2
            calls = [client.call("first", [n]) for n in range(100)]
            assert await asyncio.gather(*calls) == list(range(100))
            assert await asyncio.wait_for(client.call("first", [(1, 2)]), 5) == [1, 2]
            # A result that is a tuple or an exception must not be unpacked.
            assert await client.call("first", [[]]) == []

    asyncio.run(main())


def test_what_is_thrown_into_a_pending_call_cancels_it(serve):
    async def main():
        async with AsyncClient(serve(Drop()).address) as client:
            tasks = [
                asyncio.create_task(client.call("first", [1], timeout=30.0))
                for _ in range(5)
            ]
            await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            for task in tasks:
                with pytest.raises(asyncio.CancelledError):
                    await task
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.call("first", [1], timeout=30.0), 0.01)
            for end in ("close", "throw", "drop"):
                call = client.call("first", [1], timeout=30.0)
                call.send(None)
                if end == "close":
                    call.close()
                elif end == "throw":
                    with pytest.raises(KeyError):
                        call.throw(KeyError("x"))
                else:
                    call = None
            for _ in range(500):
                if client.stats().cancelled == 9:
                    break
                await asyncio.sleep(0.01)
            assert client.stats().cancelled == 9
            assert client.stats().in_flight == 0

    asyncio.run(main())


def test_an_event_loop_drives_its_client_itself(serve):
    """Consecutive calls wake no other thread."""

    async def main():
        async with AsyncClient(serve().address) as client:
            for _ in range(20):
                await client.call("first", [1])
            before = client.stats().wakeups
            for _ in range(200):
                await client.call("first", [1])
            return client.stats().wakeups - before

    assert asyncio.run(main()) < 20


def test_the_event_thread_takes_over_from_a_busy_event_loop(serve):
    """While it computes, its calls are sent, and time out when they should."""
    server = serve(faults={"never": Drop()})

    async def main():
        async with AsyncClient(server.address) as client:
            assert await client.call("first", [1]) == 1
            tasks = [
                asyncio.create_task(client.call("never", [1], timeout=0.1)),
                asyncio.create_task(client.call("first", [2])),
            ]
            await asyncio.sleep(0)
            begun = time.monotonic()
            while time.monotonic() - begun < 0.5:
                sum(range(1000))
            with pytest.raises(RequestTimeout) as raised:
                await tasks[0]
            assert raised.value.elapsed < 0.4
            assert await tasks[1] == 2

    asyncio.run(main())


def test_descriptors_of_a_closed_async_client_are_not_watched(serve):
    """By then, their numbers belong to other descriptors."""
    server = serve()

    async def main():
        for _ in range(50):
            async with AsyncClient(server.address) as client:
                assert await client.call("first", [1]) == 1
            async with AsyncClient(server.address) as other:
                assert await other.call("first", [2]) == 2
            with pytest.raises(Exception, match="closed"):
                await client.call("first", [3])

    asyncio.run(main())
    until(lambda: server.connections == 0)
