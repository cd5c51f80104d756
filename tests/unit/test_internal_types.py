"""The types of jsonrpcc._speedups, misused in ways only our own code could."""

import asyncio
import gc
import sys
import warnings
from types import MethodType

import pytest
from helpers import until_then

from jsonrpcc import AsyncClient, Client, ClientClosed
from jsonrpcc._blocking import blocking_for
from jsonrpcc._speedups import Futures, Ordered, assign, attempt, bind, hush
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


def test_attempt():
    """An exception is a value only if it is one of those that are guarded."""
    assert attempt(int, "7") == (7, None)
    value, error = attempt(int, "x")
    assert value is None
    assert isinstance(error, ValueError)
    assert error.__traceback__ is None or error.__traceback__.tb_next is None
    with pytest.raises(SystemExit):
        attempt(sys.exit, 3)
    assert isinstance(attempt(sys.exit, 3, BaseException)[1], SystemExit)
    for arguments in [(), (int,), (int, "1", ValueError, 4)]:
        refuse_call(attempt, *arguments)


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


def test_a_client_that_was_never_opened():
    class Unbound(Client):
        def _open(self):
            """Bind nothing."""

    with pytest.raises(RuntimeError, match="this client is not open"):
        Unbound.__new__(Unbound).call("echo")
    with pytest.raises(AttributeError):
        Client.__new__(Client).call("echo")


def test_a_method_looks_like_its_function():
    method = vars(Client)["call"]
    assert object.__getattribute__(method, "__doc__") == Client.call.__doc__
    method.mark = 1
    assert vars(method)["mark"] == 1
    del method.mark
    assert not hasattr(Client.call, "mark")


def test_hush():
    refuse_call(hush, "x")


class Loop(asyncio.SelectorEventLoop):
    """An event loop that fails on demand."""

    fails = False
    Future = asyncio.Future

    def is_running(self):
        if self.fails:
            raise KeyError("is_running")
        return super().is_running()

    def create_future(self):
        return self.Future(loop=self)


class Stubborn(asyncio.Future):
    """A future that raises when it is first cancelled."""

    raised = False

    def cancel(self, msg=None):
        if self.raised:
            return super().cancel(msg)
        self.raised = True
        raise KeyError("cancel")


class Deaf(asyncio.Future):
    """A future that takes no callbacks."""

    def add_done_callback(self, function, *, context=None):
        raise KeyError("add_done_callback")


def run_in_loop(main):
    with asyncio.Runner(loop_factory=Loop) as runner:
        return runner.run(main(runner.get_loop()))


def test_futures_misused(serve):
    address = serve().address

    async def main(_):
        async with AsyncClient(address) as client:
            assert await client.call("echo", [1]) == [1]
            futures = client._futures
            refuse_call(futures.call, 5)
            refuse_call(futures.notification, 5)
            refuse_call(futures.start, 5)
            refuse_call(futures.again, 5)
            kwargs = dict.fromkeys(("client", "queue", "completions"), 1)
            others = ("keep", "handle", "codec", "refuse", "rest", "loop")
            others += ("when_room", "get_running_loop", "pending", "call", "slow")
            others += ("slow_us", "wait")
            with pytest.raises(AttributeError):  # 5 is no event loop
                Futures(**kwargs, **dict.fromkeys(others, 5))
            pending = client.call("echo", [1])
            with pytest.raises(TypeError):
                pending.throw()
            pending = client.call("echo", [1])
            with pytest.raises(TypeError, match="takes an exception"):
                pending.throw(5)
            pending = client.call("echo", [1])
            with pytest.raises(KeyError, match="x"):
                pending.throw(KeyError, "x")
            pending = client.call("echo", [1])
            await until_then(lambda: client._session.close(0))
            with pytest.raises(ClientClosed):
                futures.again(pending, 1)
            pending.close()

    run_in_loop(main)


def test_an_event_loop_that_fails(serve):
    async def main(loop):
        async with AsyncClient(serve().address) as client:
            first = asyncio.create_task(client.call("echo", [1]))
            await asyncio.sleep(0)  # the loop is asked for each call in a turn
            loop.fails = True
            try:
                with pytest.raises(KeyError, match="is_running"):
                    client.call("echo", [1]).send(None)
            finally:
                loop.fails = False
            assert await first == [1]
            pending = client.call("echo", [1])
        loop.Future = Deaf
        client = AsyncClient(serve().address)
        try:
            with pytest.raises(KeyError, match="add_done_callback"):
                await client.request("echo", [1], print)
        finally:
            loop.Future = asyncio.Future
        await client.close()
        return pending

    pending = run_in_loop(main)
    with pytest.raises(RuntimeError, match="no running event loop"):
        pending.send(None)


def test_what_a_pending_call_cannot_raise(serve, monkeypatch):
    """A future that refuses to be cancelled, and a warning that is an error."""
    unraisable = []
    monkeypatch.setattr("sys.unraisablehook", lambda it: unraisable.append(it.exc_type))

    async def main(loop):
        loop.Future = Stubborn
        async with AsyncClient(serve(Drop()).address) as client:
            pending = client.call("echo", [1])
            pending.send(None)
            loop.Future = asyncio.Future
            pending.close()
            with warnings.catch_warnings():
                warnings.simplefilter("error", RuntimeWarning)
                client.call("echo", [1])
                gc.collect()

    run_in_loop(main)
    assert unraisable == [KeyError, RuntimeWarning]


def test_an_interrupt_while_a_pending_call_is_made(serve):
    """It does not wait for the await, as an error does."""

    class Codec:
        decode = staticmethod(print)

        @staticmethod
        def encode(_):
            raise KeyboardInterrupt

    async def main(_):
        async with AsyncClient(serve().address, codec=Codec()) as client:
            with pytest.raises(KeyboardInterrupt):
                client.call("echo", [1])

    run_in_loop(main)
