"""Methods in C can be inspected, patched, overridden and referenced like others."""

import asyncio
import functools
import gc
import inspect
import pydoc
from unittest import mock

import pytest
from helpers import LIMIT

from jsonrpcc import AsyncClient, Client, RemoteError

NAMES = ["request", "notification", "call"]


def test_a_reference_to_a_method_keeps_the_client(serve):
    address = serve().address
    assert Client(address).call("add", [1, 2]) == 3
    assert Client(address).proxy.add(1, 2) == 3
    assert Client(address).submit("add", [1, 2]).result(LIMIT) == 3
    proxy, call = Client(address).proxy, Client(address).call
    add = functools.partial(Client(address).call, "add")
    request = Client(address).request
    gc.collect()
    assert proxy.add(1, 2) == call("add", [1, 2]) == add([1, 2]) == 3
    told = []
    request("add", [1, 2], told.append)
    assert request.__self__.drain(LIMIT)
    assert told == [3]


def test_a_future_keeps_its_client_until_the_outcome(serve):
    future = Client(serve().address).submit("add", [1, 2])
    gc.collect()
    assert future.result(LIMIT) == 3
    assert future.client is None


@pytest.mark.parametrize("name", NAMES)
def test_a_patched_class_changes_its_objects(serve, client_for, name):
    client = client_for(serve())
    assert client.call("first", [1]) == 1
    with mock.patch.object(Client, name, lambda self, *_, **__: (self, "mocked")):
        assert getattr(client, name)("first", [1]) == (client, "mocked")
    with mock.patch.object(client, name, return_value="mocked"):
        assert getattr(client, name)("first", [1]) == "mocked"
    assert client.call("first", [1]) == 1
    assert not set(NAMES) & vars(client).keys()


@pytest.mark.parametrize("name", NAMES)
def test_signature_help_and_completion(serve, client_for, name):
    client = client_for(serve())
    client.call("first", [1])
    bound = inspect.signature(getattr(client, name))
    assert list(bound.parameters)[:2] == ["method", "params"]
    assert bound.parameters["timeout"].kind is inspect.Parameter.KEYWORD_ONLY
    assert next(iter(inspect.signature(getattr(Client, name)).parameters)) == "self"
    assert name in dir(client)
    assert getattr(Client, name).__qualname__ == f"Client.{name}"
    assert "QueueFull" in inspect.getdoc(Client.request)
    told = pydoc.plain(pydoc.render_doc(getattr(client, name)))
    assert "timeout" in told
    assert inspect.getdoc(getattr(Client, name)).splitlines()[0] in told


@pytest.mark.parametrize("name", NAMES)
def test_an_autospec_checks_arguments(name):
    """For a method of a type in C, mock asks for the signature of its __call__."""
    client = mock.create_autospec(Client, instance=True)
    getattr(client, name)("first", [1], timeout=1.0)
    for args, options in (((), {}), (("first",), {"x": 1}), (("a", 1, 2, 3, 4), {})):
        with pytest.raises(TypeError):
            getattr(client, name)(*args, **options)


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_call_names_the_method(serve, client_for, name):
    client = client_for(serve())
    for args, options in (((), {}), (("first",), {"x": 1}), (("a", 1, 2, 3, 4), {})):
        with pytest.raises(TypeError, match=rf"^Client\.{name}\(\) "):
            getattr(client, name)(*args, **options)


def coroutine_functions(client):
    return [
        asked(function)
        for function in (client.call, AsyncClient.call, client.notification)
        for asked in (inspect.iscoroutinefunction, asyncio.iscoroutinefunction)
    ]


def test_an_async_call_is_a_coroutine_function_before_and_after_its_use(serve):
    server = serve()

    async def main():
        async with AsyncClient(server.address) as client:
            assert coroutine_functions(client) == [True] * 6
            assert await client.call("first", [1]) == 1
            assert coroutine_functions(client) == [True] * 6
            expected = ["method", "params", "result_type", "timeout", "idempotent"]
            expected += ["wait_for_ready", "block"]
            assert list(inspect.signature(client.call).parameters) == expected
            assert "cancelling" in inspect.getdoc(client.call)
            for args, options in (((), {}), (("first",), {"x": 1}), (("a", 1, 2), {})):
                with pytest.raises(TypeError, match=r"^AsyncClient\.call\(\) "):
                    await client.call(*args, **options)
            with pytest.raises(RemoteError):
                await functools.partial(client.call, "fail")()

    asyncio.run(main())


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize(
    ("args", "options"), [((), {}), (("a:1", 2), {}), (("a:1",), {"servers": "a:1"})]
)
def test_errors_about_arguments_name_the_class(kind, args, options):
    with pytest.raises(TypeError, match=rf"^{kind.__name__}\.__init__\(\) "):
        kind(*args, **options)
    for name in ("from_socket", "set_servers", "typed"):
        with pytest.raises(TypeError, match=rf"^{name}\(\) missing 1 "):
            getattr(kind, name)(*(() if name == "from_socket" else (None,)))


def test_an_async_call_is_sent_when_it_is_awaited_and_warns_if_never(serve):
    server = serve()

    async def main():
        async with AsyncClient(server.address) as client:
            assert await client.call("first", [1]) == 1
            before = client.stats().requests
            with pytest.warns(RuntimeWarning, match="call' was never awaited"):
                client.call("first", [2])
            client.call("first", [3]).close()
            task = asyncio.create_task(client.call("first", [4]))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            call = client.call("first", [5])
            assert client.stats().requests == before
            assert await call == 5
            assert client.stats().requests == before + 1
            with pytest.raises(RuntimeError, match="already awaited"):
                await call

    asyncio.run(main())


@pytest.mark.parametrize("name", ["call", "notification"])
def test_a_patched_async_class_changes_its_objects(serve, name):
    async def mocked(self, *_):
        return self, "mocked"

    async def main():
        async with AsyncClient(serve().address) as client:
            assert await client.call("first", [1]) == 1
            with mock.patch.object(AsyncClient, name, mocked):
                result = await getattr(client, name)("first", [1])
                assert result == (client, "mocked")
            assert await client.call("first", [1]) == 1

    asyncio.run(main())


def test_another_loop_is_refused_before_anything_is_sent(serve):
    server = serve()

    async def refused(client):
        for params in ([1], "[1]"):
            with pytest.raises(RuntimeError, match="another event loop"):
                await client.call("first", params)
            with pytest.raises(RuntimeError, match="another event loop"):
                await client.notification("first", params)
        with pytest.raises(RuntimeError, match="another event loop"):
            await client.proxy.first(1)
        with pytest.raises(RuntimeError, match="another event loop"):
            async with client:
                pass

    async def main():
        assert await client.call("first", [1]) == 1
        # While its loop runs: in another thread.
        await asyncio.to_thread(asyncio.run, refused(client))
        # What is not flushed yet makes no difference.
        task = asyncio.create_task(client.call("first", [2]))
        await asyncio.sleep(0)
        await asyncio.to_thread(asyncio.run, refused(client))
        assert await task == 2

    client = AsyncClient(server.address)
    asyncio.run(main())
    asyncio.run(refused(client))
    assert client.stats().requests == 2

    # A loop that stops with something not flushed.
    stopped = AsyncClient(server.address)
    loop = asyncio.new_event_loop()

    async def leave():
        assert await stopped.call("first", [1]) == 1
        call = stopped.call("first", [2])
        call.send(None)
        return call

    left = loop.run_until_complete(leave())
    asyncio.run(refused(stopped))
    left.close()
    loop.close()
    for each in (client, stopped):
        asyncio.run(each.close())
