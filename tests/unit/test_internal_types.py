"""The types of jsonrpcc._speedups, misused as only our own code could."""

import asyncio
from types import MethodType

import pytest

from jsonrpcc import AsyncClient, Client
from jsonrpcc._blocking import blocking_for
from jsonrpcc._speedups import Ordered, assign, bind
from jsonrpcc.testing import Drop


def refuse(table, **calls):
    for name, arguments in calls.items():
        with pytest.raises(TypeError):
            getattr(table, name)(*arguments)
    with pytest.raises(TypeError, match="already initialised"):
        table.__init__()


def refuse_call(function, *arguments):
    with pytest.raises(TypeError):
        function(*arguments)


def test_callbacks(serve, client_for):
    client = client_for(serve())
    assert client.call("echo", [1]) == [1]
    calls = client._dispatcher.calls
    refuse(calls, get=("x",), discard=("x",), deliver=("x",))
    refuse(blocking_for(client._session))
    refuse_call(client._bind)
    refuse_call(assign, client, "x", print, [], {})
    with pytest.raises(ValueError, match="not the table"):
        bind(0)
    assert calls.get(1 << 40) is None
    assert client.submit("echo", [1]).result(5) == [1]


def test_methods(serve, client_for):
    client = client_for(serve())
    for each in (Client, AsyncClient):
        refuse_call(each._method, print)
    refuse_call(Client.call, 5, "echo")
    refuse_call(Client._method, print, MethodType)  # there is none of that name in C
    method = vars(Client)["call"]
    assert type(method).__call__(method, client, "echo", [1]) == [1]


def test_ordered(serve, client_for):
    client = client_for(serve())
    results = client.map("echo", [[1], [2]], window=2)
    assert next(results) == [1]
    assert isinstance(results, Ordered)
    for arguments in [("x",), (1,)]:
        with pytest.raises(TypeError):
            results.put(*arguments)
    with pytest.raises(IndexError, match="not the number of a pending call"):
        results.put(1 << 30, None, False)
    with pytest.raises(TypeError):
        results.deliver("x")
    again = {"more": print, "window": 1, "return_exceptions": False}
    with pytest.raises(TypeError, match="already initialised"):
        results.__init__(codec=client._session.codec, **again)
    with pytest.raises(AttributeError):
        Ordered(codec=7, **again)
    assert next(results) == [2]


def test_futures(serve):
    async def main():
        async with AsyncClient(serve(faults={"silence": Drop()}).address) as client:
            assert await client.call("echo", [1]) == [1]
            assert await client.call("echo", [(1, 2)]) == [[1, 2]]
            pending = client.call("echo", [1])
            assert pending.arguments == ("echo", b"[1]", 0, 0)
            future = next(pending)
            future._asyncio_future_blocking = False  # it is not a task that waits
            await asyncio.wait([future])
            with pytest.raises(StopIteration) as stop:
                pending.send(None)
            assert stop.value.value == [1]
            futures = client._futures
            refuse(futures, get=("x",), discard=("x",), again=(1, 1))
            refuse(futures, call=(1, [1], None, False, False))
            assert futures.get(1 << 40) is None
            # One that is done before its outcome comes.
            pending = client.call("echo", [2])
            next(pending).set_result("before")
            assert await client.call("echo", [3]) == [3]
            pending = client.call("silence", [4])
            future = next(pending)
            assert futures.take_all() == [(future, "silence")]
            pending.close()

    asyncio.run(main())
