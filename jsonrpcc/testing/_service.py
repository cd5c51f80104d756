"""
The inside of `jsonrpcc.testing.Server`: what one server is on its event loop.

All of a `Core` belongs to its loop's thread; only `Records` is for every thread.
Nothing here starts or stops a loop.

Three sets say what is alive: `connections` are open, `ending` have their end
decided but not seen, `tasks` are functions that run and replies on their way.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Protocol

from msgspec.json import encode

from jsonrpcc.testing._certificates import ServerTls, context_of
from jsonrpcc.testing._connection import Connection
from jsonrpcc.testing._faults import Fault, Opening, Reply, Request
from jsonrpcc.testing._hello import Gate
from jsonrpcc.testing._methods import METHOD_NOT_FOUND, Method
from jsonrpcc.testing._records import Records
from jsonrpcc.testing._schedule import Plan
from jsonrpcc.testing._sockets import reset_on_close
from jsonrpcc.testing._tls import TlsLayer


class Fallback(Protocol):
    """What answers the requests of methods that the server does not have."""

    def faults_for(self, request: Request) -> list[Fault]:
        """Choose what is wrong with the reply; not asked for notifications."""

    def answer(self, request: Request) -> bytes | Awaitable[Any]:
        """Return the response's result or error, or what to wait for."""


class Core:
    """The methods, faults and connections of one server, on its loop's thread."""

    def __init__(
        self,
        methods: Mapping[str, Callable[..., Any]],
        plan: Plan,
        plans: dict[str, Plan],
        max_frame: int,
        records: Records,
        *,
        tls: ServerTls | ssl.SSLContext | None,
        gate: Gate,
    ) -> None:
        self.methods = {name: Method(function) for name, function in methods.items()}
        self.plan = plan
        self.plans = plans
        self.max_frame = max_frame
        self.records = records
        self.tls = tls
        self.gate = gate
        self.fallback: Fallback | None = None
        self.connections: dict[Connection, None] = {}  # a set that keeps its order
        self.ending: set[Connection] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listener: socket.socket | None = None
        self._age = 0  # how often everything was closed
        self._number = 0

    # --- connections ---

    def listen(self, listener: socket.socket) -> None:
        """Accept on *listener*, which is owned from now on."""
        self._stop_listening()
        listener.setblocking(False)
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._loop.add_reader(listener, self._accept)

    def refuse(self) -> None:
        """
        Close the listener.

        Connections that wait to be accepted are open as far as their clients can
        tell, and the kernel would reset them: they are accepted first.
        """
        self._accept()
        self._stop_listening()

    def _stop_listening(self) -> None:
        if self._listener is not None and self._loop is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    def listening(self) -> bool:
        """Whether there is a listener."""
        return self._listener is not None

    def shut(self) -> None:
        """Close the listener and all connections at once, as if killed."""
        self._age += 1
        self._stop_listening()
        for connection in [*self.connections, *self.ending]:
            connection.abort()
        for task in self.tasks:
            task.cancel()

    async def settle(self, limit: float) -> None:
        """After `shut`: wait until nothing is left, *limit* seconds for functions."""
        end = time.monotonic() + limit
        while self.tasks and (left := end - time.monotonic()) > 0:
            await asyncio.wait(self.tasks, timeout=left)
        # Their connection_lost is on its way: one turn of the loop or two.
        while self.connections or self.ending:  # noqa: ASYNC110
            await asyncio.sleep(0)

    def _accept(self) -> None:
        while self._listener is not None and self._loop is not None:
            try:
                sock, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in {errno.EMFILE, errno.ENFILE}:
                    raise
                # Still readable, and nothing can be done: look again later.
                self._loop.remove_reader(self._listener)
                self._loop.call_later(0.1, self._accept_again, self._listener)
                return
            self.join(sock)

    def join(self, sock: socket.socket) -> None:
        """Serve a new connection, whose *sock* is owned from now on."""
        sock.setblocking(False)
        self._number += 1
        opening = self.plan.for_connection(already_open=False)
        if opening.end:
            self.records.connected(0, accepted=1)
            if opening.end == "reset":
                reset_on_close(sock)
            sock.close()
            return
        connection = Connection(self, self._number, opening, self._age)
        self.spawn(self._begin(connection, sock)).add_done_callback(
            # Cancelled before it began, nobody else has it.
            lambda _: None if connection.made else self._give_up(sock)
        )

    async def _begin(self, connection: Connection, sock: socket.socket) -> None:
        """Give *sock* to *connection*; with TLS, when the handshake is over."""
        if self.tls is None:
            await adopt(connection, sock)
            return
        layer = TlsLayer(connection, context_of(self.tls))
        transport = await adopt(layer, sock)
        try:
            why_not = await layer.handshake
            if why_not is not None:
                connection.made = True  # as far as it ever will be
                self.records.refused(why_not)
                await layer.ended
        except asyncio.CancelledError:
            transport.abort()
            raise

    def _give_up(self, sock: socket.socket) -> None:
        self.records.connected(0, accepted=1)
        sock.close()

    def _accept_again(self, listener: socket.socket) -> None:
        if self._loop is not None and self._listener is listener:
            self._loop.add_reader(listener, self._accept)

    def opened(self, connection: Connection, age: int) -> bool:
        """
        Take *connection* in; False if everything was closed meanwhile.

        It counts as accepted and as open at once: who waits for it to be accepted,
        and then for its end, must not find it between the two.
        """
        if age != self._age:
            self.ending.add(connection)
            self.records.connected(0, accepted=1)
            return False
        self.connections[connection] = None
        self.records.connected(1, accepted=1)
        return True

    def arrived(self, requests: list[Request], invalid: list[bytes]) -> None:
        """Note what has arrived."""
        self.records.add(requests, invalid)

    def closing(self, connection: Connection) -> None:
        """Do not count *connection* any more; it will be `closed`."""
        if connection in self.connections:
            del self.connections[connection]
            self.ending.add(connection)
            self.records.connected(-1)

    def closed(self, connection: Connection) -> None:
        """Forget *connection*."""
        self.closing(connection)
        self.ending.discard(connection)
        self.gate.forget(connection.number)

    def drop(self, *, reset: bool) -> None:
        """Close or reset all connections."""
        for connection in list(self.connections):
            connection.end(reset=reset)

    def send(self, data: bytes) -> None:
        """Send *data* on all connections."""
        for connection in list(self.connections):
            connection.send(data)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run *work*, until `shut` at most."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    # --- faults ---

    def misbehave(self, plan: Plan, method: str | None) -> None:
        """Put *plan* in force."""
        if method is not None:
            self.plans[method] = plan
            return
        self.plan = plan
        for connection in list(self.connections):
            connection.open(plan.for_connection(already_open=True))

    def behave(self) -> None:
        """End all faults, also what they have done to open connections."""
        self.plan = Plan()
        self.plans = {}
        for connection in list(self.connections):
            connection.open(Opening())
            connection.release()

    # --- requests ---

    def add_method(self, name: str, function: Callable[..., Any]) -> None:
        """Have a method, in the place of one of that name."""
        self.methods[name] = Method(function)

    def reply_to(self, request: Request) -> Reply | None:
        """Choose what is wrong with the reply to *request*; None: nothing."""
        plan = self.plans.get(request.method)
        other = None if request.method in self.methods else self.fallback
        if (not plan and not self.plan and not other) or request.notification:
            return None
        faults = plan.for_request(request, server_wide=False) if plan else []
        faults += self.plan.for_request(request, server_wide=True)
        if other is not None:
            faults += other.faults_for(request)
        if not faults:
            return None
        return Reply(request, faults, encode(request.id), b"")

    def call(self, request: Request) -> bytes | Awaitable[Any]:
        """Call the method: the response's result or error, or what to wait for."""
        outcome, is_early = self.gate.call(request, self._call)
        if is_early:
            self.records.premature(request)
        return outcome

    def _call(self, request: Request) -> bytes | Awaitable[Any]:
        method = self.methods.get(request.method)
        if method is not None:
            return method.outcome(request.params)
        if self.fallback is not None:
            return self.fallback.answer(request)
        return METHOD_NOT_FOUND.outcome()


async def adopt(
    protocol: asyncio.BaseProtocol, sock: socket.socket
) -> asyncio.Transport:
    """Give *sock* to *protocol*, by a transport."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_accepted_socket(lambda: protocol, sock)
    return transport
