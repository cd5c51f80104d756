"""The client for threads: callbacks, blocking calls, futures, bulk."""

from __future__ import annotations

import atexit
import time
import warnings
import weakref
from types import MethodType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, Unpack, cast, overload

from jsonrpcc._base import Base, pauses
from jsonrpcc._blocking import blocking_for
from jsonrpcc._dispatcher import Dispatcher
from jsonrpcc._future import Future
from jsonrpcc._map import Bulk
from jsonrpcc._params import call_options, check_window
from jsonrpcc._records import Event
from jsonrpcc._speedups import SLICE_MS, Call, Ordered, assign
from jsonrpcc._speedups import Client as _Methods

if TYPE_CHECKING:
    import concurrent.futures
    from collections.abc import Callable, Iterable, Iterator

    from jsonrpcc._codec import CodecArg
    from jsonrpcc._options import OptionArgs
    from jsonrpcc._params import CallArgs, MapArgs, Params

_F = TypeVar("_F", bound="Callable[..., Any]")
_T = TypeVar("_T")

_EXIT_LIMIT = 1.0  # seconds that the end of the process may take
# By id.  Not a WeakSet: that cannot be copied while other threads add to it.
_clients: weakref.WeakValueDictionary[int, Client] = weakref.WeakValueDictionary()

at_end: list[Callable[[], object]] = []
"""Called at exit when all clients are closed, and have counted their last calls."""


def _in_c(function: _F) -> _F:
    """
    Make a method in C that looks like the function.

    C code reads usual arguments and submits them.  The function turns others into
    what C code submits; no Python code runs between that and acceptance.
    """
    method: Any = _Methods._method(function, MethodType)  # noqa: SLF001
    return cast("_F", method)


class Client(_Methods, Base):
    """
    A JSON-RPC 2.0 client for threads.

    *servers* is ``"host1:port1,priority1 host2:port2,priority2"``: larger
    priorities first, round robin between equal ones.  For the keyword options
    see `jsonrpcc.Options`; *codec* is ``"msgspec"`` (default), ``"json"``,
    ``"orjson"`` or an object with encode and decode; *on_event* is called with
    each `Event`.

    Callbacks of a client run one at a time, on a thread that is not the caller's; a
    callback may use every method except `drain`.  All methods may be called from any
    thread.

    Raises:
        TypeError, ValueError: An option or the servers string is wrong.
        OSError: No descriptors (EMFILE, ENFILE) or threads (EAGAIN) are left; in
            a forked child, the first use may raise it as well.
    """

    def __init__(
        self,
        servers: str,
        *,
        codec: CodecArg = None,
        on_event: Callable[[Event], object] | None = None,
        **options: Unpack[OptionArgs],
    ) -> None:
        self._dispatchers: list[Dispatcher] = []  # of parents, too
        super().__init__(servers, codec=codec, on_event=on_event, **options)
        try:
            self._session.close_with(self)
            self._open()
        except BaseException:
            self._closed = True
            self._session.close(SLICE_MS)
            raise
        _clients[id(self)] = self

    @property
    def _dispatcher(self) -> Dispatcher | None:
        """The dispatcher of this process; None: not open here."""
        for each in tuple(self._dispatchers):
            if not each.is_foreign():
                return each
        return None

    def _open(self) -> Dispatcher:
        """
        Return the dispatcher of this process; create it on first use.

        Calls come here if nothing is open yet, or if the core says that what is open
        belongs to another process: only the core knows of every fork().

        Signal handlers, finalizers and other threads may come here meanwhile: the
        first dispatcher that is ready is used by all, and the others have no effect.
        """
        while (dispatcher := self._dispatcher) is None:
            self._dispatchers.append(Dispatcher(self._session))
        self._dispatchers[:] = [dispatcher]
        dispatcher.start()
        self._bind(dispatcher.calls, blocking_for(self._session))
        return dispatcher

    @overload
    def request(
        self,
        method: str,
        params: Params = None,
        on_result: Callable[[_T], object] | None = None,
        on_error: Callable[[Any], object] | None = None,
        *,
        result_type: type[_T],
        **options: Unpack[CallArgs],
    ) -> Call: ...

    @overload
    def request(
        self,
        method: str,
        params: Params = None,
        on_result: Callable[[Any], object] | None = None,
        on_error: Callable[[Any], object] | None = None,
        *,
        result_type: Any = None,
        **options: Unpack[CallArgs],
    ) -> Call: ...

    @_in_c
    def request(
        self,
        method: str,
        params: Params = None,
        on_result: Callable[[Any], object] | None = None,
        on_error: Callable[[Any], object] | None = None,
        *,
        result_type: Any = None,
        timeout: float | None = None,
        idempotent: bool = False,
        wait_for_ready: bool = False,
        block: bool = True,
    ) -> Call:
        """
        Call *method*; run exactly one of *on_result(result)* and *on_error(error)*.

        *params* is a dict, list or tuple, the JSON text of an array or object
        (single quotes allowed), or None for no params.  *timeout* covers
        everything from now on; None means the client's.  *idempotent* calls may
        be sent again when a connection breaks.  *wait_for_ready* waits for a
        server until the deadline instead of failing when all are known to be
        down.  When the client's bounds are reached, the caller waits, up to
        *timeout*; with ``block=False``, and in callbacks, it does not.

        The result is of *result_type*, if that is given: see `call`.  Without
        *on_error*, errors are logged.

        Raises:
            QueueFull: A bound is reached.  No callback will run.
            ClientClosed: The client is closed.  No callback will run.
            TypeError, ValueError: An argument is wrong; the text says which and
                where.
        """
        options = call_options(
            timeout, idempotent=idempotent, wait_for_ready=wait_for_ready
        )
        return self._session.texts.prepare(  # type: ignore[return-value]  # for C
            method,
            params,
            options,
            block=block,
            on_result=on_result,
            on_error=on_error,
            result_type=result_type,
        )

    @_in_c
    def notification(
        self,
        method: str,
        params: Params = None,
        *,
        timeout: float | None = None,
        wait_for_ready: bool = False,
        block: bool = True,
    ) -> None:
        """
        Send a notification; return as soon as it is queued.

        There is no response and no error: a notification that cannot be handed to
        a server within *timeout* is dropped and counted in `stats()`.

        Raises as `request` does.
        """
        options = call_options(timeout, wait_for_ready=wait_for_ready)
        return self._session.texts.prepare(  # type: ignore[return-value]  # for C
            method, params, options, block=block
        )

    @overload
    def call(
        self,
        method: str,
        params: Params = None,
        *,
        result_type: type[_T],
        **options: Unpack[CallArgs],
    ) -> _T: ...

    @overload
    def call(
        self,
        method: str,
        params: Params = None,
        *,
        result_type: Any = None,
        **options: Unpack[CallArgs],
    ) -> Any: ...

    @_in_c
    def call(
        self,
        method: str,
        params: Params = None,
        *,
        result_type: Any = None,
        timeout: float | None = None,
        idempotent: bool = False,
        wait_for_ready: bool = False,
        block: bool = True,
    ) -> Any:
        """
        Call *method* and wait: return the result or raise the error.

        With *result_type* the result is an object of that type: a `msgspec.Struct`,
        dataclass, TypedDict, NamedTuple, enum, union, attrs class, pydantic model, or
        what else msgspec or pydantic know; `msgspec.Raw` gives its JSON text.  A
        result of another shape is an `InvalidResponse`, which says where.

        Ctrl-C is seen within 0.2 s; the call is then abandoned.

        Raises:
            RemoteError: The server answered with an error.
            RequestTimeout: No response arrived before the deadline.
            ServerFailure: No server can be reached.
            ConnectionLost: The connection broke after the request was sent.
            InvalidResponse: The response breaks JSON-RPC 2.0 or a limit.
            QueueFull, ClientClosed, TypeError, ValueError: As `request`.
        """
        options = call_options(
            timeout, idempotent=idempotent, wait_for_ready=wait_for_ready
        )
        return self._session.texts.prepare(
            method, params, options, block=block, result_type=result_type
        )

    @overload
    def submit(
        self,
        method: str,
        params: Params = None,
        *,
        result_type: type[_T],
        **options: Unpack[CallArgs],
    ) -> concurrent.futures.Future[_T]: ...

    @overload
    def submit(
        self,
        method: str,
        params: Params = None,
        *,
        result_type: Any = None,
        **options: Unpack[CallArgs],
    ) -> concurrent.futures.Future[Any]: ...

    def submit(
        self,
        method: str,
        params: Params = None,
        *,
        result_type: Any = None,
        timeout: float | None = None,
        idempotent: bool = False,
        wait_for_ready: bool = False,
        block: bool = True,
    ) -> concurrent.futures.Future[Any]:
        """
        Call *method*; return a future of its outcome.

        Cancelling the future cancels the call.

        Raises as `request` does.
        """
        future = Future()
        future.client = self
        args = (method, params, future.deliver, future.fail)
        options = {
            "result_type": result_type,
            "timeout": timeout,
            "idempotent": idempotent,
            "wait_for_ready": wait_for_ready,
            "block": block,
        }
        try:
            assign(future, "call", self.request, args, options)
        except BaseException:
            future.cancel()
            raise
        return future

    @overload
    def map(
        self,
        method: str,
        params: Iterable[Params],
        *,
        result_type: type[_T],
        return_exceptions: Literal[False] = False,
        **options: Unpack[MapArgs],
    ) -> Iterator[_T]: ...

    @overload
    def map(
        self,
        method: str,
        params: Iterable[Params],
        *,
        result_type: type[_T],
        return_exceptions: bool,
        **options: Unpack[MapArgs],
    ) -> Iterator[_T | Exception]: ...

    @overload
    def map(
        self,
        method: str,
        params: Iterable[Params],
        *,
        result_type: Any = None,
        return_exceptions: bool = False,
        **options: Unpack[MapArgs],
    ) -> Iterator[Any]: ...

    def map(
        self,
        method: str,
        params: Iterable[Params],
        *,
        result_type: Any = None,
        timeout: float | None = None,
        idempotent: bool = False,
        wait_for_ready: bool = False,
        return_exceptions: bool = False,
        window: int = 1024,
    ) -> Iterator[Any]:
        """
        Call *method* for each of *params*; return an iterator of the results, in order.

        At most *window* calls are in flight, and *params* is read no further ahead
        than that; with a slow iterator, params that have been read are sent before
        more are read.  The first error is raised in its turn, unless
        *return_exceptions* puts errors among the results; outcomes of calls sent
        by then are discarded.  An exception from the iterator of *params* is raised
        in its turn in either case.

        One thread at a time may use the iterator: ``next()`` while another thread is
        in it, or from *params* itself, raises a ValueError.

        Raises what `call` does, each error in its turn.
        """
        options = call_options(
            timeout, idempotent=idempotent, wait_for_ready=wait_for_ready
        )
        codec = self._session.codec_for(result_type)
        bulk = Bulk(
            self._session,
            method,
            iter(params),
            options=options,
            codec=codec,
            window=check_window(window),
            keep=self,
        )
        return Ordered(
            codec=codec,
            more=bulk,
            window=window,
            return_exceptions=return_exceptions,
        )

    def wait_ready(self, timeout: float | None = None, *, all: bool = False) -> bool:  # noqa: A002
        """
        Wait until a call would find a server; with *all*, until all servers are in use.

        Return False if *timeout* seconds were not enough; None waits as long as it
        takes.  The list is the one that was set last; with *all*, each name and file
        in it has to have been found once.  Spares, which *subset* leaves out, are not
        waited for.  A server that accepts a connection, and answers the *hello* if
        there is one, is enough: only calls tell whether it answers them.  Signal
        handlers run meanwhile.

        Raises:
            ClientClosed: The client is closed, or is closed meanwhile.
        """
        until_then = pauses(timeout)
        self._is_ready(all_servers=all)  # or it is closed
        self._open()
        for pause in until_then:
            if self._is_ready(all_servers=all):
                return True
            time.sleep(pause)
        return self._is_ready(all_servers=all)

    # ---- the end --------------------------------------------------------------

    def drain(self, timeout: float | None = None) -> bool:
        """
        Wait until every call made with callbacks or as a future has been delivered.

        Return False if *timeout* seconds were not enough.  None waits as long as it
        takes, which the calls' own deadlines limit.

        Raises:
            RuntimeError: Called from a callback, which would wait for itself.
        """
        dispatcher = self._dispatcher
        if dispatcher is None:
            return True
        limit = float("inf") if timeout is None else time.monotonic() + timeout
        with dispatcher.waiting() as will_end:
            if not will_end:
                msg = "drain() in a callback would wait for itself"
                raise RuntimeError(msg)
            return dispatcher.drain(limit)

    def close(self) -> None:
        """
        Stop, and wait until the last callback has run.

        Calls still pending end with `ClientClosed`; call `drain` first to let them
        finish.  Notifications not sent yet get up to a second.  Called from a
        callback, it does not wait for that callback, nor for another client's
        callback that waits for it.  May be called again.
        """
        self._closed = True
        dispatcher = self._dispatcher
        if dispatcher is not None and dispatcher.worker.is_current():
            self._session.close(0)
            return
        while not self._session.close(SLICE_MS):
            pass
        if dispatcher is None:
            return
        with dispatcher.waiting() as will_end:
            if will_end:
                dispatcher.await_end()

    def _close_soon(self) -> None:
        """Begin to close, without waiting."""
        self._closed = True
        self._session.close(0)

    def _close_at_exit(self, deadline: float) -> None:
        left = max(0, int((deadline - time.monotonic()) * 1000))
        self._session.close(left)
        dispatcher = self._dispatcher
        if dispatcher is not None and not dispatcher.worker.is_current():
            dispatcher.await_end(max(0.0, deadline - time.monotonic()))

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        # Not if __init__() failed, nor at exit, which is documented to close all.
        if self._closed or "_session" not in vars(self):
            return
        # Garbage must not join a thread: the dispatcher ends by itself.
        self._session.close(0)
        if self._dispatcher is not None:  # a forked child leaves that to its parent
            _warn(f"unclosed {self!r}", ResourceWarning, source=self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _living() -> list[Client]:
    """Return all clients, even while other threads create or drop some."""
    references = _clients.valuerefs()
    return [client for each in references if (client := each()) is not None]


def _close_all() -> None:
    """
    End all clients before the interpreter does, in a bounded time.

    All begin to close first, so that their times overlap.
    """
    clients = _living()
    for client in clients:
        client._close_soon()  # noqa: SLF001
    deadline = time.monotonic() + _EXIT_LIMIT
    for client in clients:
        client._close_at_exit(deadline)  # noqa: SLF001
    for function in at_end:
        function()


atexit.register(_close_all)
