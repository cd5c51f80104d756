"""How outcomes and events reach an event loop: all of them, once, in turns."""

import asyncio
import itertools
import logging
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from helpers import LIMIT, until, until_then

from jsonrpcc import AsyncClient, RequestTimeout
from jsonrpcc._outcomes import Outcomes
from jsonrpcc.testing import Drop, Server

PROGRAMS = Path(__file__).parents[1] / "programs"


def test_events_run_in_the_loop(serve, run, caplog):
    caplog.set_level(logging.INFO, "jsonrpcc")
    server = serve()
    seen = []

    async def main():
        loop = asyncio.get_running_loop()

        def on_event(event):
            assert asyncio.get_running_loop() is loop
            seen.append(event.kind)
            raise RuntimeError("listeners may fail")

        async with AsyncClient(server.address, on_event=on_event) as client:
            await client.call("add", [1, 2])
            server.drop_connections()
            await until_then(lambda: "lost" in seen)
        assert seen[:2] == ["connected", "lost"]

    run(main())
    errors = [each.getMessage() for each in caplog.records if each.exc_info]
    assert len(errors) == len(seen)
    assert all(each.startswith("on_event") for each in errors)
    assert "listeners may fail" in caplog.text


def test_no_memory_to_make_an_error_delays_it(serve, run, monkeypatch):
    """It delays all outcomes after it, and each is delivered once."""
    server = serve(Drop())
    make_error, made = Outcomes.error, itertools.count()

    def fail_at_first(*args):
        if next(made) in (2, 3, 5):
            raise MemoryError
        return make_error(*args)

    monkeypatch.setattr(Outcomes, "error", fail_at_first)

    async def main():
        async with AsyncClient(server.address, timeout=0.05) as client:
            calls = (client.call("echo", [i]) for i in range(10))
            for error in await asyncio.gather(*calls, return_exceptions=True):
                assert isinstance(error, RequestTimeout)
                assert error.method == "echo"

    run(main())
    assert next(made) == 10 + 3


def test_a_listener_may_deliver_what_is_left(serve, run):
    """As an eager task does when the client is full: nothing is delivered twice."""
    server = serve()
    told = []

    async def main():
        def on_event(event):
            told.append(event.kind)
            client._futures.fetch()

        client = AsyncClient(server.address, on_event=on_event, reconnect_delay=0.01)
        async with client:
            assert await client.call("first", [1]) == 1
            server.drop_connections()
            await until_then(lambda: told.count("connected") == 2)

    run(main())
    ends = [kind for kind in told if kind in {"connected", "lost"}]
    assert ends == ["connected", "lost", "connected"]
    assert told.count("all_down") == 1


def test_many_results_come_in_several_turns_of_the_loop(serve, run):
    """Their tasks, and all others in the loop, get a turn in between."""
    server = serve()
    calls = 2000
    turns = [0]

    async def main():
        loop = asyncio.get_running_loop()

        def count():
            if turns[-1] < calls:
                turns.append(sum(task.done() for task in tasks))
                loop.call_soon(count)

        async with AsyncClient(server.address, timeout=4 * LIMIT) as client:
            await client.call("first", [0])
            tasks = [loop.create_task(client.call("first", [i])) for i in range(calls)]
            await asyncio.sleep(0)  # submitted
            await asyncio.sleep(0)  # and sent
            until(lambda: client.stats().in_flight == 0)  # and the loop takes none
            count()
            assert await asyncio.gather(*tasks) == list(range(calls))

    run(main())
    steps = [after - before for before, after in itertools.pairwise(turns)]
    assert max(steps) <= 128 + 256
    assert len([step for step in steps if step]) >= calls / (128 + 256)


def test_no_memory_to_come_back_for_more_delivers_all_at_once(serve):
    server = serve()
    refused, raised = [], []

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: raised.append(context))
        call_soon = loop.call_soon

        def refuse(callback, *args, context=None):
            if getattr(callback, "__name__", "") == "go_on":
                refused.append(callback)
                raise MemoryError
            return call_soon(callback, *args, context=context)

        loop.call_soon = refuse
        async with AsyncClient(server.address, timeout=4 * LIMIT) as client:
            calls = [client.call("first", [i]) for i in range(2000)]
            assert await asyncio.gather(*calls) == list(range(2000))

    asyncio.run(main())
    assert refused
    assert not raised


def test_no_wake_up_is_lost_between_fetching_and_polling(tmp_path):
    """An outcome that came while the descriptor was being emptied hung its call."""
    compiler = shutil.which(sysconfig.get_config_var("CC").split()[0])
    compiler = compiler or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    slow_read = tmp_path / "slow_read.so"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-o", slow_read, PROGRAMS / "slow_read.c"],
        check=True,
    )
    preload = " ".join(filter(None, [os.environ.get("LD_PRELOAD"), str(slow_read)]))
    with Server({"first": lambda value: value}) as server:
        subprocess.run(
            [sys.executable, PROGRAMS / "await_calls.py", server.address],
            env={**os.environ, "LD_PRELOAD": preload},
            check=True,
            timeout=30,
        )
