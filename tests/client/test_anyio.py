"""jsonrpcc.anyio.Client: on trio, and on asyncio by anyio."""

import asyncio
import gc
import inspect
import subprocess
import sys
import threading
import time
from pathlib import Path

import peers
import pytest
from helpers import LIMIT

import jsonrpcc
from jsonrpcc import AsyncClient, Cancelled, RemoteError
from jsonrpcc.testing import Delay, Drop, Error, NeverRead, Server

anyio = peers.module("anyio")
peers.needs_module("trio")
from jsonrpcc.anyio import Client  # noqa: E402  (which needs anyio)

BACKENDS = {
    "trio": ("trio", {}),
    "asyncio": ("asyncio", {}),
    "uvloop": ("asyncio", {"use_uvloop": True}),
}


def fail(code):
    raise Error(code, "it failed")


METHODS = {"add": lambda a, b: a + b, "echo": lambda *params: params, "fail": fail}


@pytest.fixture
def server():
    with Server(METHODS) as server:
        yield server


@pytest.fixture(params=BACKENDS)
def run(request):
    name, options = BACKENDS[request.param]

    def run_it(function):
        async def main():
            with anyio.fail_after(2 * LIMIT):
                await function()

        anyio.run(main, backend=name, backend_options=options)

    return run_it


def test_every_style_of_call(run, server):
    async def main():
        heard = []
        async with Client(server.address) as client:
            assert await client.call("add", [1, 2]) == 3
            assert await client.proxy.add(3, 4) == 7
            await client.notification("echo", ["hello"])
            await client.request("add", [5, 6], heard.append, heard.append)
            await client.request("fail", [-7], heard.append, heard.append)
            assert await client.drain()
            assert heard[0] == 11
            assert heard[1].code == -7
            sums = client.map("add", [[i, 1] for i in range(9)])
            assert [each async for each in sums] == list(range(1, 10))
            with pytest.raises(RemoteError) as error:
                await client.call("fail", [-3])
            assert error.value.code == -3
        assert client.closed

    run(main)


def test_map_reads_what_is_asynchronous(run, server):
    async def pairs():
        for i in range(500):
            await anyio.sleep(0)
            yield [i, 1]

    async def main():
        async with Client(server.address) as client:
            results = [each async for each in client.map("add", pairs(), window=20)]
            assert results == list(range(1, 501))
            lists = client.map("add", ([i, i] for i in range(500)), window=7)
            assert [each async for each in lists] == list(range(0, 1000, 2))
            async for _ in client.map("add", ([i, i] for i in range(500))):
                break

    run(main)


def test_many_tasks_share_a_client(run, server):
    async def main():
        results = []

        async def call(i):
            results.append(await client.call("add", [i, i]))

        async with Client(server.address) as client:
            async with anyio.create_task_group() as group:
                for i in range(300):
                    group.start_soon(call, i)
            assert sorted(results) == list(range(0, 600, 2))
            assert client.stats().ok == 300

    run(main)


def test_a_scope_cancels_its_calls(run, server):
    server.misbehave(Drop(times=1))

    async def main():
        async with Client(server.address) as client:
            with anyio.move_on_after(0.05) as scope:
                await client.call("add", [1, 2], timeout=60)
            assert scope.cancelled_caught
            assert await client.call("add", [1, 2]) == 3
            assert await client.drain(timeout=LIMIT)
            assert client.stats().cancelled == 1
            assert client.stats().in_flight == 0

    run(main)


def test_a_cancelled_wait_for_room_makes_no_call(run, server):
    server.misbehave(Delay(0.2, times=1))

    async def main():
        async with Client(server.address, max_in_flight=1) as client:
            await client.request("add", [1, 2])
            with anyio.move_on_after(0.05) as scope:
                await client.call("add", [3, 4])
            assert scope.cancelled_caught
            assert await client.call("add", [5, 6]) == 11
            assert client.stats().requests == 2
            server.misbehave(Delay(0.2))
            await client.request("add", [1, 2])
            with pytest.raises(jsonrpcc.QueueFull):
                await client.call("add", [1, 2], block=False)

    run(main)


def test_what_the_block_raises_is_not_wrapped(run, server):
    async def fails(what):
        async with Client(server.address) as client:
            assert await client.call("add", [1, 2]) == 3
            await what(client)

    async def divide(client):
        _ = 1 / 0

    async def be_refused(client):
        await client.call("fail", [-3])

    async def main():
        with pytest.raises(ZeroDivisionError):
            await fails(divide)
        with pytest.raises(RemoteError):
            await fails(be_refused)

    run(main)


def test_a_task_that_asyncio_cancels_closes_its_client(server):
    server.misbehave(Drop())
    clients = []

    async def work():
        async with Client(server.address) as client:
            clients.append(client)
            await client.call("add", [1, 2], timeout=60)

    async def main():
        task = asyncio.create_task(work())
        await asyncio.to_thread(server.wait_for_requests, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert clients[0].closed
        # Nothing remains of the cancellation.
        async with asyncio.timeout(LIMIT), Client(server.address) as client:
            server.behave()
            assert await client.call("add", [1, 2]) == 3

    asyncio.run(main())


def test_a_cancelled_block_ends_at_once(run, server):
    server.misbehave(NeverRead())

    async def main():
        begun = time.monotonic()
        with anyio.move_on_after(0.1) as scope:
            async with Client(server.address) as client:
                await client.notification("echo", [1])
                await client.call("add", [1, 2], timeout=60)
        assert scope.cancelled_caught
        assert client.closed
        assert time.monotonic() - begun < LIMIT

    run(main)


def test_a_shielded_call_works_in_a_cancelled_block(run, server):
    async def main():
        results = []
        with anyio.CancelScope() as scope:
            async with Client(server.address) as client:
                scope.cancel()
                with anyio.CancelScope(shield=True):
                    results.append(await client.call("add", [1, 2]))
                await client.call("add", [1, 2])
                results.append("not reached")
        assert results == [3]

    run(main)


def test_closing_ends_the_calls_of_other_tasks(run, server):
    server.misbehave(Drop())

    async def main():
        errors = []

        async def call():
            try:
                await client.call("add", [1, 2], timeout=60)
            except jsonrpcc.ClientClosed as error:
                errors.append(error)

        client = Client(server.address)
        async with anyio.create_task_group() as group, client:
            for _ in range(5):
                group.start_soon(call)
            await anyio.to_thread.run_sync(server.wait_for_requests, 5)
            await client.close()
            with pytest.raises(jsonrpcc.ClientClosed):
                await client.call("add", [1, 2])
        assert [error.fate for error in errors] == ["unknown"] * 5

    run(main)


def test_it_is_used_by_async_with_and_once(run, server):
    async def main():
        client = Client(server.address)
        with pytest.raises(RuntimeError, match="async with"):
            await client.call("add", [1, 2])
        async with client:
            with pytest.raises(RuntimeError, match="entered once"):
                async with client:
                    pass
        with pytest.raises(RuntimeError, match="entered once"):
            async with client:
                pass
        never = Client(server.address)
        await never.close()
        assert never.closed

    run(main)


def test_another_thread_is_refused(run, server):
    errors = []

    async def main():
        async with Client(server.address) as client:
            pending = client.call("add", [1, 2])

            def elsewhere():
                try:
                    pending.send(None)
                except RuntimeError as error:
                    errors.append(str(error))

            thread = threading.Thread(target=elsewhere)
            thread.start()
            thread.join()

    run(main)
    assert errors == ["this client belongs to another event loop"]


def test_events_and_readiness(run):
    events = []

    async def main():
        with Server(METHODS) as server:
            async with Client(
                server.address, on_event=events.append, reconnect_delay=0.01
            ) as client:
                assert await client.wait_ready(LIMIT)
                await anyio.to_thread.run_sync(server.wait_for_connections, 1)
                server.drop_connections()
                while "lost" not in [each.kind for each in events]:
                    await anyio.sleep(0.005)
                client.set_servers(server.address)
                assert await client.wait_ready(LIMIT, all=True)

    run(main)
    assert events[0].kind == "connected"


def test_a_callback_that_raises_ends_nothing(run, server, caplog):
    def bad(_):
        raise ValueError("bad callback")

    async def main():
        async with Client(server.address, on_event=bad) as client:
            await client.request("add", [1, 2], bad)
            assert await client.drain()
            assert await client.call("add", [1, 2]) == 3

    run(main)
    assert "callback of 'add' failed" in caplog.text
    assert "on_event" in caplog.text


def test_typed(run, server):
    class Sums:
        async def add(self, a: int, b: int) -> int: ...

    async def main():
        async with Client.from_socket(server_pair.connect()) as client:
            assert await client.typed(Sums).add(1, 2) == 3
            assert await client.call("add", [1, 2], result_type=float) == 3.0
            with pytest.raises(jsonrpcc.InvalidResponse):
                await client.call("echo", [1], result_type=int)

    with Server(METHODS, listen=False) as server_pair:
        run(main)


def test_calls_can_be_cancelled_by_hand(run, server):
    server.misbehave(Drop())
    errors = []

    async def main():
        async with Client(server.address) as client:
            call = await client.request("add", [1, 2], None, errors.append)
            call.cancel()
            assert await client.drain(timeout=LIMIT)

    run(main)
    assert isinstance(errors[0], Cancelled)


def test_nothing_is_left_open(run, server):
    async def main():
        for _ in range(10):
            async with Client(server.address) as client:
                await client.call("add", [1, 2])

    before = len(list(Path("/proc/self/fd").iterdir()))
    run(main)
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
    server.wait_for_connections(0)


def test_an_unclosed_client_warns(server):
    client = Client(server.address)
    with pytest.warns(ResourceWarning, match="unclosed"):
        del client


def test_it_has_what_async_client_has():
    def public(kind):
        return {
            name: inspect.getattr_static(kind, name)
            for name in dir(kind)
            if not name.startswith("_")
        }

    assert public(Client).keys() == public(AsyncClient).keys()
    ours, theirs = public(Client), public(AsyncClient)
    assert {name for name in ours if ours[name] is not theirs[name]} == {"close"}


def test_anyio_is_imported_only_if_asked_for():
    program = "import sys, jsonrpcc; assert 'anyio' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
