"""aiorpcX, the JSON-RPC library that Electrum lives on, on uvloop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiorpcx import (  # type: ignore[import-untyped]
    JSONRPCConnection,
    JSONRPCv2,
    RPCSession,
    connect_rs,
)
from aiorpcx.framing import FramerBase  # type: ignore[import-untyped]

from bench.drive import blob
from bench.job import HOST, USER, Job, WrongResultError
from bench.rivals.protocol import await_one_by_one, await_tasks, run_uvloop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class NetstringFramer(FramerBase):  # type: ignore[misc]
    """aiorpcX has none; this one takes apart what has come in one pass."""

    def __init__(self) -> None:
        """Empty."""
        self._parts: list[bytes] = []
        self._missing = 0
        self._messages: asyncio.Queue[bytes] = asyncio.Queue()
        self._exception: BaseException | None = None

    def frame(self, message: bytes) -> bytes:
        """Frame it."""
        return b"%d:%b," % (len(message), message)

    def fail(self, exception: BaseException) -> None:
        """Have receive_message() raise it."""
        self._exception = exception
        self._messages.put_nowait(b"")

    def received_bytes(self, data: bytes) -> None:
        """Queue all whole messages."""
        if self._parts:
            self._parts.append(data)
            self._missing -= len(data)
            if self._missing > 0:
                return
            data = b"".join(self._parts)
            self._parts.clear()
        at = 0
        while (colon := data.find(b":", at, at + 11)) > 0:
            end = colon + 2 + int(data[at:colon])
            if end > len(data):
                self._missing = end - len(data)
                break
            self._messages.put_nowait(data[colon + 1 : end - 1])
            at = end
        if at < len(data):
            self._parts.append(data[at:])

    async def receive_message(self) -> bytes:
        """Wait for a message."""
        message = await self._messages.get()
        if self._exception is not None:
            raise self._exception
        return message


class Session(RPCSession):  # type: ignore[misc]
    """Speaks 2.0 from the start instead of finding out."""

    def __init__(self, transport: Any, **options: Any) -> None:
        """As its parent."""
        super().__init__(transport, connection=JSONRPCConnection(JSONRPCv2), **options)


def _run(main: Callable[[Any], Awaitable[None]], port: int) -> None:
    async def connected() -> None:
        async with connect_rs(
            HOST, port, session_factory=Session, framer=NetstringFramer()
        ) as session:
            await main(session)

    run_uvloop(connected())


def await_(job: Job) -> None:
    """Many tasks."""
    _run(lambda session: await_tasks(job, session.send_request), job.port)


def await1(job: Job) -> None:
    """One call after the other."""
    _run(lambda session: await_one_by_one(job, session.send_request), job.port)


def notify(job: Job) -> None:
    """Send, then ask the server how many it has got."""

    async def main(session: Any) -> None:
        for _ in range(job.warmup):
            await session.send_notification("log", USER)
        before = await session.send_request("count", [])
        with job.measure():
            for _ in range(job.calls):
                await session.send_notification("log", USER)
            count = await session.send_request("count", [])
        if count - before != job.calls:
            raise WrongResultError(count)

    _run(main, job.port)


def _blob(job: Job, method: str) -> None:
    work = blob(method)

    async def main(session: Any) -> None:
        async def task(calls: int) -> None:
            for _ in range(calls):
                work.check(await session.send_request(work.method, work.params))

        async def run(calls: int) -> None:
            await asyncio.gather(
                *(task(-(-calls // job.window)) for _ in range(job.window))
            )

        await run(job.warmup)
        with job.measure():
            await run(job.calls)

    _run(main, job.port)


def blob64k(job: Job) -> None:
    """Results of 64 KiB."""
    _blob(job, "blob64k")


def blob1m(job: Job) -> None:
    """Results of 1 MiB."""
    _blob(job, "blob1m")
