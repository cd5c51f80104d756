"""
A fault proxy between client and server, which does what networks do to bytes.

It knows nothing of netstrings or JSON.  Everything runs on one asyncio loop.
"""

import asyncio
import contextlib
import socket
import struct

TO_SERVER, TO_CLIENT = "to server", "to client"
DIRECTIONS = (TO_SERVER, TO_CLIENT)


class _Pair:
    """A client's connection, and the matching one to the server."""

    def __init__(self, client, server):
        self.writers = {TO_CLIENT: client, TO_SERVER: server}
        self.half_closed = False

    def reset(self):
        for writer in self.writers.values():
            sock = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                linger = struct.pack("ii", 1, 0)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()

    def end(self):
        """Send FIN both ways; what was written before still arrives."""
        for writer in self.writers.values():
            writer.close()

    def half_close(self):
        """Send FIN to the client only, which may go on sending."""
        self.half_closed = True
        with contextlib.suppress(OSError, RuntimeError):
            self.writers[TO_CLIENT].write_eof()


class Proxy:
    """
    Listens on *port* and forwards to *target*.

    delay: seconds that each piece waits; chunk: bytes of a piece, 0 all that there
    is; rate: bytes a second, 0 any; stalled: directions in which nothing goes on;
    welcome: what becomes of new connections, "forward", "close", "reset", "silence".
    """

    def __init__(self, target, port=0):
        self.target = target
        self.port = port
        self.pairs = set()
        self._tasks = set()
        self._server = None
        self._changed = asyncio.Event()
        self.calm()

    def calm(self):
        """Forward everything unchanged; a refused or cut connection stays as it is."""
        self.delay = 0.0
        self.chunk = 0
        self.rate = 0
        self.stalled = set()
        self.welcome = "forward"
        self.cuts = {}
        self._wake()

    def _wake(self):
        self._changed.set()
        self._changed = asyncio.Event()

    # ---- faults ------------------------------------------------------------------

    async def listen(self):
        if self._server is None:
            self._server = await asyncio.start_server(
                self._serve, "127.0.0.1", self.port, backlog=256
            )
            self.port = self._server.sockets[0].getsockname()[1]

    def refuse(self):
        """Refuse new connections until listen(); keep those that are open."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def stall(self, *directions):
        self.stalled = set(directions)
        self._wake()

    def cut(self, direction, count, how):
        """After so many more bytes in that direction: "reset", "end", "half_close"."""
        self.cuts[direction] = [count, how]

    def each(self, how):
        """Do that to all connections at once."""
        for pair in list(self.pairs):
            getattr(pair, how)()

    # ---- forwarding --------------------------------------------------------------

    async def _serve(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        try:
            await self._forward(reader, writer)
        except OSError:
            writer.transport.abort()
        finally:
            self._tasks.discard(asyncio.current_task())

    async def _forward(self, reader, writer):
        if self.welcome == "reset":
            _Pair(writer, writer).reset()
            return
        if self.welcome == "close":
            writer.close()
            return
        silent = _Pair(writer, writer)
        self.pairs.add(silent)  # so that it is included in what happens to all
        try:
            while self.welcome == "silence":
                await self._changed.wait()
        finally:
            self.pairs.discard(silent)
        if writer.transport.is_closing():
            return
        their_reader, their_writer = await asyncio.open_connection(
            "127.0.0.1", self.target
        )
        pair = _Pair(writer, their_writer)
        self.pairs.add(pair)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(pair, reader, TO_SERVER))
                group.create_task(self._pump(pair, their_reader, TO_CLIENT))
        except* OSError:
            pair.reset()
        finally:
            self.pairs.discard(pair)
            pair.end()

    async def _pump(self, pair, reader, direction):
        writer = pair.writers[direction]
        while data := await reader.read(65536):
            size = self.chunk or len(data)
            for start in range(0, len(data), size):
                piece = data[start : start + size]
                while direction in self.stalled:
                    await self._changed.wait()
                pause = self.delay + (len(piece) / self.rate if self.rate else 0)
                if pause:
                    await asyncio.sleep(pause)
                if pair.half_closed and direction == TO_CLIENT:
                    continue
                piece, end = self._cut(direction, piece)
                writer.write(piece)
                await writer.drain()
                if end:
                    getattr(pair, end)()
                    return
        with contextlib.suppress(OSError, RuntimeError):
            writer.write_eof()

    def _cut(self, direction, piece):
        cut = self.cuts.get(direction)
        if cut is None:
            return piece, None
        if len(piece) < cut[0]:
            cut[0] -= len(piece)
            return piece, None
        del self.cuts[direction]
        return piece[: cut[0]], cut[1]
