"""
asyncio.Protocol and orjson on uvloop, as an expert would write it.

Replies are decoded by the batch that one read brings; requests are gathered
and written once per turn of the loop; futures and callbacks wait by id.
"""

from __future__ import annotations

import asyncio
import os
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

import orjson
import uvloop

from bench.drive import GET_USER, blob, chains, check_matching
from bench.job import HOST, USER, Job, WrongResultError, check_user, tls_context
from bench.rivals import wire
from bench.rivals.wire import HEADERS

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from bench.drive import Work

BATCH = 16 * 1024
"""Decode so much at a time."""


class Client(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        """Not connected yet: see connect()."""
        self._loop = asyncio.get_running_loop()
        self._id = 0
        self._out: list[bytes] = []
        self._parts: list[bytes] = []
        self._missing = 0
        self._calls: dict[int, Any] = {}
        self._room: asyncio.Future[None] | None = None

    @classmethod
    async def connect(cls, port: int) -> Client:
        """A connected client."""
        loop = asyncio.get_running_loop()
        _, client = await loop.create_connection(cls, HOST, port, ssl=tls_context())
        return client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()

    def request(
        self,
        method: str,
        params: Any,
        on_result: Callable[[Any], None],
        on_error: Callable[[Any], None],
    ) -> None:
        """Submit; one of the callbacks gets the outcome."""
        self._id = id_ = self._id + 1
        self._calls[id_] = (on_result, on_error)
        body = orjson.dumps(
            {"jsonrpc": "2.0", "method": method, "id": id_, "params": params}
        )
        if not self._out:
            self._loop.call_soon(self._flush)
        size = len(body)
        self._out.append((HEADERS[size] if size < 1024 else b"%d:" % size) + body)

    def call(self, method: str, params: Any) -> asyncio.Future[Any]:
        """Submit; the future gets the outcome."""
        self._id = id_ = self._id + 1
        self._calls[id_] = future = self._loop.create_future()
        body = orjson.dumps(
            {"jsonrpc": "2.0", "method": method, "id": id_, "params": params}
        )
        if not self._out:
            self._loop.call_soon(self._flush)
        size = len(body)
        self._out.append((HEADERS[size] if size < 1024 else b"%d:" % size) + body)
        return future

    async def notify(self, method: str, params: Any, times: int) -> None:
        """Send notifications as fast as the server takes them."""
        for number in range(times):
            self._out.append(wire.frame(wire.notification(method, params)))
            if number % 1000 == 999:
                self._flush()
                if self._room is not None:
                    await self._room
        self._flush()

    def pause_writing(self) -> None:
        """The transport has enough."""
        self._room = self._loop.create_future()

    def resume_writing(self) -> None:
        """And now it wants more."""
        if self._room is not None:
            self._room.set_result(None)
            self._room = None

    def data_received(self, data: bytes) -> None:
        """
        Take it in pieces, but what is missing of a big message at once.

        uvloop brings up to 256 KiB.  So many replies decoded at once would
        only feed the garbage collector.
        """
        at = 0
        while at < len(data):
            step = max(BATCH, self._missing)
            self._feed(data[at : at + step])
            at += step

    def _feed(self, data: bytes) -> None:
        """Complete what is whole; gather the parts of what is big."""
        if self._parts:
            self._parts.append(data)
            self._missing -= len(data)
            if self._missing > 0:
                return
            data = b"".join(self._parts)
            self._parts.clear()
        replies, rest, self._missing = wire.split(data)
        if rest:
            self._parts.append(rest)
        calls = self._calls
        for reply in replies:
            call = calls.pop(reply["id"])
            if type(call) is tuple:
                on_result, on_error = call
                if "error" in reply:
                    on_error(reply["error"])
                else:
                    on_result(reply["result"])
            elif not call.done():
                if "error" in reply:
                    call.set_exception(WrongResultError(reply["error"]))
                else:
                    call.set_result(reply["result"])

    def _flush(self) -> None:
        if self._out:
            self._transport.write(b",".join(self._out) + b",")
            self._out.clear()


def run_uvloop(main: Coroutine[Any, Any, None]) -> None:
    """Run on uvloop."""
    run_on(uvloop.new_event_loop, main)


def run_on(
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
    main: Coroutine[Any, Any, None],
) -> None:
    """Run on such a loop; an exception in a callback ends the process."""

    def fail(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        loop.default_exception_handler(context)
        os._exit(1)

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.get_loop().set_exception_handler(fail)
        runner.run(main)


async def callback_main(job: Job, work: Work = GET_USER) -> None:
    """Each callback submits the next call."""
    client = await Client.connect(job.port)
    loop = asyncio.get_running_loop()

    async def run(calls: int) -> None:
        done = loop.create_future()
        chains(
            client.request,
            work,
            calls,
            job.window,
            job.latencies,
            lambda: done.set_result(None),
            done.set_exception,
        )
        await done

    matched = loop.create_future()
    check_matching(
        client.request, lambda: matched.set_result(None), 1000, matched.set_exception
    )
    await matched
    await run(job.warmup)
    with job.measure():
        await run(job.calls)
    client.close()


async def await_main(job: Job) -> None:
    """Many tasks, each awaiting its calls one after the other."""
    client = await Client.connect(job.port)
    await await_tasks(job, client.call)
    client.close()


async def await_tasks(job: Job, call: Callable[[str, Any], Any]) -> None:
    """The tasks of await, for any client whose *call* can be awaited."""

    async def task(calls: int) -> None:
        for _ in range(calls):
            check_user(await call("get_user", USER))

    async def timed(calls: int) -> None:
        for _ in range(calls):
            begun = perf_counter()
            check_user(await call("get_user", USER))
            job.latencies.append(perf_counter() - begun)

    async def run(calls: int) -> None:
        each = calls // job.window
        await asyncio.gather(
            *((task if number % 25 else timed)(each) for number in range(job.window))
        )

    await run(job.warmup)
    with job.measure():
        await run(job.calls)


async def await1_main(job: Job) -> None:
    """One call after the other."""
    client = await Client.connect(job.port)
    await await_one_by_one(job, client.call)
    client.close()


async def await_one_by_one(job: Job, call: Callable[[str, Any], Any]) -> None:
    """The calls of await1, for any client whose *call* can be awaited."""
    for _ in range(job.warmup):
        check_user(await call("get_user", USER))
    with job.measure():
        for _ in range(job.calls):
            begun = perf_counter()
            result = await call("get_user", USER)
            job.latencies.append(perf_counter() - begun)
            check_user(result)


async def notify_main(job: Job) -> None:
    """Send, then ask the server how many it has got."""
    client = await Client.connect(job.port)
    await client.notify("log", USER, job.warmup)
    before = await client.call("count", [])
    with job.measure():
        await client.notify("log", USER, job.calls)
        count = await client.call("count", [])
    if count - before != job.calls:
        raise WrongResultError(count)
    client.close()


def callback(job: Job) -> None:
    """Each callback submits the next call."""
    run_uvloop(callback_main(job))


def await_(job: Job) -> None:
    """Many tasks."""
    run_uvloop(await_main(job))


def await1(job: Job) -> None:
    """One call after the other."""
    run_uvloop(await1_main(job))


def notify(job: Job) -> None:
    """Send, then count."""
    run_uvloop(notify_main(job))


def map(job: Job) -> None:  # noqa: A001 - the workload's name
    """Results in order: gather() of a window's futures at a time."""
    run_uvloop(map_main(job))


async def map_main(job: Job) -> None:
    """Await the futures in order, submitting one for each that is done."""
    client = await Client.connect(job.port)

    async def run(calls: int) -> None:
        window = min(job.window, calls)
        futures = [client.call("get_user", USER) for _ in range(window)]
        for number in range(calls):
            slot = number % window
            check_user(await futures[slot])
            if number + window < calls:
                futures[slot] = client.call("get_user", USER)

    await run(job.warmup)
    with job.measure():
        await run(job.calls)
    client.close()


def blob64k(job: Job) -> None:
    """Results of 64 KiB."""
    run_uvloop(callback_main(job, blob("blob64k")))


def blob1m(job: Job) -> None:
    """Results of 1 MiB."""
    run_uvloop(callback_main(job, blob("blob1m")))
