"""wait_ready() and closed, on both clients."""

import asyncio
import inspect
import os
import signal
import threading
import time
from random import Random

import pytest
from forked import check_in_child
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


async def _done(value):
    """Await what an AsyncClient returns; a Client's is there already."""
    return await value if inspect.isawaitable(value) else value


def _written(address, folder, how):
    host, _, port = address.rpartition(":")
    assert host == "127.0.0.1"
    if how == "name":
        return f"dns4:localhost:{port}"
    if how == "file":
        path = folder / port
        path.write_text(address)
        return f"file:{path}"
    return address


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_ready_means_all_of_the_list_that_was_set_last(serve, tmp_path, kind):
    """However its servers are written, and however fast lists follow each other."""
    addresses = [serve().address for _ in range(4)]
    random = Random(3)

    def draw():
        listed = random.sample(addresses, random.randint(1, 4))
        words = [
            _written(each, tmp_path, random.choice(["address", "name", "file"]))
            for each in listed
        ]
        return {int(each.rpartition(":")[2]) for each in listed}, " ".join(words)

    async def main():
        ports, text = draw()
        client = kind(text, dns_refresh=3600, **QUICK)
        for _ in range(20):
            assert await _done(client.wait_ready(LIMIT, all=True)), text
            servers = [each for each in client.servers() if each.state != "leaving"]
            assert {each.port for each in servers} == ports, text
            assert all(each.state == "up" for each in servers), servers
            assert all(each.found for each in client.entries()), text
            for _ in range(random.choice([1, 1, 3])):
                ports, text = draw()
                client.set_servers(text)
        await _done(client.close())

    asyncio.run(main())


@both
@pytest.mark.parametrize("all_servers", [False, True])
def test_a_name_that_is_not_found_is_no_server(ready, all_servers):
    assert not ready("dns:nothing.invalid:9", 0.1, all_servers=all_servers)


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

        def check():
            assert client.wait_ready(LIMIT)
            assert client.call("echo") == []

        check_in_child(check)
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
