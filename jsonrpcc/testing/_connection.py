"""
One connection of `jsonrpcc.testing.Server`: frames in, replies out.

A reply is queued and goes out with all others of this turn of the loop, or, if a
fault wants more than one write, a task of its own delivers it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Coroutine
from typing import TYPE_CHECKING, Any, cast

from msgspec.json import encode

from jsonrpcc.testing._faults import Opening, Reply, Request, piece, response
from jsonrpcc.testing._methods import (
    close_unstarted,
    early_id,
    log_answers,
    logger,
    outcome_of,
    read_message,
    result_outcome,
)
from jsonrpcc.testing._netstring import Reader, netstring
from jsonrpcc.testing._sockets import all_sent, narrow_window, reset_on_close

if TYPE_CHECKING:
    from jsonrpcc.testing._owner import Owner

READ_SIZE = 65536
WRITE_LIMIT = 16 * 1024 * 1024  # unsent bytes at which a connection is not read
LINGER = 1.0  # seconds that a peer has to answer our FIN with its own


class Connection(asyncio.BufferedProtocol):
    """One connection: frames in, replies out."""

    def __init__(
        self, owner: Owner[Connection], number: int, opening: Opening, age: int
    ) -> None:
        self.made = False
        self._owner = owner
        self.number = number
        self._opening = opening
        self._age = age
        self._transport: asyncio.Transport
        self._tasks: set[asyncio.Task[None]] = set()
        self._linger: asyncio.TimerHandle | None = None

        self._view = memoryview(bytearray(READ_SIZE))
        self._frames = Reader(owner.max_frame)
        self._rate = math.inf
        self._resting = False  # between two slow reads
        self._early = False
        self._answered_early = False
        self._eof = False
        self._over = False  # no further bytes are looked at, no replies sent

        self._out: list[bytes] = []
        self._held: list[bytes] = []  # by Merge
        self._releases = 0
        self._in_pieces = asyncio.Lock()
        self._writable = asyncio.Event()
        self._writable.set()
        self._flushing = False

    # --- from the transport ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.made = True
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(WRITE_LIMIT)
        if not self._owner.opened(self, self._age):
            self.abort()
            return
        if self._opening.banner:
            self._transport.write(self._opening.banner)
        self.open(self._opening)

    def connection_lost(self, exc: Exception | None) -> None:
        """Drop all work."""
        del exc
        self._over = True
        if self._linger is not None:
            self._linger.cancel()
        for task in self._tasks:
            task.cancel()
        self._owner.closed(self)

    def eof_received(self) -> bool:
        """Stay open for what is still to be answered."""
        self._eof = True
        self._flush()
        return bool(self._tasks) and self._linger is None

    def pause_writing(self) -> None:
        """Stop reading: a peer that does not read replies need not ask more."""
        self._writable.clear()
        self._set_reading()

    def resume_writing(self) -> None:
        """Resume."""
        self._writable.set()
        self._set_reading()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the buffer to read into."""
        del sizehint
        return self._view[: piece(self._rate)[0]] if self._slow() else self._view

    def buffer_updated(self, nbytes: int) -> None:
        """Take bytes in."""
        if self._over:
            return
        if self._slow():
            self._resting = True
            self._set_reading()
            pause = piece(self._rate)[1]
            asyncio.get_running_loop().call_later(pause, self._rested)
        self._receive(self._frames.feed(self._view[:nbytes]))
        if self._frames.error is not None and not self._over:
            logger.info("connection %d: %s", self.number, self._frames.error)
            self._owner.arrived([], [bytes(self._frames.rest[:1024])])
            self.end(reset=False)
        elif self._early and self._frames.rest and not self._over:
            self._answer_early()

    # --- frames in ---

    def _receive(self, payloads: list[bytes]) -> None:
        """Note all that arrived before any of it has an effect."""
        messages = [read_message(payload, self.number) for payload in payloads]
        requests: list[Request] = []
        invalid: list[bytes] = []
        for payload, (entries, _) in zip(payloads, messages, strict=True):
            for entry in entries:
                if isinstance(entry, Request):
                    requests.append(entry)
                else:
                    invalid.append(payload)
        if messages:
            self._owner.arrived(requests, invalid)
        for entries, batch in messages:
            if self._answered_early:
                self._answered_early = False
            else:
                self._answer(entries, batch=batch)
        self._flush()

    def _answer_early(self) -> None:
        """Answer a request that has not arrived completely, if its id has."""
        if self._answered_early:
            return
        frame = self._frames
        _, _, payload = bytes(frame.rest).partition(b":")
        whole = len(frame.rest) + 1 == frame.need
        id_text = early_id(payload, self.number, whole=whole)
        if id_text is None:
            return
        self._answered_early = True
        self.send(netstring(response(id_text, result_outcome(None))))

    def _answer(self, entries: list[Request | bytes], *, batch: bool) -> None:
        """Call the methods; the faults of a batch are those of its first request."""
        owner = self._owner
        reply = None
        for entry in entries:
            if isinstance(entry, Request) and not entry.notification:
                reply = owner.reply_to(entry)
                break
        outcomes = [
            owner.call(entry) if isinstance(entry, Request) else entry
            for entry in entries
        ]
        if all(isinstance(outcome, bytes) for outcome in outcomes):
            self._respond(entries, cast("list[bytes]", outcomes), reply, batch=batch)
        else:
            work = self._answer_later(entries, outcomes, reply, batch=batch)
            task = self._spawn(work)
            task.add_done_callback(lambda _: close_unstarted(outcomes))

    async def _answer_later(
        self,
        entries: list[Request | bytes],
        outcomes: list[bytes | Awaitable[Any]],
        reply: Reply | None,
        *,
        batch: bool,
    ) -> None:
        if batch:
            texts = await asyncio.gather(*map(outcome_of, outcomes))
        else:
            texts = [await outcome_of(outcomes[0])]
        self._respond(entries, texts, reply, batch=batch)
        self._flush_soon()

    # --- replies out ---

    def _respond(
        self,
        entries: list[Request | bytes],
        texts: list[bytes],
        reply: Reply | None,
        *,
        batch: bool,
    ) -> None:
        log_answers(self.number, entries, texts)
        responses = []
        for entry, text in zip(entries, texts, strict=True):
            if isinstance(entry, bytes):
                responses.append(text)
            elif reply is not None and entry is reply.request:
                reply.outcome = text
            elif not entry.notification:
                responses.append(response(encode(entry.id), text))
        if reply is not None:
            reply.others = responses if batch else None
            self._misrespond(reply)
        elif responses:
            payload = b"[%b]" % b",".join(responses) if batch else responses[0]
            self._queue(netstring(payload))

    def _misrespond(self, reply: Reply) -> None:
        if self._over:
            return
        for fault in reply.faults:
            fault.apply(reply)
        if reply.read_rate < self._rate:
            self.open(Opening(read_rate=reply.read_rate, early=self._early))
        if reply.plain():
            self._queue(reply.wire())
            return
        self._flush()
        self._spawn(self._deliver(reply, self._releases))
        if reply.end and not reply.delay:
            self._over = True  # whatever follows this request gets no response

    def _queue(self, data: bytes) -> None:
        if data and not self._over:
            self._out.append(data)

    def _flush_soon(self) -> None:
        """Let functions that end together answer together."""
        if self._out and not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        """Write what is queued, unless in the middle of another reply."""
        self._flushing = False
        if not self._in_pieces.locked():
            self._write_out()

    def _write_out(self) -> None:
        if self._out:
            self._transport.write(b"".join(self._out))
            self._out.clear()

    def send(self, data: bytes) -> None:
        """Send *data* as it is, when no reply is in the middle of being sent."""
        self._queue(data)
        self._flush()

    def release(self) -> None:
        """Send what Merge holds back, and hold back nothing chosen before."""
        self._releases += 1
        for data in self._held:
            self._queue(data)
        self._held.clear()
        self._flush()

    async def _deliver(self, reply: Reply, releases: int) -> None:
        """Send a reply that is not one write."""
        await asyncio.sleep(reply.delay)
        data = reply.wire()
        if reply.merge is not None and releases == self._releases:
            self._held.append(data)
            if len(self._held) < reply.merge.count:
                return
            step = -1 if reply.merge.reverse else 1
            data = b"".join(self._held[::step])
            self._held.clear()
        async with self._in_pieces:
            if reply.end:
                self._over = True
            self._write_out()
            # From here on a write waits until the kernel has it.
            self._transport.set_write_buffer_limits(0)
            await self._send_pieces(data, reply)
            self._transport.set_write_buffer_limits(WRITE_LIMIT)
        if reply.end:
            if reply.end == "reset":
                # The rest would be discarded.
                await all_sent(self._transport.get_extra_info("socket"), LINGER)
            self.end(reset=reply.end == "reset")
        else:
            self._flush()

    async def _send_pieces(self, data: bytes, reply: Reply) -> None:
        if reply.flood is not None:
            left = math.inf if reply.flood.limit is None else reply.flood.limit
            data = reply.flood.data
            data *= READ_SIZE // max(1, len(data)) or 1
            while left > 0 and data:
                await self._write(data[: int(min(left, len(data)))])
                left -= len(data)
            return
        start = 0
        sizes = reply.sizes
        if isinstance(sizes, int):
            sizes = (sizes,) * (len(data) // sizes)
        for size in sizes:
            if start + size >= len(data):
                break
            await self._write(data[start : start + size])
            await asyncio.sleep(reply.pause)
            start += size
        await self._write(data[start:])

    async def _write(self, data: bytes) -> None:
        if data:
            self._transport.write(data)
            await asyncio.sleep(0)
            await self._writable.wait()

    # --- state ---

    def open(self, opening: Opening) -> None:
        """Read as *opening* says from now on."""
        self._early = opening.early
        self._rate = opening.read_rate
        if self._slow():
            # A small window soon fills, so that the peer notices.
            narrow_window(self._transport.get_extra_info("socket"))
        self._set_reading()

    def _slow(self) -> bool:
        return self._rate < math.inf

    def _rested(self) -> None:
        self._resting = False
        self._set_reading()

    def _set_reading(self) -> None:
        if self._transport.is_closing():
            return
        reading = self._over or (
            self._rate > 0 and not self._resting and self._writable.is_set()
        )
        if reading and not self._transport.is_reading():
            self._transport.resume_reading()
        elif not reading and self._transport.is_reading():
            self._transport.pause_reading()

    def end(self, *, reset: bool) -> None:
        """
        Close or reset the connection, now.

        A plain close() with unread bytes would reset: so after our FIN the peer's
        bytes are thrown away until its own comes.
        """
        self._over = True
        self._owner.closing(self)
        for task in self._tasks - {asyncio.current_task()}:
            task.cancel()
        if reset:
            reset_on_close(self._transport.get_extra_info("socket"))
            self._transport.abort()
        elif self._eof:
            self._transport.close()
        elif not self._transport.is_closing():
            self._transport.write_eof()
            self._set_reading()
            loop = asyncio.get_running_loop()
            self._linger = loop.call_later(LINGER, self._transport.abort)

    def abort(self) -> None:
        """Close like the kernel for a killed process."""
        self._over = True
        self._owner.closing(self)
        self._transport.abort()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._owner.spawn(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._eof and not self._tasks:
            self._flush()
            self._transport.close()
