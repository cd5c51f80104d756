"""jsonrpcc._speedups.Wait is a future, as far as asyncio looks."""

import asyncio
import contextvars
import gc
import weakref
from functools import partial

import pytest
from helpers import until_then

from jsonrpcc import AsyncClient
from jsonrpcc._speedups import Wait
from jsonrpcc.testing import Drop


class Loop(asyncio.SelectorEventLoop):
    """One that has no memory on demand."""

    refuses = 0

    def call_soon(self, callback, *args, context=None):
        if self.refuses:
            self.refuses -= 1
            raise MemoryError
        return super().call_soon(callback, *args, context=context)


@pytest.fixture
def with_waits(serve):
    """Run test(Waits, loop), where each call of Waits() makes one."""

    def run(test):
        async def main():
            async with AsyncClient(serve(Drop()).address, timeout=60) as client:
                pendings = []

                def make():
                    pendings.append(client.call("echo"))
                    wait = next(pendings[-1])
                    assert type(wait) is Wait
                    wait._asyncio_future_blocking = False
                    return wait

                await test(make, asyncio.get_running_loop())
                for each in pendings:
                    each.close()

        with asyncio.Runner(loop_factory=Loop) as runner:
            runner.run(main())

    return run


def test_it_is_a_future_and_no_coroutine(with_waits):
    async def test(make, loop):
        wait = make()
        assert asyncio.isfuture(wait)
        assert not asyncio.iscoroutine(wait)
        assert asyncio.ensure_future(wait) is wait
        assert wait.get_loop() is getattr(wait, "get_" + "loop")() is loop
        assert repr(wait) == "<Wait pending>"
        with pytest.raises(TypeError):
            Wait()

    with_waits(test)


def test_a_result(with_waits):
    async def test(make, _):
        wait = make()
        told = []
        assert not wait.done()
        with pytest.raises(asyncio.InvalidStateError, match="not set"):
            wait.result()
        with pytest.raises(asyncio.InvalidStateError, match="not set"):
            wait.exception()
        wait.add_done_callback(told.append)
        wait.set_result(7)
        wait.add_done_callback(told.append)
        assert told == []  # the loop calls them
        assert wait.done()
        assert not wait.cancelled()
        assert not wait.cancel()
        assert wait.result() == await wait == 7
        assert wait.exception() is None
        with pytest.raises(asyncio.InvalidStateError):
            wait.set_result(8)
        with pytest.raises(asyncio.InvalidStateError):
            wait.set_exception(OSError())
        await asyncio.sleep(0)
        assert told == [wait, wait]
        assert repr(wait) == "<Wait finished>"

    with_waits(test)


def test_an_exception(with_waits):
    async def test(make, _):
        wait, error = make(), OSError("x")
        with pytest.raises(TypeError):
            wait.set_exception("x")
        wait.set_exception(error)
        assert wait.exception() is error
        with pytest.raises(OSError, match="x"):
            wait.result()
        with pytest.raises(OSError, match="x"):
            await wait

    with_waits(test)


@pytest.mark.parametrize("args", [(), (None,), ("why",)])
def test_a_cancellation(with_waits, args):
    async def test(make, _):
        wait = make()
        with pytest.raises(TypeError):
            wait.cancel(*args, msg="a second one", no="such")
        assert wait.cancel(*args)
        assert wait.done()
        assert wait.cancelled()
        assert not wait.cancel(msg="again")
        for ask in (wait.result, wait.exception):
            with pytest.raises(asyncio.CancelledError) as caught:
                ask()
            assert caught.value.args == tuple(each for each in args if each)

    with_waits(test)


def test_callbacks_are_called_in_order_each_in_its_context(with_waits):
    async def test(make, _):
        wait, told = make(), []
        number = contextvars.ContextVar("number")

        def tell(_):
            told.append(number.get())

        for i in range(4):
            number.set(i)
            wait.add_done_callback(tell)
        context = contextvars.copy_context()
        number.set(9)
        wait.add_done_callback(tell, context=context)
        wait.set_result(None)
        await asyncio.sleep(0)
        assert told == [0, 1, 2, 3, 3]

    with_waits(test)


class Unequal:
    """A callback that cannot be compared."""

    def __call__(self, _):
        """Do nothing."""

    __hash__ = None

    def __eq__(self, _):
        raise ValueError("x")

    def removed_from(self, wait):
        wait.add_done_callback(self)
        wait.remove_done_callback(print)


def test_callbacks_can_be_removed(with_waits):
    async def test(make, _):
        wait, told, other = make(), [], []
        for each in (told, other, told):
            wait.add_done_callback(each.append)
        assert wait.remove_done_callback(told.append) == 2
        assert wait.remove_done_callback(told.append) == 0
        wait.set_result(None)
        await asyncio.sleep(0)
        assert told == []
        assert other == [wait]
        with pytest.raises(ValueError, match="x"):
            Unequal().removed_from(make())
        for args, kwargs in [((), {}), ((print,), {"x": 1}), ((print, None), {})]:
            with pytest.raises(TypeError):
                wait.add_done_callback(*args, **kwargs)

    with_waits(test)


def test_it_cannot_be_awaited_by_what_does_not_know_futures(with_waits):
    async def test(make, _):
        wait = make()
        iterator = iter(wait)
        assert not wait._asyncio_future_blocking
        assert next(iterator) is wait
        wait._asyncio_future_blocking = True
        with pytest.raises(RuntimeError, match="await wasn't used with future"):
            next(iterator)

    with_waits(test)


def test_without_memory_for_the_callbacks_it_has_not_ended(with_waits):
    """So who ends it can try again, and no callback is lost or called twice."""

    async def test(make, loop):
        wait, told, other = make(), [], []
        wait.add_done_callback(told.append)
        wait.add_done_callback(other.append)
        for end, arg in [(wait.set_result, 7), (wait.set_exception, OSError())]:
            loop.refuses = 1
            with pytest.raises(MemoryError):
                end(arg)
            assert not wait.done()
        loop.refuses = 1
        with pytest.raises(MemoryError):
            wait.cancel()
        assert wait.cancel()
        await asyncio.sleep(0)
        assert told == other == [wait]

    with_waits(test)


def test_a_cycle_is_garbage(serve):
    class Marker:
        """What is part of it."""

    def is_gone(gone):
        gc.collect()
        return gone() is None

    async def main():
        async with AsyncClient(serve(Drop()).address, timeout=60) as client:
            for _ in range(2):
                marker = Marker()
                gone = weakref.ref(marker)
                marker.pending = client.call("echo")
                wait = next(marker.pending)
                wait.add_done_callback(partial(print, marker))
                wait.add_done_callback(marker.__eq__)
                marker.pending.close()
                assert wait.cancelled()
                marker.pending = client.call("echo")
                next(marker.pending).set_result(marker)
                marker.pending.close()
                del marker, wait
                await until_then(lambda gone=gone: is_gone(gone))

    asyncio.run(main())
