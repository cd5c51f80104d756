"""
Spans, metrics and trace context by OpenTelemetry; `pip install 'jsonrpcc[otel]'`.

The names are those of the semantic conventions for RPC, which are not stable yet:
`CONVENTIONS` says of which version.
"""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import os
import time
from typing import TYPE_CHECKING, Any, Literal

from opentelemetry import metrics, propagate, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from jsonrpcc._base import handle_of
from jsonrpcc._errors import JsonRpcError, RemoteError
from jsonrpcc._otel_clients import Awaited, Blocking
from jsonrpcc._otel_map import Counted
from jsonrpcc._params import MethodWith

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import jsonrpcc
    import jsonrpcc.anyio

__all__ = ["CONVENTIONS", "instrument", "uninstrument"]

CONVENTIONS = "0.66b2"
"""The version of opentelemetry-semantic-conventions that the names are of."""

# The one table of names.
DURATION = "rpc.client.call.duration"
SYSTEM = "rpc.system.name"
METHOD = "rpc.method"
METHOD_ORIGINAL = "rpc.method_original"
STATUS = "rpc.response.status_code"
STATUS_LATER = "rpc.status_code"  # what it is called from the next version on
VERSION = "jsonrpc.protocol.version"
ERROR = "error.type"
ADDRESS = "server.address"
PORT = "server.port"
PEER_ADDRESS = "network.peer.address"
PEER_PORT = "network.peer.port"
TRANSPORT = "network.transport"
ATTEMPT = "jsonrpcc.attempt"  # an event
ATTEMPT_NUMBER = "jsonrpcc.number"  # its attribute
MAP_CALLS = "jsonrpcc.map.calls"  # the conventions have no name for these two
MAP_ERRORS = "jsonrpcc.map.errors"

OTHER = "_OTHER"
BOUNDARIES = (
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
)  # fmt: skip

Trace = Literal["meta", "member"]


def _status_names() -> tuple[str, ...]:
    """Return what a status code is called, as the environment chooses."""
    chosen = os.environ.get("OTEL_SEMCONV_STABILITY_OPT_IN", "").split(",")
    names = {each.strip() for each in chosen}
    if "rpc/dup" in names:
        return STATUS, STATUS_LATER
    return (STATUS_LATER,) if "rpc" in names else (STATUS,)


class Telemetry:
    """What an instrumented client has; not public."""

    def __init__(
        self,
        methods: frozenset[str],
        propagation: Trace | None,
        tracer_provider: trace.TracerProvider | None,
        meter_provider: metrics.MeterProvider | None,
    ) -> None:
        self.propagation = propagation
        self._methods = methods
        self._tracer = trace.get_tracer("jsonrpcc", tracer_provider=tracer_provider)
        meter = metrics.get_meter("jsonrpcc", meter_provider=meter_provider)
        self._duration = meter.create_histogram(
            DURATION,
            unit="s",
            description="Time from a call to its outcome.",
            explicit_bucket_boundaries_advisory=BOUNDARIES,
        )
        self._status_names = _status_names()

    def begin(self, method: str) -> tuple[Span, float]:
        """Start the span of a call."""
        known = method in self._methods
        span = self._tracer.start_span(
            method if known else "jsonrpc", kind=SpanKind.CLIENT
        )
        if span.is_recording():
            span.set_attribute(SYSTEM, "jsonrpc")
            span.set_attribute(VERSION, "2.0")
            span.set_attribute(METHOD, method if known else OTHER)
            if not known:
                span.set_attribute(METHOD_ORIGINAL, method)
        return span, time.perf_counter()

    def inject(self, span: Span, method: str, params: Any) -> tuple[str, Any]:
        """Return a method and params that carry the trace context."""
        if self.propagation is None:
            return method, params
        carrier: dict[str, str] = {}
        propagate.inject(carrier, trace.set_span_in_context(span))
        if not carrier:
            return method, params
        if self.propagation == "member":
            return MethodWith.members_of(method, carrier), params
        if isinstance(params, dict):
            meta = params.get("_meta")
            if meta is None or isinstance(meta, dict):
                return method, {**params, "_meta": {**(meta or {}), **carrier}}
        return method, params

    def end(
        self,
        begun: tuple[Span, float],
        method: str,
        error: BaseException | None,
        client: Any,
    ) -> None:
        """Record the outcome."""
        span, since = begun
        seconds = time.perf_counter() - since
        known = method if method in self._methods else OTHER
        attributes: dict[str, str] = {SYSTEM: "jsonrpc", METHOD: known}
        if error is not None:
            attributes |= self._error_attributes(error)
        self._duration.record(seconds, attributes, trace.set_span_in_context(span))
        if span.is_recording():
            span.set_attributes(attributes)
            self._describe(span, client, error)
        span.end()

    def _describe(self, span: Span, client: Any, error: BaseException | None) -> None:
        """Give a span what only spans have."""
        span.set_attributes(_server_attributes(client, error))
        if error is not None:
            span.set_status(Status(StatusCode.ERROR))
        if isinstance(error, JsonRpcError):
            for number in range(2, (error.attempts or 0) + 1):
                span.add_event(ATTEMPT, {ATTEMPT_NUMBER: number})

    def mapping(
        self, client: Any, method: str, params: Any
    ) -> tuple[str, Any, Counted]:
        """
        Start the span of a map.

        Returns the method and params to use, and what its outcomes are counted by.
        """
        span, _ = self.begin(method)

        def end(calls: int, errors: int, error: BaseException | None) -> None:
            if span.is_recording():
                span.set_attributes({MAP_CALLS: calls, MAP_ERRORS: errors})
                if error is not None:
                    span.set_attributes(self._error_attributes(error))
                self._describe(span, client, error)
            span.end()

        counted = Counted(end)
        if self.propagation == "meta":
            put = functools.partial(self.inject, span, method)
            if hasattr(params, "__aiter__"):
                return method, (put(each)[1] async for each in params), counted
            return method, (put(each)[1] for each in params), counted
        return self.inject(span, method, None)[0], params, counted

    @contextlib.contextmanager
    def around(
        self, client: Any, method: str, params: Any
    ) -> Iterator[tuple[str, Any]]:
        """Have a span while a call lasts, whose method and params this gives."""
        begun, error = self.begin(method), None
        try:
            yield self.inject(begun[0], method, params)
        except BaseException as raised:
            error = raised
            raise
        finally:
            self.end(begun, method, error, client)
            del error

    def _error_attributes(self, error: BaseException) -> dict[str, str]:
        if isinstance(error, RemoteError):
            code = str(error.code)
            return {ERROR: code} | dict.fromkeys(self._status_names, code)
        return {ERROR: type(error).__qualname__}


def _server_attributes(client: Any, error: BaseException | None) -> Mapping[str, Any]:
    """Return where a call went: by its error, or because there is one server."""
    server = error.server if isinstance(error, JsonRpcError) else None
    if server is None:
        servers = client.servers()
        if len(servers) != 1:
            return {}
        server = servers[0].address
    if server.startswith("unix"):
        return {ADDRESS: server, PEER_ADDRESS: server, TRANSPORT: "unix"}
    place, _, port = server.rpartition(":")
    if not port.isdecimal() or server.startswith("fd:"):
        return {ADDRESS: server}
    name, _, address = place.rpartition("/")  # of a name that stands for servers
    address = address.removeprefix("[").removesuffix("]")
    found = {ADDRESS: name or address, PORT: int(port), TRANSPORT: "tcp"}
    if name or _is_literal(address):
        found |= {PEER_ADDRESS: address, PEER_PORT: int(port)}
    return found


def _is_literal(host: str) -> bool:
    """Whether a host is an address and no name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


@functools.cache
def _instrumented(kind: type[Any]) -> type[Any]:
    """Return a subclass with telemetry, of the same name."""
    mixin: type[Any] = Awaited if getattr(kind, "_is_async", False) else Blocking
    members: dict[str, Any] = {
        "__module__": kind.__module__,
        "__doc__": kind.__doc__,
        "__qualname__": kind.__qualname__,
    }
    for name in ("call", "request", "notification", "map"):
        function: Callable[..., Any] = vars(mixin)[name]
        function.__doc__ = getattr(kind, name).__doc__
    return type(kind.__name__, (mixin, kind), members)


def instrument(
    client: jsonrpcc.Client | jsonrpcc.AsyncClient | jsonrpcc.anyio.Client,
    *,
    methods: Iterable[str] = (),
    trace: Trace | None = None,
    tracer_provider: trace.TracerProvider | None = None,
    meter_provider: metrics.MeterProvider | None = None,
) -> None:
    """
    Give a client spans and metrics, from its next call on.

    Each `call`, `submit`, `request` and `notification`, also those of `proxy` and
    `typed`, has a span and counts in the histogram ``rpc.client.call.duration``.  A
    `map` has one span for all its calls, which do not count.  A span is named after
    its method if that is in *methods*; for all others, whose number nobody knows, it
    is ``jsonrpc``, and the metrics put them together as ``_OTHER``.

    *trace* is how the server gets the trace context: ``"meta"`` puts it into
    ``params._meta`` where params are a dict, ``"member"`` makes ``traceparent`` and
    ``tracestate`` members of the request, which strict servers refuse.  None: it does
    not.

    Raises:
        TypeError: It is no client, or *methods* is a str.
        ValueError: *trace* is something else, or the client is instrumented already.
    """
    handle_of(client)
    if isinstance(methods, str):
        msg = f"methods must be several names, not the str {methods!r}"
        raise TypeError(msg)
    if trace not in {None, "meta", "member"}:
        msg = f'trace must be "meta", "member" or None, not {trace!r}'
        raise ValueError(msg)
    kind: Any = type(client)
    if issubclass(kind, Blocking | Awaited):
        raise ValueError("this client is instrumented already")  # noqa: TRY004
    changed: Any = client
    changed.telemetry_ = Telemetry(
        frozenset(methods), trace, tracer_provider, meter_provider
    )
    changed.__class__ = _instrumented(kind)


def uninstrument(
    client: jsonrpcc.Client | jsonrpcc.AsyncClient | jsonrpcc.anyio.Client,
) -> None:
    """Take that back; calls in flight still end their spans."""
    changed: Any = client
    if isinstance(client, Blocking | Awaited):
        changed.__class__ = type(client).__mro__[2]
