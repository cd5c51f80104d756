"""What Client and AsyncClient share: options, params to text, snapshots."""

from __future__ import annotations

import _thread
import logging
import sys
import types
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Unpack

from jsonrpcc import _options
from jsonrpcc._codec import resolve
from jsonrpcc._jsonrpcc import ffi
from jsonrpcc._params import Texts
from jsonrpcc._records import Event, Outcomes, ServerInfo, read_servers
from jsonrpcc._stats import Stats, read_stats

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypedDict

    from jsonrpcc._log import Log

    class OptionArgs(TypedDict, total=False):
        """The keyword options, see `jsonrpcc.Options`."""

        timeout: float
        connect_timeout: float
        max_conn_attempts: int
        reconnect_delay: float
        reconnect_delay_max: float
        max_response: int
        max_request: int
        max_depth: int
        max_in_flight: int
        max_queued_bytes: int
        max_undelivered_bytes: int


_GOOD_NEWS = ("connected", "trusted", "back")


def _in_main_interpreter() -> bool:
    for name in ("_interpreters", "_xxsubinterpreters"):
        module = sys.modules.get(name)
        if module is not None:
            current = module.get_current()
            current = current[0] if isinstance(current, tuple) else current
            main = module.get_main()
            return bool(current == (main[0] if isinstance(main, tuple) else main))
    return True


def check_threads() -> None:
    """
    Refuse to begin where what `threading` starts and waits for is no thread.

    Raises:
        RuntimeError: gevent or eventlet has patched it.
    """
    start: Any = _thread.start_new_thread
    if isinstance(start, types.BuiltinFunctionType):
        return
    library = str(getattr(start, "__module__", "")).partition(".")[0] or "something"
    msg = (
        f"threading is patched by {library}: a client waits for real threads, and "
        "would for ever; leave threads out (monkey.patch_all(thread=False), "
        "eventlet.monkey_patch(thread=False)) and make blocking calls in a pool of "
        "real ones (gevent.get_hub().threadpool, eventlet.tpool)"
    )
    raise RuntimeError(msg)


class Base:
    """The C client and what surrounds it."""

    def __init__(
        self,
        servers: str,
        *,
        codec: Any = None,
        on_event: Callable[[Event], object] | None = None,
        **options: Unpack[OptionArgs],
    ) -> None:
        listener: Any = on_event  # callers without a type checker err here
        if listener is not None and not callable(listener):
            msg = f"on_event must be callable, not {on_event!r}"
            raise TypeError(msg)
        if not _in_main_interpreter():
            msg = "jsonrpcc works in the main interpreter only"
            raise RuntimeError(msg)
        check_threads()
        unknown = options.keys() - _options.Options.__dataclass_fields__.keys()
        if unknown:
            msg = f"{type(self).__name__}() got an unknown option {min(unknown)!r}"
            raise TypeError(msg)
        self._codec = resolve(codec)
        self._options = _options.Options(**options)
        self._handle = _options.open_client(servers, self._options)
        self._outcomes = Outcomes(self._handle, self._codec)
        self._texts = Texts(self._codec)
        self._closed = False

    def servers(self) -> list[ServerInfo]:
        """Return a snapshot of each server, in the order of the servers string."""
        servers = read_servers(self._handle)
        if self._closed:
            servers = [replace(each, state="closed") for each in servers]
        return servers

    def stats(self) -> Stats:
        """Return the counters and the latency histogram; cheap."""
        return read_stats(self._handle)

    def __repr__(self) -> str:
        up = sum(server.state in ("up", "proving") for server in self.servers())
        state = (
            "closed" if self._closed else f"{up} of {len(self.servers())} servers up"
        )
        return f"<{type(self).__name__} {state}>"

    def __reduce__(self) -> Any:
        msg = f"a {type(self).__name__} can not be pickled: make one in each process"
        raise TypeError(msg)


def pointer(text: bytes | None) -> tuple[Any, int]:
    """Return a text as cffi takes it: pointer and size."""
    return (ffi.NULL, 0) if text is None else (text, len(text))


def view(text: Any, size: int) -> memoryview:
    """Return *size* bytes of the core's, borrowed, as any decoder takes them."""
    return memoryview(ffi.buffer(text, size))


def tell_event(
    log: Log,
    outcomes: Outcomes,
    record: Any,
    on_event: Callable[[Event], object] | None,
) -> None:
    """Log an event, one line a change of state, and hand it to the listener."""
    event = outcomes.event(record)
    log.write(
        logging.INFO if event.kind in _GOOD_NEWS else logging.WARNING,
        (event.kind, event.server),
        "%s %s%s",
        event.server,
        event.kind.replace("_", " "),
        f": {event.reason}" if event.reason else "",
    )
    if on_event is None:
        return
    try:
        on_event(event)
    except Exception as error:  # noqa: BLE001
        tell_failed_listener(log, on_event, error)


def tell_failed_listener(log: Log, on_event: Any, error: BaseException) -> None:
    """Log what a listener raised."""
    kind = None  # one of its own
    log.write(logging.ERROR, kind, "on_event %r failed", on_event, error=error)
