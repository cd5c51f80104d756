"""What a client counts, as metrics: names, labels and numbers, for any library."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from jsonrpcc._stats import Latency

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jsonrpcc._records import ServerInfo
    from jsonrpcc._stats import MethodStats, Stats


@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """
    A metric; values of several clients and processes with the same labels add up.

    Attributes:
        name: In base units; Prometheus appends ``_total`` to a counter's.
        text: Its description, one sentence.
        kind: The gauges of a client that is gone are 0.  A fact never changes, and
            does not add up.
        labels: Their names.
    """

    name: str
    text: str
    kind: Literal["counter", "gauge", "fact"] = "counter"
    labels: tuple[str, ...] = ("client",)


OUTCOMES = (
    "ok", "remote_errors", "timeouts", "failures", "connections_lost",
    "invalid_responses", "cancelled", "closed", "out_of_memory",
)  # fmt: skip

CALLS = Metric(
    "jsonrpcc_calls",
    "Calls by outcome, notifications included.",
    labels=("client", "outcome"),
)
EVENTS = Metric(
    "jsonrpcc_events",
    "What happened to servers, by kind, as a listener hears it.",
    labels=("client", "kind"),
)
CLIENTS = Metric("jsonrpcc_clients", "Open clients.", "gauge")
DURATION = Metric(
    "jsonrpcc_call_duration_seconds", "From the call to its result or remote error."
)

_METHOD = ("client", "method")
METHOD_CALLS = Metric(
    "jsonrpcc_method_calls",
    "Calls that have ended, by method and outcome.",
    labels=(*_METHOD, "outcome"),
)
METHOD_DURATION = Metric(
    "jsonrpcc_method_duration_seconds",
    "From the call to its result or remote error, by method.",
    labels=_METHOD,
)
DURATIONS = (DURATION, METHOD_DURATION)

OF_CLIENT = {  # by the fields of Stats
    "refused_full": Metric(
        "jsonrpcc_refused", "Calls not accepted: a bound was reached."
    ),
    "resent": Metric("jsonrpcc_resent", "Idempotent calls sent once more."),
    "moved": Metric("jsonrpcc_moved", "Unsent calls moved to another server."),
    "unmatched": Metric("jsonrpcc_unmatched", "Responses that match no pending call."),
    "ignored": Metric("jsonrpcc_ignored", "Messages that are not responses."),
    "bad_frames": Metric(
        "jsonrpcc_bad_frames", "Connections ended by a broken or too large frame."
    ),
    "rejected": Metric(
        "jsonrpcc_rejected", "Errors with id null: a server could not read a request."
    ),
    "lookups": Metric("jsonrpcc_lookups", "Lookups of names of servers."),
    "lookups_failed": Metric(
        "jsonrpcc_lookups_failed", "Lookups of names that found nothing."
    ),
    "list_changes": Metric(
        "jsonrpcc_list_changes", "How often names stood for other servers."
    ),
    "hellos": Metric("jsonrpcc_hellos", "Requests of hellos sent, pings included."),
    "hellos_failed": Metric(
        "jsonrpcc_hellos_failed", "Connections not used because of their hello."
    ),
    "pings": Metric("jsonrpcc_pings", "Pings sent on idle connections."),
    "pings_failed": Metric(
        "jsonrpcc_pings_failed", "Connections replaced for want of a response to one."
    ),
    "events_dropped": Metric(
        "jsonrpcc_events_dropped", "Events lost because they were not taken in time."
    ),
    "in_flight": Metric(
        "jsonrpcc_in_flight", "Calls that have no outcome yet.", "gauge"
    ),
    "queued_bytes": Metric(
        "jsonrpcc_queued_bytes", "Bytes accepted but not sent.", "gauge"
    ),
    "kept_bytes": Metric("jsonrpcc_kept_bytes", "Bytes kept for resending.", "gauge"),
    "undelivered_bytes": Metric(
        "jsonrpcc_undelivered_bytes", "Bytes received but not delivered.", "gauge"
    ),
}

_SERVER = ("client", "server")
UP = Metric(
    "jsonrpcc_server_up",
    "Clients that are connected to it and do not suspect it.",
    "gauge",
    _SERVER,
)
WANTED = Metric(
    "jsonrpcc_server_wanted",
    "Clients that want to be connected to it.",
    "gauge",
    _SERVER,
)
OF_SERVER = {  # by the fields of ServerInfo
    "priority": Metric(
        "jsonrpcc_server_priority", "Larger ones are called first.", "fact", _SERVER
    ),
    "in_flight": Metric(
        "jsonrpcc_server_in_flight", "Calls sent but not answered.", "gauge", _SERVER
    ),
    "sent": Metric(
        "jsonrpcc_attempts", "Calls sent; resent ones count each time.", labels=_SERVER
    ),
    "responses": Metric(
        "jsonrpcc_server_responses", "Responses that matched a call.", labels=_SERVER
    ),
    "timeouts": Metric(
        "jsonrpcc_server_timeouts", "Calls that timed out there.", labels=_SERVER
    ),
    "connects": Metric(
        "jsonrpcc_server_connects", "Connections established.", labels=_SERVER
    ),
    "attempts_failed": Metric(
        "jsonrpcc_server_connects_failed", "Failed attempts to connect.", labels=_SERVER
    ),
    "connected": Metric(
        "jsonrpcc_server_connections", "Established connections.", "gauge", _SERVER
    ),
    "renewals": Metric(
        "jsonrpcc_server_renewals",
        "Connections that new ones have replaced.",
        labels=_SERVER,
    ),
    "losses": Metric(
        "jsonrpcc_server_losses", "Established connections that ended.", labels=_SERVER
    ),
    "bytes_sent": Metric("jsonrpcc_server_sent_bytes", "Bytes sent.", labels=_SERVER),
    "bytes_received": Metric(
        "jsonrpcc_server_received_bytes", "Bytes received.", labels=_SERVER
    ),
}

# Of TLS; left out where there is none.
OF_FILES = {  # by the fields of TlsFiles
    "expires": Metric(
        "jsonrpcc_certificate_expires_timestamp_seconds",
        "When the client's own certificate expires.",
        "fact",
    ),
    "reloads": Metric(
        "jsonrpcc_certificate_reloads", "Changed files of TLS that are in use."
    ),
    "refusals": Metric(
        "jsonrpcc_certificate_refusals", "Changed files of TLS that cannot be used."
    ),
}
EXPIRES = Metric(
    "jsonrpcc_server_certificate_expires_timestamp_seconds",
    "When the first of the server's certificates expires.",
    "fact",
    _SERVER,
)

METRICS = (
    CALLS, METHOD_CALLS, EVENTS, CLIENTS, *OF_CLIENT.values(), UP, WANTED,
    *OF_SERVER.values(), *OF_FILES.values(), EXPIRES,
)  # fmt: skip
"""All but DURATIONS, which are histograms."""

_COUNTED = [field for field, metric in OF_SERVER.items() if metric.kind == "counter"]


class Servers:
    """
    All that the servers of a client have counted, whoever has their slots by now.

    A server that was gone for a minute may lose its slot to another one.  When it comes
    back then, it counts from 0, and may have counted more than before by the time that
    somebody looks: only its slot tells.
    """

    def __init__(self) -> None:
        self._seen: dict[int, ServerInfo] = {}  # by slot
        self._before: dict[str, dict[str, int]] = {}  # in slots lost, by address

    def total(self, slots: list[tuple[int, ServerInfo]]) -> list[ServerInfo]:
        """Return the servers of all *slots*, with what they counted before."""
        for slot, server in slots:
            seen = self._seen.get(slot)
            if seen is not None and _is_another(seen, server):
                nothing = dict.fromkeys(_COUNTED, 0)
                before = self._before.setdefault(seen.address, nothing)
                for field in _COUNTED:
                    before[field] += getattr(seen, field)
            self._seen[slot] = server
        return [self._with_before(server) for _, server in slots]

    def _with_before(self, server: ServerInfo) -> ServerInfo:
        counts = self._before.get(server.address, {})
        return replace(
            server, **{name: getattr(server, name) + n for name, n in counts.items()}
        )


def _is_another(seen: ServerInfo, server: ServerInfo) -> bool:
    """Whether a slot has begun to count for another server, or for one anew."""
    return seen.address != server.address or any(
        getattr(server, field) < getattr(seen, field) for field in _COUNTED
    )


Key = tuple[Metric, tuple[str, ...]]  # and the values of its labels


class Numbers:
    """
    The numbers of some clients, added up if the labels are the same.

    Attributes:
        values: Of each metric and its labels.
        durations: The same of histograms: answers per bucket of BOUNDS, and their
            seconds.
    """

    def __init__(self) -> None:
        self.values: dict[Key, float] = {}
        self.durations: dict[Key, tuple[list[int], float]] = {}

    def add(
        self,
        client: str,
        stats: Stats,
        servers: list[ServerInfo],
        methods: dict[str, MethodStats],
        *,
        is_gone: bool,
    ) -> None:
        """Add a client's; if it is gone or closed, its gauges are 0."""
        is_open = not is_gone and all(each.state != "closed" for each in servers)
        self._add((CLIENTS, (client,)), 1, is_open=is_open)
        for outcome in OUTCOMES:
            self._add((CALLS, (client, outcome)), getattr(stats, outcome))
        for kind, count in stats.events.items():
            self._add((EVENTS, (client, kind)), count)
        for field, metric in OF_CLIENT.items():
            self._add((metric, (client,)), getattr(stats, field), is_open=is_open)
        for field, metric in OF_FILES.items():
            if (
                stats.tls is not None
                and (value := getattr(stats.tls, field)) is not None
            ):
                self._add((metric, (client,)), value)
        for server in servers:
            labels = client, server.address
            self._add((UP, labels), server.is_used, is_open=is_open)
            self._add((WANTED, labels), server.is_wanted, is_open=is_open)
            for field, metric in OF_SERVER.items():
                self._add((metric, labels), getattr(server, field), is_open=is_open)
            tls = None if server.state == "gone" else server.tls
            if tls is not None and tls.expires is not None:
                self._add((EXPIRES, labels), tls.expires)
        self._add_methods(client, methods)
        self._add_latency((DURATION, (client,)), stats.latency)

    def facts(self) -> Iterator[tuple[Key, float]]:
        """Yield what does not add up."""
        return (item for item in self.values.items() if item[0][0].kind == "fact")

    def differences(self, told: dict[Key, float]) -> Iterator[tuple[Key, float, float]]:
        """
        Yield each value, and how much it is more than what has been *told*.

        The caller notes that it was told.  The gauges of what is not there any more
        become 0, and counters never shrink.
        """
        for key in told.keys() | self.values.keys():
            kind = key[0].kind
            if kind != "fact":
                before = told.get(key, 0)
                value = self.values.get(key, 0 if kind == "gauge" else before)
                value = max(value, before) if kind == "counter" else value
                yield key, value, value - before

    def _add_methods(self, client: str, methods: dict[str, MethodStats]) -> None:
        for method, ended in methods.items():
            others = ended.calls - ended.ok - ended.remote_errors - ended.timeouts
            for outcome, count in (
                ("ok", ended.ok),
                ("remote_errors", ended.remote_errors),
                ("timeouts", ended.timeouts),
                ("other", others),
            ):
                self._add((METHOD_CALLS, (client, method, outcome)), count)
            self._add_latency((METHOD_DURATION, (client, method)), ended.latency)

    def _add_latency(self, key: Key, latency: Latency) -> None:
        counts, seconds = self.durations.get(key, ([0] * len(BOUNDS), 0.0))
        added = [a + b for a, b in zip(counts, _coarse(latency), strict=True)]
        self.durations[key] = added, seconds + latency.sum

    def _add(self, key: Key, value: float, *, is_open: bool = True) -> None:
        kind = key[0].kind
        if kind == "fact":
            self.values[key] = value
            return
        if kind == "gauge" and not is_open:
            value = 0
        self.values[key] = self.values.get(key, 0) + value


# ---- the histogram -----------------------------------------------------------------

# One bucket an octave, from 64 us to 67 s: four times fewer than the client has.
_FIRST, _LAST, _STEP = 19, 99, 4
BOUNDS = (*Latency.bounds()[_FIRST : _LAST + 1 : _STEP], float("inf"))
"""Upper bounds of the buckets, in seconds."""


def _coarse(latency: Latency) -> list[int]:
    """Return the answers in each of the buckets of BOUNDS."""
    ends = [0, *range(_FIRST + 1, _LAST + 2, _STEP), len(latency.counts)]
    return [sum(latency.counts[low:high]) for low, high in pairwise(ends)]
