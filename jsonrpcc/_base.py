"""What Client and AsyncClient share: how they open, snapshots, their repr."""

from __future__ import annotations

import inspect
import logging
import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar, Unpack

from jsonrpcc._errors import ClientClosed
from jsonrpcc._hello import set_hello
from jsonrpcc._hints import did_you_mean, no_attribute
from jsonrpcc._host import check_interpreter, check_threads
from jsonrpcc._log import Log
from jsonrpcc._options import Options, set_servers
from jsonrpcc._protocol import proxy_for
from jsonrpcc._proxy import Proxy
from jsonrpcc._records import Entry, Event, ServerInfo
from jsonrpcc._session import Session
from jsonrpcc._snapshots import read_entries, read_servers
from jsonrpcc._sockets import entry_of
from jsonrpcc._stats import MethodStats, Stats, read_methods, read_stats
from jsonrpcc._tls import Tls

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from jsonrpcc._codec import CodecArg
    from jsonrpcc._hello import Hello
    from jsonrpcc._options import OptionArgs


_T = TypeVar("_T")

_SHOWN = 3  # servers in a repr

_SOON, _LATER = 0.001, 0.02  # seconds of a pause, at first and at last


def pauses(timeout: float | None) -> Iterator[float]:
    """
    Return an iterator of seconds to sleep, longer and longer, until *timeout* is over.

    Raises:
        TypeError, ValueError: It is no number, or NaN.
    """
    if timeout is None:
        return _pauses(float("inf"))
    seconds: Any = timeout
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        msg = f"timeout must be a number of seconds or None, not {timeout!r}"
        raise TypeError(msg)
    if math.isnan(seconds):
        msg = "timeout must be a number of seconds or None, not nan"
        raise ValueError(msg)
    return _pauses(time.monotonic() + seconds)


def _pauses(deadline: float) -> Iterator[float]:
    pause = _SOON
    while (left := deadline - time.monotonic()) > 0:
        yield min(pause, left)
        pause = min(2 * pause, _LATER)


class Base:
    """A client without its calls."""

    _session: Session  # missing if __init__() failed
    _closed = False
    _is_async = False
    call: Any  # a method of each client

    def __init__(
        self,
        servers: str,
        *,
        codec: CodecArg = None,
        on_event: Callable[[Event], object] | None = None,
        **options: Unpack[OptionArgs],
    ) -> None:
        listener: Any = on_event  # callers without a type checker get this wrong
        if listener is not None and not callable(listener):
            msg = f"on_event must be callable, not {on_event!r}"
            raise TypeError(msg)
        check_interpreter()
        check_threads()
        unknown = options.keys() - Options.__dataclass_fields__.keys()
        if unknown:
            wrong = min(unknown)
            msg = f"{type(self).__name__}() got an unknown option {wrong!r}"
            known = [*Options.__dataclass_fields__, "codec", "name", "on_event"]
            raise TypeError(msg + did_you_mean(wrong, known))
        checked_options = Options(**options)
        self._session = Session(
            servers, checked_options, codec=codec, on_event=on_event
        )
        if checked_options.tls:
            self._warn(checked_options.tls)

    @classmethod
    def from_socket(
        cls,
        sock: socket.socket,
        *,
        codec: CodecArg = None,
        on_event: Callable[[Event], object] | None = None,
        **options: Unpack[OptionArgs],
    ) -> Self:
        """
        Return a client of one server, to which *sock* is connected.

        The client takes the socket over: *sock* is closed as an object, and nothing
        else may read from the connection.  It is a stream socket: one end of
        `socket.socketpair`, of a connection of TCP or of a Unix socket; not a pipe,
        nor an `ssl.SSLSocket`.  There is this one connection: when it ends, calls fail
        with `ServerFailure`, and when the client closes, the server sees the end.  In
        a forked child, the server is down from the beginning.

        ``Client("fd:7")`` does the same with a descriptor, which is duplicated and
        remains the caller's to close.

        Raises:
            TypeError, ValueError: It is no connected stream socket; *sock* is left as
                it is.  Or as the class.
        """
        servers = entry_of(sock)
        client = cls(servers, codec=codec, on_event=on_event, **options)
        sock.close()
        return client

    def _warn(self, tls: Tls | bool) -> None:
        """Log what is risky about TLS from the beginning."""
        log = Log(self.name)
        if isinstance(tls, Tls) and not tls.verify:
            text = "verify=False: certificates are not verified, any server is trusted"
            log.write(logging.WARNING, "verify", text)
        if text := self._session.outcomes.expiring(-1):
            log.write(logging.WARNING, "expiring", "%s", text)

    @property
    def name(self) -> str | None:
        """The option of that name."""
        return self._session.name

    @property
    def closed(self) -> bool:
        """Whether the client is closed, or about to be."""
        return self._closed

    def _is_ready(self, *, all_servers: bool) -> bool:
        """
        Return whether a call would find a server, or whether all are in use.

        Raises:
            ClientClosed: The client is closed.
        """
        if self._closed:
            raise ClientClosed("client closed", fate="not_sent")
        return self._session.is_ready(all_servers=all_servers)

    def set_servers(self, servers: str) -> None:
        """
        Make *servers*, written as for the constructor, the list of servers.

        Calls that are made from now on go by it.  Servers that stay in the list keep
        their connections and counters.  Servers that leave get no new calls; those
        sent to them may still be answered, within *leave_timeout*, and the others go
        elsewhere.  So a change ends no call, unless all servers in the list are down.

        It does not wait, and may be called from callbacks, signal handlers and
        other threads.

        Raises:
            TypeError, ValueError: *servers* is wrong; the text says where.  The list
                has not changed.
            ClientClosed: The client is closed.
        """
        if not set_servers(self._session.handle, servers):
            msg = "client closed"
            raise ClientClosed(msg, method="", fate="not_sent")

    def set_hello(self, hello: Hello) -> None:
        """
        Make *hello* what connections say first, from the next connection on.

        It consists of ``(method, params)`` pairs, as for the option of that name; an
        empty list: nothing.  Connections that exist are left alone, and their pings
        stay what they are.

        It does not wait, and may be called from callbacks, signal handlers and
        other threads.

        Raises:
            TypeError, ValueError: *hello* is wrong; the text says where, and nothing
                of what is in it.  Nothing has changed.
            ClientClosed: The client is closed.
        """
        session = self._session
        if not set_hello(session.handle, hello, session.texts):
            msg = "client closed"
            raise ClientClosed(msg, method="", fate="not_sent")

    def servers(self) -> list[ServerInfo]:
        """
        Return a snapshot of each server, in the order of the servers string.

        Servers that are leaving come last.  What `set_servers` has set is here a
        moment later; `wait_ready` waits for it.
        """
        servers = read_servers(self._session.handle)
        if self._closed:
            servers = [replace(each, state="closed") for each in servers]
        return servers

    def entries(self) -> list[Entry]:
        """
        Return a snapshot of each name and file in the servers string, in its order.

        These are the entries that stand for servers which come and go, such as
        ``dns:host:port``, and those in files; other entries are not among them.
        """
        return read_entries(self._session.handle)

    def stats(self) -> Stats:
        """Return the counters and the latency histogram; cheap."""
        return read_stats(self._session.handle)

    def methods(self) -> dict[str, MethodStats]:
        """
        Return what became of the calls of each method; they add up to `stats()`.

        Only methods of which a call has ended are in it.  From *max_methods* on,
        methods are counted together, as ``_OTHER``.
        """
        return read_methods(self._session.handle)

    @property
    def proxy(self) -> Proxy:
        """
        ``client.proxy.math.add(1, 2)`` calls ``math.add`` with params ``[1, 2]``.

        The call of an `AsyncClient` is awaited.
        """
        return Proxy(self.call, "")

    def typed(self, protocol: Callable[..., _T], *, prefix: str = "") -> _T:
        """
        Return an object with the methods of a class, which are those of the server.

        ``users = client.typed(Users)``, where *Users* is a `typing.Protocol` or another
        class whose methods have annotations and no use for their bodies: ``def
        get(self, id: int) -> User`` calls ``get`` with params ``[id]``, and the result
        is a `User`.  *prefix* is put before each name.  Params are an array; they are
        an object if they are keyword-only, or with ``@jsonrpcc.rpc(by="name")``.  For
        an `AsyncClient`, they are ``async def``.

        Raises:
            TypeError: The class cannot be such an object; says which method.
        """
        return proxy_for(self, protocol, prefix, is_async=self._is_async)  # type: ignore[no-any-return]

    def _missing(self, name: str) -> NoReturn:
        """Say how to call a method of the server, which is what was meant."""
        raise AttributeError(no_attribute(self, name), name=name, obj=self)

    def __repr__(self) -> str:
        kind = type(self).__name__ + ("" if self.name is None else f" {self.name!r}")
        if self._closed:
            return f"<{kind} closed>"
        servers = self.servers()
        shown = ", ".join(f"{each.address} {each.state}" for each in servers[:_SHOWN])
        if len(servers) > _SHOWN:
            up = sum(each.is_used for each in servers)
            shown += f", ... ({up} of {len(servers)} up)"
        return f"<{kind} {shown}>"

    def __reduce__(self) -> Any:
        msg = f"a {type(self).__name__} cannot be pickled: create one in each process"
        raise TypeError(msg)


# Errors about arguments name no class: users do not know this one.
for _name, _member in vars(Base).items():
    _function = getattr(_member, "__func__", _member)
    if inspect.isfunction(_function) and not _name.startswith("_"):
        _function.__qualname__ = _name


def handle_of(client: Any) -> Any:
    """
    Return the C client inside a client; it lives as long as that.

    Raises:
        TypeError: It is no client, or its __init__() did not complete.
    """
    if not isinstance(client, Base):
        msg = f"a jsonrpcc.Client or AsyncClient is needed, not {client!r}"
        raise TypeError(msg)
    try:
        return client._session.handle  # noqa: SLF001
    except AttributeError:
        kind = type(client).__name__
        msg = f"this {kind} is not open: its __init__() did not complete"
        raise TypeError(msg) from None
