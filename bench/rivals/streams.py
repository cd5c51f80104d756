"""asyncio streams and orjson: what one writes in an afternoon."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson

from bench.drive import GET_USER, blob, chains
from bench.job import HOST, USER, Job, WrongResultError
from bench.rivals import wire
from bench.rivals.protocol import await_one_by_one, await_tasks, run_on

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.drive import Work

LIMIT = 16 * 1024 * 1024


class Client:
    """One connection; a task reads frame by frame."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Begin to read."""
        self._reader = reader
        self._writer = writer
        self._id = 0
        self._calls: dict[int, tuple[Callable[[Any], None], Callable[[Any], None]]] = {}
        self._task = asyncio.create_task(self._read())

    @classmethod
    async def connect(cls, port: int) -> Client:
        """A connected client."""
        return cls(*await asyncio.open_connection(HOST, port, limit=LIMIT))

    def request(
        self,
        method: str,
        params: Any,
        on_result: Callable[[Any], None],
        on_error: Callable[[Any], None],
    ) -> None:
        """Submit; one of the callbacks gets the outcome."""
        self._id += 1
        self._calls[self._id] = (on_result, on_error)
        self._writer.write(wire.request(self._id, method, params))

    async def call(self, method: str, params: Any) -> Any:
        """Call and await the result."""
        future = asyncio.get_running_loop().create_future()
        self.request(method, params, future.set_result, future.set_exception)
        await self._writer.drain()
        return await future

    async def notify(self, method: str, params: Any) -> None:
        """Send a notification."""
        self._writer.write(wire.frame(wire.notification(method, params)) + b",")
        await self._writer.drain()

    async def close(self) -> None:
        """Close the connection."""
        self._task.cancel()
        self._writer.close()
        await self._writer.wait_closed()

    async def _read(self) -> None:
        while True:
            header = await self._reader.readuntil(b":")
            frame = await self._reader.readexactly(int(header[:-1]) + 1)
            reply = orjson.loads(frame[:-1])
            on_result, on_error = self._calls.pop(reply["id"])
            if "error" in reply:
                on_error(WrongResultError(reply["error"]))
            else:
                on_result(reply["result"])


async def _callback(job: Job, work: Work = GET_USER) -> None:
    client = await Client.connect(job.port)

    async def run(calls: int) -> None:
        done = asyncio.get_running_loop().create_future()
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

    await run(job.warmup)
    with job.measure():
        await run(job.calls)
    await client.close()


def callback(job: Job) -> None:
    """Each callback submits the next call."""
    run_on(asyncio.new_event_loop, _callback(job))


def blob64k(job: Job) -> None:
    """Results of 64 KiB."""
    run_on(asyncio.new_event_loop, _callback(job, blob("blob64k")))


def blob1m(job: Job) -> None:
    """Results of 1 MiB."""
    run_on(asyncio.new_event_loop, _callback(job, blob("blob1m")))


def await_(job: Job) -> None:
    """Many tasks."""

    async def main() -> None:
        client = await Client.connect(job.port)
        await await_tasks(job, client.call)
        await client.close()

    run_on(asyncio.new_event_loop, main())


def await1(job: Job) -> None:
    """One call after the other."""

    async def main() -> None:
        client = await Client.connect(job.port)
        await await_one_by_one(job, client.call)
        await client.close()

    run_on(asyncio.new_event_loop, main())


def notify(job: Job) -> None:
    """Send, then ask the server how many it has got."""

    async def main() -> None:
        client = await Client.connect(job.port)
        for _ in range(job.warmup):
            await client.notify("log", USER)
        before = await client.call("count", [])
        with job.measure():
            for _ in range(job.calls):
                await client.notify("log", USER)
            count = await client.call("count", [])
        if count - before != job.calls:
            raise WrongResultError(count)
        await client.close()

    run_on(asyncio.new_event_loop, main())
