"""The types of jsonrpcc._fast, used as only our own Python code uses them: wrongly."""

import asyncio

import pytest

from jsonrpcc import AsyncClient
from jsonrpcc._fast import Ordered
from jsonrpcc.testing import Drop


def refuse(table, **calls):
    for name, arguments in calls.items():
        with pytest.raises(TypeError):
            getattr(table, name)(*arguments)
    with pytest.raises(TypeError, match="made already"):
        table.__init__()


def test_callbacks(serve, client_for):
    client = client_for(serve())
    assert client.call("echo", [1]) == [1]
    calls = client._dispatcher.calls
    refuse(
        calls, put=(1,), get=("x",), discard=("x",), submit=(), call=(), deliver=("x",)
    )
    refuse(calls, submit=("no Call", 0, b"echo", b"[1]", 0, 0), call=(1,))
    refuse(client._waiting.short_cut())
    assert calls.get(1 << 40) is None
    assert client.submit("echo", [1]).result(5) == [1]


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
    with pytest.raises(TypeError, match="made already"):
        results.__init__(codec=client._codec, **again)
    with pytest.raises(AttributeError):
        Ordered(codec=7, **again)
    assert next(results) == [2]


def test_futures(serve):
    async def main():
        async with AsyncClient(serve(faults={"silence": Drop()}).address) as client:
            assert await client.call("echo", [1]) == [1]
            assert await client.call("echo", [(1, 2)]) == [[1, 2]]
            pending = client.call("echo", [1])
            future = next(pending)
            future._asyncio_future_blocking = False  # it is not a task that waits
            await asyncio.wait([future])
            with pytest.raises(StopIteration) as stop:
                pending.send(None)
            assert stop.value.value == [1]
            futures = client._futures
            refuse(futures, put=(1,), get=("x",), discard=("x",))
            assert futures.get(1 << 40) is None
            # Of a kind of its own, among those of the loop; and one that is done.
            future = asyncio.get_running_loop().create_future()
            pending = client.call("echo", [2])
            pending.future.set_result("before")
            assert await pending == "before"
            assert await client.call("echo", [3]) == [3]
            token = futures.put(future, "echo")
            assert futures.take_all() == [(future, "echo")]
            assert futures.get(token) is None

    asyncio.run(main())
