"""The options of a client: checks them, and converts them to the C struct."""

from __future__ import annotations

import contextlib
import operator
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jsonrpcc._durations import milliseconds
from jsonrpcc._errors import refused
from jsonrpcc._hello import errors_to_c
from jsonrpcc._hints import no_servers, servers_fault
from jsonrpcc._jsonrpcc import ffi, lib
from jsonrpcc._tls import Tls, checked, to_c

if TYPE_CHECKING:
    from typing import Literal, TypedDict

    from jsonrpcc._hello import Calls, Hello

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
        max_servers: int
        leave_timeout: float
        dns_refresh: float
        dns_min: float
        min_srv_ttl: float
        max_methods: int
        connections: int
        max_connection_age: float
        subset: int
        slow_call: float | None
        name: str | None
        tls: Tls | bool | None
        hello: Hello
        hello_errors: Literal["accept", "refuse"] | None
        ping_interval: float | None


MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """
    The options that Client and AsyncClient share; all bounds are inclusive.

    Durations are in seconds, at most 24 days, and rounded up to the millisecond.

    Attributes:
        timeout: Seconds that a call may take if it has no timeout of its own, from
            the call to the outcome, all waiting included.
        connect_timeout: Seconds for each address of a server; a server in doubt has
            as long at least to answer a trial call.
        max_conn_attempts: Attempts to reconnect in a row before a server is
            abandoned; -1: no limit, 0: never reconnect.  A response resets it.
        reconnect_delay: Bound in seconds of the random wait before the first
            attempt to reconnect; it doubles with each failure in a row.
        reconnect_delay_max: Maximum of that bound, in seconds; also the time
            between two trial calls of a suspect or proving server.
        max_response: Bytes of the largest response.  A larger one ends its
            connection, and calls sent on it with `ConnectionLost`.
        max_request: Bytes of the largest request frame.  A larger one raises a
            ValueError at the call.
        max_depth: Nesting of a response, including its own braces.  A deeper one
            ends its call with `InvalidResponse`.
        max_in_flight: Calls accepted and not delivered yet.  At the bound, callers
            wait or get `QueueFull`.
        max_queued_bytes: Bytes accepted and not sent yet, or kept for resending an
            idempotent call; at the bound as for *max_in_flight*.
        max_undelivered_bytes: Bytes received and not delivered yet; above it, the
            client stops reading from its servers, and deadlines continue to run.
        max_servers: Servers that the list may have at a time.
        leave_timeout: Seconds that calls have which were sent to a server before it
            left the list, see `Client.set_servers`; 0.1 to 3600.  Then they end with
            `ConnectionLost`.
        dns_refresh: Seconds after which names such as ``dns:host:port`` are looked
            up again, give or take a tenth; 1 to 86400, at least *dns_min*.
        dns_min: Seconds between two lookups of a name at least, when its servers are
            lost; 1 to 86400.
        min_srv_ttl: Seconds that SRV records hold at least, whatever their TTL; 1 to
            86400.
        max_methods: Methods counted one by one, see `Client.methods`; 0: none.  The
            calls of methods beyond that are counted together.
        connections: Connections to each server, which share its calls; 1 to 16.
        max_connection_age: Seconds after which a connection is replaced, give or
            take a tenth; at least 1, 0: never.  No call is lost, since another one
            is opened first, and has to bring a response.
        subset: Servers of each priority to which this client connects, 0 to 4096; 0:
            all.  Each process chooses others, at random.  Servers of them that are
            down or suspect for *connect_timeout* are replaced until they are back.
        slow_call: Seconds from which on a call is logged as slow, by the logger
            ``jsonrpcc.slow``; None: none is.
        name: What the client is called in log lines, its repr and metrics: up to
            64 printable characters.  Metrics add up clients of the same name.
        tls: True, or a `Tls`: all connections are encrypted, and servers prove who
            they are.  Unix sockets never use TLS.
        hello: ``(method, params)`` pairs, at most 8 of at most 64 KiB each: requests
            that each new connection sends, one after the other, before it gets
            calls.  All have to be answered within *connect_timeout*, connecting
            included.  See `Client.set_hello`.
        hello_errors: What an error in response to one of them means: ``"accept"``,
            the server is alive; ``"refuse"``, the connection cannot be used.  None:
            ``"accept"`` for methods whose names begin with ``rpc.``, and
            ``"refuse"`` for others.
        ping_interval: Seconds of silence on an idle connection after which the first
            request of its hello is sent again, give or take a tenth; 1 or more.  If
            there is no response within *connect_timeout*, the connection is
            replaced.  None: never.
    """

    timeout: float = 5.0
    connect_timeout: float = 1.0
    max_conn_attempts: int = -1
    reconnect_delay: float = 1.0
    reconnect_delay_max: float = 10.0
    max_response: int = 16 * MIB
    max_request: int = 16 * MIB
    max_depth: int = 512
    max_in_flight: int = 65536
    max_queued_bytes: int = 64 * MIB
    max_undelivered_bytes: int = 64 * MIB
    max_servers: int = 1024
    leave_timeout: float = 30.0
    dns_refresh: float = 30.0
    dns_min: float = 1.0
    min_srv_ttl: float = 5.0
    max_methods: int = 256
    connections: int = 1
    max_connection_age: float = 0.0
    subset: int = 0
    slow_call: float | None = None
    name: str | None = None
    tls: Tls | bool | None = None
    hello: Hello = field(default=(), repr=False)  # its params may be secret
    hello_errors: Literal["accept", "refuse"] | None = None
    ping_interval: float | None = None


DEFAULTS = Options()

MAX_NAME = 64

# (low, high) of the options that are integers, as the C core has them.
_INT32 = 2**31 - 1
_INTEGERS = {
    "max_conn_attempts": (-1, _INT32),
    "max_response": (64, _INT32),
    "max_request": (64, _INT32),
    "max_depth": (1, 4096),
    "max_in_flight": (1, 2**24),
    "max_queued_bytes": (1, 2**63 - 1),
    "max_undelivered_bytes": (1, 2**63 - 1),
    "max_servers": (1, 4096),
    "max_methods": (0, 4096),
    "connections": (1, 16),
    "subset": (0, 4096),
}
_DURATIONS = (
    "timeout", "connect_timeout", "reconnect_delay", "reconnect_delay_max",
    "leave_timeout", "dns_refresh", "dns_min", "min_srv_ttl",
)  # fmt: skip
_SHORTEST_AGE_MS = 1000
# (low, high) in milliseconds of those that are not just above 0.
_RANGES = {
    "leave_timeout": (100, 3_600_000),
    "dns_refresh": (1000, 86_400_000),
    "dns_min": (1000, 86_400_000),
    "min_srv_ttl": (1000, 86_400_000),
}
_LEAST_PING = 1000  # milliseconds


def _age_ms(age: Any) -> int:
    """
    Return *max_connection_age* in milliseconds; 0: connections are not replaced.

    Raises:
        TypeError, ValueError: It is no number, or too small or too large.
    """
    if age == 0 and not isinstance(age, bool):
        return 0
    ms = milliseconds("max_connection_age", age)
    if ms < _SHORTEST_AGE_MS:
        msg = f"max_connection_age must be 0 or at least 1, not {age!r}"
        raise ValueError(msg)
    return ms


def _integer(name: str, value: Any) -> int:
    low, high = _INTEGERS[name]
    if isinstance(value, bool) or not isinstance(value, int):
        msg = f"{name} must be an integer, not {value!r}"
        raise TypeError(msg)
    if not low <= value <= high:
        msg = f"{name} must be from {low} to {high}, not {value}"
        raise ValueError(msg)
    return value


def _check_own_name(name: Any) -> None:
    """
    Check the name of a client, which goes into log lines unchanged.

    Raises:
        TypeError, ValueError: It is not a str, empty, too long or not printable.
    """
    if name is None:
        return
    if not isinstance(name, str):
        msg = f"name must be a str, not {name!r}"
        raise TypeError(msg)
    if not (0 < len(name) <= MAX_NAME and name.isprintable()):
        msg = f"name must be 1 to {MAX_NAME} printable characters, not {name[:99]!r}"
        raise ValueError(msg)


def slow_us(options: Options) -> int:
    """
    Return the microseconds from which on a call is slow; 0: none is.

    Raises:
        TypeError, ValueError: It is no duration.
    """
    if options.slow_call is None:
        return 0
    milliseconds("slow_call", options.slow_call)
    return max(1, int(options.slow_call * 1_000_000))


_PATHS = ("unix:", "unix-abstract:", "file:")


def _check_names(servers: str) -> None:
    """
    Check what Python can check better than the core: it knows IDNA.

    Raises:
        ValueError: A name is not ASCII.
    """
    for match in re.finditer(r"[^ \t\r\n]+", servers):
        if match[0].isascii() or match[0].startswith(_PATHS):
            continue
        host, at = match[0].partition(":")[0], match.start()
        msg = f"servers: a host name must be ASCII, at offset {at}: {host!r}"
        with contextlib.suppress(UnicodeError):
            msg += f"; as IDNA has it: {host.encode('idna').decode()!r}"
        raise ValueError(msg)


def _servers_text(servers: Any) -> Any:
    """
    Return a servers string as the C core takes it.

    Raises:
        TypeError, ValueError: It is no str, or not in UTF-8; or a name is not ASCII.
    """
    if not isinstance(servers, str):
        raise TypeError(no_servers(servers))
    if "\0" in servers:
        msg = f"servers: a NUL at offset {servers.index(chr(0))}"
        raise ValueError(msg)
    try:
        text = ffi.new("char[]", servers.encode())
    except UnicodeEncodeError as error:
        msg = f"servers: invalid UTF-8 at offset {error.start}"
        raise ValueError(msg) from error
    _check_names(servers)
    return text


def _check_status(status: int, servers: str, why: Any) -> None:
    if status == lib.JSONRPCC_EINVAL:
        text = ffi.string(why).decode()
        if text.startswith("servers"):
            text = servers_fault(servers) or text
        raise ValueError(text)
    if status != lib.JSONRPCC_OK:
        raise refused(max(0, status - lib.JSONRPCC_SYSTEM))


def set_servers(client: Any, servers: Any) -> bool:
    """
    Make *servers* the list of a C client; whether that is open.

    Raises:
        TypeError, ValueError: *servers* is wrong; the message says where.
        MemoryError: The system refused memory.
    """
    text = _servers_text(servers)
    why = ffi.new("char[]", 256)
    status = lib.jsonrpcc_servers_set(client, text, why, len(why))
    if status == lib.JSONRPCC_ECLOSED:
        return False
    _check_status(status, servers, why)
    return True


def _ping_ms(options: Options, hello: Calls) -> int:
    """
    Return the option ping_interval as the core has it.

    Raises:
        TypeError, ValueError: It is wrong, or there is no hello to repeat.
    """
    if options.ping_interval is None:
        return 0
    ms = milliseconds("ping_interval", options.ping_interval)
    if ms < _LEAST_PING:
        msg = f"ping_interval must be 1 or more, not {options.ping_interval!r}"
        raise ValueError(msg)
    if hello.count == 0:
        msg = "ping_interval needs a hello, whose first request is the ping"
        raise ValueError(msg)
    return ms


def open_client(servers: Any, options: Options, hello: Calls, *, shares: bool) -> Any:
    """
    Return a new C client; it is freed with the last reference to it.

    *hello* is that of the options, read.  *shares*: its event thread is one that such
    clients share.

    Raises:
        TypeError, ValueError: An option is wrong; the message says which, and
            for the servers string also where.  A file of *tls* cannot be used.
        MemoryError, OSError: The system refused memory, a descriptor or a thread.
    """
    text = _servers_text(servers)
    _check_own_name(options.name)
    slow_us(options)
    ms = {name: milliseconds(name, getattr(options, name)) for name in _DURATIONS}
    numbers = {name: _integer(name, getattr(options, name)) for name in _INTEGERS}
    if ms["reconnect_delay_max"] < ms["reconnect_delay"]:
        msg = "reconnect_delay_max must not be below reconnect_delay"
        raise ValueError(msg)
    for name, (low, high) in _RANGES.items():
        if not low <= ms[name] <= high:
            msg = f"{name} must be from {low / 1000:g} to {high // 1000}"
            msg += f", not {getattr(options, name)!r}"
            raise ValueError(msg)
    if ms["dns_refresh"] < ms["dns_min"]:
        msg = "dns_refresh must not be below dns_min"
        raise ValueError(msg)
    attempts = numbers.pop("max_conn_attempts")
    numbers["max_methods"] = numbers["max_methods"] or -1  # in C, 0 is the default
    tls = to_c(checked(options.tls))
    struct = ffi.new(
        "jsonrpcc_options *",
        {
            "size": ffi.sizeof("jsonrpcc_options"),
            "servers": text,
            "timeout_ms": ms["timeout"],
            "connect_timeout_ms": ms["connect_timeout"],
            "reconnect_ms": ms["reconnect_delay"],
            "reconnect_max_ms": ms["reconnect_delay_max"],
            "leave_timeout_ms": ms["leave_timeout"],
            "dns_refresh_ms": ms["dns_refresh"],
            "dns_min_ms": ms["dns_min"],
            "min_srv_ttl_ms": ms["min_srv_ttl"],
            "max_connection_age_ms": _age_ms(options.max_connection_age),
            # In C, zero stands for the default, which is "forever".
            "reconnect_attempts": {-1: 0, 0: -1}.get(attempts, attempts),
            **numbers,
            "tls": tls[0],
            "hello": hello.calls,
            "hello_count": hello.count,
            "hello_errors": errors_to_c(options.hello_errors),
            "ping_interval_ms": _ping_ms(options, hello),
            "flags": lib.JSONRPCC_SHARED_THREAD if shares else 0,
        },
    )
    result = ffi.new("jsonrpcc_client **")
    why = ffi.new("char[]", 256)
    # Pure C: an exception from a signal handler, which is likely here as it takes
    # longest, cannot leave a client without an owner.
    statuses = map(lib.jsonrpcc_client_new, (struct,), (result,), (why,), (len(why),))
    made = map(operator.getitem, (result,), (0,))
    clients = map(ffi.gc, made, (lib.jsonrpcc_client_free,))
    ((status, client),) = zip(statuses, clients, strict=False)
    _check_status(status, servers, why)
    return client
