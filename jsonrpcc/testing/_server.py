"""
`jsonrpcc.testing.Server`: starts, stops and is controlled from any thread.

What the server does on its event loop is a `Core`, reached by `Home.call` only.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from jsonrpcc.testing._certificates import ServerTls, checked
from jsonrpcc.testing._faults import FaultLike, Request
from jsonrpcc.testing._hello import Gate
from jsonrpcc.testing._loop_thread import Home, LoopThread, freeze
from jsonrpcc.testing._methods import check_methods
from jsonrpcc.testing._netstring import MAX_PAYLOAD
from jsonrpcc.testing._place import Place
from jsonrpcc.testing._records import Records
from jsonrpcc.testing._schedule import Plan
from jsonrpcc.testing._service import Core


class Server:
    """
    A JSON-RPC 2.0 server for tests, with faults on demand.

    *methods* maps names to functions, sync or async.  A sync one runs on the loop's
    thread, so the server does nothing else meanwhile; an async one is cancelled when
    its connection ends.  An exception is answered with -32603, an `Error` with its
    own code.  Port 0 takes any free port; the server keeps its port when it is
    stopped and started again, until the with block ends.

    With *path*, it listens at a Unix socket instead, and *host* and *port* are not
    used.  A path that begins with NUL is an abstract name, as in `socket`.

    With ``listen=False`` it needs neither: clients come by `connect` alone.

    *fault* applies to all requests and connections, *faults* to methods; see
    `misbehave`.  *keep* is how many of the latest requests are remembered; None
    means all.

    *tls* is True, a `ServerTls` or an `ssl.SSLContext`.  Faults and numbers are then
    about what is inside TLS; a connection is accepted when its handshake is over,
    one way or another.

    *hello* names methods that each connection has to call first, in this order and
    with results, as a login: until then, other requests are answered with error
    -32002, and are in `before_hello`.

    All methods may be called from any thread.

    Raises:
        TypeError: *methods* is not a dict of functions, *port* is no integer, a fault
            is not one, *hello* is no list of names, or *tls* is none of those.
        ValueError: *port* is not one.
        ImportError, ssl.SSLError: As `ServerTls`.
        OSError: When it is started: the port or path is in use, or the host is not
            local.
    """

    def __init__(
        self,
        methods: Mapping[str, Callable[..., Any]] | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        path: str | None = None,
        fault: FaultLike = (),
        faults: Mapping[str, FaultLike] | None = None,
        max_frame: int = MAX_PAYLOAD,
        keep: int | None = None,
        thread: LoopThread | None = None,
        listen: bool = True,
        tls: bool | ServerTls | ssl.SSLContext = False,
        hello: Sequence[str] = (),
    ) -> None:
        self._place = Place(host, port, path)
        self.host = host
        self.path = self._place.path
        self._records = Records(keep)
        self._core = Core(
            check_methods(methods),
            Plan(fault),
            {name: Plan(each) for name, each in (faults or {}).items()},
            max_frame,
            self._records,
            tls=checked(tls),
            gate=Gate(hello),
        )
        self._listens = listen
        self._shared = thread
        self._home: Home | None = None
        self._thread: LoopThread | None = None  # our own
        self._thaw = threading.Event()
        self._when_stopped: Callable[[], None] | None = None

    def __repr__(self) -> str:
        seen = self._records
        kind = type(self).__name__
        place = self.address if self._listens else "without an address"
        return f"<{kind} {place} {seen.open} connections, {seen.seen} requests>"

    # --- start and stop ---

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()
        self._place.free()

    async def __aenter__(self) -> Self:
        """Start inside the running loop; the controls may be called from it."""
        self._home = Home(asyncio.get_running_loop(), threading.get_ident())
        try:
            return self.start()
        except BaseException:
            self._home = None
            raise

    async def __aexit__(self, *exc_info: object) -> None:
        self.stop()
        await self._core.settle(1.0)
        self._home = None
        self._place.free()

    def start(self) -> Self:
        """
        Listen; after `stop`, on the same port as before.

        Raises:
            OSError: The port or path is in use, or the host is not local.
        """
        if self._home is not None and self._core.listening():
            return self
        listener = self._place.listener() if self._listens else None
        if self._home is None:
            self._home = self._shared
        if self._home is None:
            self._home = self._thread = LoopThread().start()
        if listener is not None:
            self._home.call(self._core.listen, listener)
        return self

    def connect(self) -> socket.socket:
        """
        Return a socket that is connected to the server, without an address.

        It is one end of a `socket.socketpair`, for `jsonrpcc.Client.from_socket`;
        the server has the other one, until the connection ends.

        Raises:
            RuntimeError: The server has TLS, or is not running.
            OSError: There are no descriptors left.
        """
        if self._core.tls is not None:
            raise RuntimeError("a server with TLS has no such connections")
        if self._home is None:
            raise RuntimeError("this server is not running")
        ours, theirs = socket.socketpair()
        try:
            self._home.call(self._core.join, theirs)
        except BaseException:
            ours.close()
            theirs.close()
            raise
        return ours

    def stop(self) -> None:
        """
        Close the listener and all connections at once, as if killed.

        Responses not sent yet are dropped, and running functions are cancelled.
        Called from another thread, it waits until they have ended, at most 2 s.
        """
        self._thaw.set()
        self._place.fill_hole()
        home = self._home
        if home is None:
            return
        if not home.here():
            home.loop.call_soon_threadsafe(self._core.shut)
            settling = asyncio.run_coroutine_threadsafe(
                self._core.settle(1.0), home.loop
            )
            with contextlib.suppress(TimeoutError):
                settling.result(1.5)
            if self._thread is not None:
                self._thread.stop(0.4)
            if self._thread is not None or self._shared is not None:
                self._home = self._thread = None
        else:
            self._core.shut()
        if self._when_stopped is not None:
            home.loop.call_soon_threadsafe(self._when_stopped)

    def serve_forever(self, ready: Callable[[Server], object] | None = None) -> None:
        """
        Serve in this thread until SIGINT, SIGTERM or `stop`.

        *ready* is called with the server once it listens.
        """
        asyncio.run(self._serve(ready))

    async def _serve(self, ready: Callable[[Server], object] | None) -> None:
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, stopped.set)
        self._when_stopped = stopped.set
        try:
            async with self:
                if ready is not None:
                    ready(self)
                await stopped.wait()
        finally:
            self._when_stopped = None

    # --- what there is and was ---

    @property
    def port(self) -> int:
        """The port; 0 if any free port is wanted and it has never been started."""
        return self._place.port

    @property
    def address(self) -> str:
        """``host:port``, ``[host]:port`` or ``unix:/path``; RuntimeError: none."""
        if not self._listens:
            raise RuntimeError("this server does not listen: use connect()")
        return self._place.address

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return self._records.open

    @property
    def accepted(self) -> int:
        """How many connections were ever accepted."""
        return self._records.accepted

    @property
    def requests(self) -> list[Request]:
        """The requests and notifications seen so far, in order of arrival."""
        with self._records.changed:
            return list(self._records.requests)

    @property
    def before_hello(self) -> list[Request]:
        """The requests and notifications that came before the *hello* was complete."""
        with self._records.changed:
            return list(self._records.before_hello)

    @property
    def invalid(self) -> list[bytes]:
        """Payloads that were not valid requests, and bytes that were no netstring."""
        with self._records.changed:
            return list(self._records.invalid)

    @property
    def failed_handshakes(self) -> list[str]:
        """Why connections never got through TLS, in OpenSSL's words."""
        with self._records.changed:
            return list(self._records.failed_handshakes)

    @property
    def tls(self) -> ServerTls:
        """Its certificates, for clients and to renew; a RuntimeError without any."""
        if isinstance(self._core.tls, ServerTls):
            return self._core.tls
        raise RuntimeError("this server has no ServerTls")

    def clear(self) -> None:
        """Forget the requests seen so far."""
        self._records.clear()

    def wait_for_requests(self, count: int, timeout: float = 5.0) -> list[Request]:
        """
        Wait until *count* requests and notifications have been seen; return all.

        Raises:
            TimeoutError: There were fewer after *timeout* seconds.
        """
        self._must_not_block()
        self._records.wait_for_requests(count, timeout)
        return self.requests

    def wait_for_connections(self, count: int, timeout: float = 5.0) -> None:
        """
        Wait until exactly *count* connections are open.

        Raises:
            TimeoutError: There was another number after *timeout* seconds.
        """
        self._must_not_block()
        self._records.wait_for_connections(count, timeout)

    def wait_for_accepted(self, count: int, timeout: float = 5.0) -> None:
        """
        Wait until *count* connections have been accepted, open or not.

        Raises:
            TimeoutError: There were fewer after *timeout* seconds.
        """
        self._must_not_block()
        self._records.wait_for_accepted(count, timeout)

    def _must_not_block(self) -> None:
        if self._home is not None and self._home.here():
            raise RuntimeError("this would block the loop: use asyncio.to_thread()")

    # --- methods and misbehaviour ---

    def add_method(self, name: str, function: Callable[..., Any]) -> None:
        """
        Add a method, or replace the one of that name.

        Raises:
            TypeError: *function* is not callable.
        """
        check_methods({name: function})
        self._call(self._core.add_method, name, function)

    def misbehave(self, *faults: FaultLike, method: str | None = None) -> None:
        """
        Apply these faults from now on, to all requests or to those of *method*.

        They replace the previous ones.  A function is called with each request and
        returns a fault, several, or None.  A request gets the faults of its method
        and those for all requests; a batch gets those of its first request.
        Notifications and invalid requests get none.
        """
        self._call(self._core.misbehave, Plan.of(faults), method)

    def behave(self) -> None:
        """End all faults."""
        self._call(self._core.behave)

    def drop_connections(self, *, reset: bool = False) -> None:
        """Close all connections, or reset them; new ones are accepted."""
        self._call(lambda: self._core.drop(reset=reset))

    def send(self, data: bytes) -> None:
        """Send *data*, unframed and unasked, on all connections."""
        self._call(self._core.send, data)

    def refuse(self) -> None:
        """Refuse new connections and keep those that are open, until `accept`."""
        self._place.fill_hole()
        self._call(self._core.refuse)

    def blackhole(self) -> None:
        """
        Let new connections neither succeed nor fail, until `accept` (Linux).

        The kernel drops SYNs when a listener's queue is full, as firewalls do.  At a
        Unix socket, connections fail at once: its backlog is full.
        """
        self.refuse()
        self._place.open_hole()

    def accept(self) -> None:
        """Accept connections again after `refuse` or `blackhole`."""
        self.start()

    def freeze(self) -> None:
        """
        Do nothing at all until `thaw`, like a process after SIGSTOP.

        The kernel still accepts connections and bytes.  All other controls except
        `stop` and `thaw` block.  Servers on the same `LoopThread` freeze, too.
        """
        home = self._home
        if home is None or home.here() or not isinstance(home, LoopThread):
            raise RuntimeError("only a server in another thread can freeze")
        self._thaw.clear()
        freeze(home, self._thaw)

    def thaw(self) -> None:
        """Continue after `freeze`."""
        self._thaw.set()

    # --- inside ---

    def _call(self, function: Callable[..., None], *args: Any) -> None:
        if self._home is None:
            function(*args)
        else:
            self._home.call(function, *args)
