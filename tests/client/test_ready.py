"""wait_ready() and closed, on both clients."""

import asyncio
import os
import signal
import threading
import time

import pytest
from helpers import LIMIT, QUICK, Told, in_threads, until

from jsonrpcc import AsyncClient, Client, ClientClosed
from jsonrpcc.testing import Close


def ready(servers, timeout, *, all_servers=False, **options):
    with Client(servers, **options) as client:
        return client.wait_ready(timeout, all=all_servers)


def async_ready(servers, timeout, *, all_servers=False, **options):
    async def main():
        async with AsyncClient(servers, **options) as client:
            return await client.wait_ready(timeout, all=all_servers)

    return asyncio.run(main())


both = pytest.mark.parametrize("ready", [ready, async_ready])


@both
def test_ready_as_soon_as_a_server_is_connected(serve, ready):
    up, down = serve(), serve()
    down.stop()
    servers = f"{up.address} {down.address}"
    assert ready(servers, LIMIT)
    assert not ready(servers, 0.1, all_servers=True)
    later = threading.Timer(0.1, down.start)
    later.start()
    assert ready(servers, LIMIT, all_servers=True, **QUICK)
    later.join()


@both
def test_not_ready_within_the_timeout(serve, ready):
    server = serve()
    server.blackhole()
    began = time.monotonic()
    assert not ready(server.address, 0.2)
    assert 0.2 <= time.monotonic() - began < LIMIT
    assert not ready(server.address, 0)
    assert not ready(server.address, -1)


@both
@pytest.mark.parametrize("bad", ["1", True, float("nan"), [1]])
def test_a_wrong_timeout(serve, ready, bad):
    with pytest.raises((TypeError, ValueError), match="timeout must be a number"):
        ready(serve().address, bad)


def test_a_call_after_it_finds_a_server(serve):
    """Even if the only connection still has to prove itself."""
    server = serve(Close(0))
    with Client(server.address, **QUICK) as client:
        assert client.wait_ready(LIMIT)
        client.submit("echo").exception(LIMIT)
        server.behave()
        assert client.wait_ready(LIMIT)
        assert client.call("echo") == []


def test_it_ends_when_the_client_is_closed(serve):
    server = serve()
    server.blackhole()
    client = Client(server.address)
    waiting = threading.Event()

    def wait():
        waiting.set()
        with pytest.raises(ClientClosed):
            client.wait_ready()

    def close():
        assert waiting.wait(LIMIT)
        client.close()

    in_threads(wait, close)
    with pytest.raises(ClientClosed):
        client.wait_ready(0)


def test_it_ends_when_the_async_client_is_closed(serve):
    server = serve()
    server.blackhole()

    async def main():
        client = AsyncClient(server.address)
        waiting = asyncio.ensure_future(client.wait_ready())
        await asyncio.sleep(0)
        await client.close()
        with pytest.raises(ClientClosed):
            await waiting
        with pytest.raises(ClientClosed):
            await client.wait_ready(0)

    asyncio.run(main())


def test_a_task_that_waits_can_be_cancelled(serve):
    server = serve()
    server.blackhole()

    async def main():
        async with AsyncClient(server.address) as client:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.wait_ready(), 0.1)

    asyncio.run(main())


def test_signal_handlers_run_meanwhile(serve):
    server = serve()
    server.blackhole()

    def handle(number, frame):
        raise KeyError(number)

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        with Client(server.address) as client:
            threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1)).start()
            with pytest.raises(KeyError):
                client.wait_ready(LIMIT)
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_in_a_forked_child(serve):
    server = serve()
    with Client(server.address) as client:
        assert client.wait_ready(LIMIT)
        child = os.fork()
        if child == 0:
            os._exit(0 if client.wait_ready(LIMIT) and client.call("echo") == [] else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert client.call("echo") == []


def test_in_a_callback(serve):
    server = serve()
    with Client(server.address) as client:
        told = Told()
        client.request("echo", [], lambda _: told.on_result(client.wait_ready(LIMIT)))
        assert told.result() is True


def test_closed(serve):
    client = Client(serve().address)
    assert client.closed is False
    client.close()
    assert client.closed is True

    async def main():
        async with AsyncClient(serve().address) as client:
            assert client.closed is False
        assert client.closed is True

    asyncio.run(main())
    with pytest.raises(AttributeError):
        client.closed = False
    until(lambda: client.closed)
