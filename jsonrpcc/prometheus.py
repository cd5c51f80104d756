"""
Metrics for Prometheus; needs ``pip install jsonrpcc[prometheus]``.

A `Collector` reads a client whenever its registry is scraped.  In the multiprocess
mode of prometheus_client, which knows no such collectors, a `Publisher` adds what a
client has counted to ordinary metrics.  The metrics are the same.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import weakref
from typing import TYPE_CHECKING, Any

import prometheus_client
import prometheus_client.values
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.registry import REGISTRY, CollectorRegistry
from prometheus_client.registry import Collector as _Protocol

from jsonrpcc._base import handle_of
from jsonrpcc._client import at_end
from jsonrpcc._durations import milliseconds
from jsonrpcc._jsonrpcc import ffi, lib
from jsonrpcc._log import Log
from jsonrpcc._metrics import BOUNDS, DURATIONS, METRICS, Key, Metric, Numbers, Servers
from jsonrpcc._multiprocess import make_files, process_of
from jsonrpcc._snapshots import read_slots
from jsonrpcc._stats import read_methods, read_stats

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric as Family

    import jsonrpcc

__all__ = ["Collector", "Publisher"]

_BUILD_INFO = Metric(
    "jsonrpcc_build_info", "The version of jsonrpcc.", "fact", ("version",)
)
_KINDS = ("counter", "histogram", "gauge_livesum", "gauge_livemax")
_VERSION: str = ffi.string(lib.jsonrpcc_version()).decode()


class _Lock:
    """
    Held while metrics are written, and around fork().

    So that a child never inherits a lock of prometheus_client from a thread that does
    not exist there.  A fork in C bypasses this: if a thread was writing at that moment,
    nothing can be written in that child.
    """

    def __init__(self) -> None:
        self.can_write = True
        self._is_forking = False
        self._renew()

    def _renew(self) -> None:
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._depth = 0

    def before_fork(self) -> None:
        self.__enter__()
        self._is_forking = True

    def after_in_parent(self) -> None:
        self._is_forking = False
        self.__exit__()

    def after_in_child(self) -> None:
        if self._depth and not self._is_forking:
            self.can_write = False
        self._is_forking = False
        self._renew()

    def __enter__(self) -> None:
        if self._pid != os.getpid():
            self.after_in_child()
        self._lock.acquire()
        self._depth += 1

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        self._lock.release()


_lock = _Lock()


# ---- read when scraped -------------------------------------------------------------


class _Families(_Protocol):
    """The clients of a registry, as one collector: each metric has one family."""

    def __init__(self) -> None:
        self.collectors: list[Collector] = []

    def describe(self) -> Iterator[Family]:
        """Yield the names in use, which no other collector may use."""
        return self._families(Numbers())

    def collect(self) -> Iterator[Family]:
        numbers = Numbers()
        for collector in [*self.collectors]:
            client = collector.client()
            if client is None:
                collector.close()
                continue
            numbers.add(
                client.name or "",
                client.stats(),
                client.servers(),
                client.methods(),
                is_gone=False,
            )
        return self._families(numbers)

    @staticmethod
    def _families(numbers: Numbers) -> Iterator[Family]:
        families: dict[Metric, Any] = {}
        for metric in (_BUILD_INFO, *METRICS):
            cls = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
            families[metric] = cls(metric.name, metric.text, labels=metric.labels)
        families[_BUILD_INFO].add_metric([_VERSION], 1)
        for (metric, labels), value in numbers.values.items():
            families[metric].add_metric(labels, value)
        yield from families.values()
        histograms = {
            metric: HistogramMetricFamily(
                metric.name, metric.text, labels=metric.labels
            )
            for metric in DURATIONS
        }
        for (metric, labels), (counts, seconds) in numbers.durations.items():
            buckets, seen = [], 0
            for bound, count in zip(BOUNDS, counts, strict=True):
                seen += count
                buckets.append(("+Inf" if bound == math.inf else str(bound), seen))
            histograms[metric].add_metric(labels, buckets, seconds)
        yield from histograms.values()


_families: weakref.WeakKeyDictionary[CollectorRegistry, _Families] = (
    weakref.WeakKeyDictionary()
)


class Collector:
    """
    Shows a client in a registry, where it registers itself.

    It is read when the registry is scraped, and costs nothing in between.  Any
    number of clients may be shown in a registry; those with the same name, or none,
    are added up.  A client that is closed shows what it counted, and one that is
    garbage is not shown any more: this keeps no client.

    Any thread may use it.  Not for prometheus_client's multiprocess mode.
    """

    def __init__(
        self,
        client: jsonrpcc.Client | jsonrpcc.AsyncClient,
        *,
        registry: CollectorRegistry = REGISTRY,
    ) -> None:
        handle_of(client)  # or it is not a client
        self.client: weakref.ref[jsonrpcc.Client | jsonrpcc.AsyncClient] = weakref.ref(
            client
        )
        with _lock:
            shared = _families.get(registry)
            if shared is None:
                shared = _Families()
                registry.register(shared)
                _families[registry] = shared
            self._shared = shared
            shared.collectors.append(self)

    def close(self) -> None:
        """Stop showing the client.  May be called again."""
        with _lock:
            if self in self._shared.collectors:
                self._shared.collectors.remove(self)


# ---- added to metrics --------------------------------------------------------------


class _Histogram(prometheus_client.Histogram):
    """A histogram that takes many observations at once."""

    def add(self, counts: list[int], seconds: float) -> None:
        """Observe that many in each bucket, with their total time."""
        for bucket, count in zip(self._buckets, counts, strict=True):
            if count:
                bucket.inc(count)
        self._sum.inc(seconds)


class _Metrics:
    """The metrics of this process that publishers add to, created on demand."""

    def __init__(self) -> None:
        self._made: dict[Metric, Any] = {}
        self._children: dict[Key, Any] = {}  # labels() takes longer than all the rest
        self._process: Any = None

    def prepare(self) -> None:
        """Make the files of this process, if the multiprocess mode has any."""
        process = process_of(prometheus_client.values.ValueClass)
        if process is not None and process != self._process:
            make_files(process, _KINDS)
            self._process = process

    def child(self, metric: Metric, labels: tuple[str, ...]) -> Any:
        child = self._children.get((metric, labels))
        if child is None:
            if metric not in self._made:
                self._made[metric] = self._make(metric)
            child = self._children[metric, labels] = self._made[metric].labels(*labels)
        return child

    @staticmethod
    def _make(metric: Metric) -> Any:
        names = metric.name, metric.text, metric.labels
        if metric in DURATIONS:
            return _Histogram(*names, buckets=BOUNDS)
        if metric.kind == "counter":
            return prometheus_client.Counter(*names)
        if metric.kind == "gauge":
            return prometheus_client.Gauge(*names, multiprocess_mode="livesum")
        return prometheus_client.Gauge(*names, multiprocess_mode="livemax")


_metrics = _Metrics()
_publishers: list[Publisher] = []


class Publisher:
    """
    Adds what a client counts to ordinary metrics, in the default registry.

    So they work in prometheus_client's multiprocess mode, for servers that fork their
    workers, such as gunicorn.  A daemon thread adds the differences every *every*
    seconds, the last ones when the client is garbage, when this is closed, and when
    the process ends, unless by a signal or `os._exit`: then up to *every* seconds
    are lost, unless `publish` is called before.

    It may be created before the process forks: each child continues with a thread of
    its own, and counts from its first call.  It lives until one of these happens, even
    if no reference is kept, and it does not keep its client.

    Any thread may use it.

    Raises:
        TypeError, ValueError: *every* is not a positive number of seconds.
    """

    def __init__(
        self, client: jsonrpcc.Client | jsonrpcc.AsyncClient, *, every: float = 5.0
    ) -> None:
        milliseconds("every", every)
        self._handle = handle_of(client)
        self._client = weakref.ref(client)
        self._name = client.name or ""
        self._every = every
        self._log = Log()
        with _lock:
            self._begin()
            _publishers.append(self)

    def publish(self) -> None:
        """
        Add what is new now.

        Raises:
            OSError: The files of the multiprocess mode cannot be written.
        """
        with _lock:
            if self in _publishers:
                self._publish(is_last=False)

    def close(self) -> None:
        """
        Add what is new, take back the gauges, and end.  May be called again.

        Raises as `publish` does.
        """
        with _lock:
            if self in _publishers:
                _publishers.remove(self)
                self._stop.set()
                self._publish(is_last=True)
                self._handle = None

    # ---- with the lock held -----------------------------------------------------

    def _begin(self) -> None:
        """Begin in this process."""
        self._forget()
        self._stop = threading.Event()
        threading.Thread(
            target=self._run, args=[self._stop], name="jsonrpcc publisher", daemon=True
        ).start()

    def _forget(self) -> None:
        """Note that nothing of this process has been published."""
        self._pid = os.getpid()
        self._servers = Servers()
        self._told: dict[Key, float] = {}
        self._told_durations: dict[Key, tuple[list[int], float]] = {}

    def _publish(self, *, is_last: bool) -> None:
        client = self._client()
        if lib.jsonrpcc_client_is_foreign(self._handle) or not _lock.can_write:
            return  # a child that has not used it: reading it would connect
        if self._pid != os.getpid():
            self._forget()  # forked in C, unnoticed by Python
        numbers = Numbers()
        numbers.add(
            self._name,
            read_stats(self._handle),
            self._servers.total(read_slots(self._handle, gone=True)),
            read_methods(self._handle),
            is_gone=is_last or client is None or client.closed,
        )
        _metrics.prepare()
        _metrics.child(_BUILD_INFO, (_VERSION,)).set(1)
        for (metric, labels), value in numbers.facts():
            _metrics.child(metric, labels).set(value)
        # What fails is not noted, and is told the next time.
        for key, value, difference in numbers.differences(self._told):
            child = _metrics.child(*key)
            if difference:
                child.inc(difference)
            self._told[key] = value
        nothing = [0] * len(BOUNDS), 0.0
        for key, (counts, seconds) in numbers.durations.items():
            old_counts, old_seconds = self._told_durations.get(key, nothing)
            _metrics.child(*key).add(
                [new - old for new, old in zip(counts, old_counts, strict=True)],
                seconds - old_seconds,
            )
            self._told_durations[key] = counts, seconds

    # ---- the thread -----------------------------------------------------------

    def _run(self, stop: threading.Event) -> None:
        while not stop.wait(self._every):
            try:
                if self._client() is None:
                    self.close()
                else:
                    self.publish()
            except Exception as error:  # the disk's, or prometheus_client's
                kind = "publish"
                self._log.write(
                    logging.ERROR, kind, "metrics could not be published", error=error
                )


# ---- the end, and forks ------------------------------------------------------------


def _close_all() -> None:
    for publisher in [*_publishers]:
        publisher.close()


def _after_fork() -> None:
    _lock.after_in_child()
    for publisher in _publishers:
        publisher._begin()  # noqa: SLF001


at_end.append(_close_all)
os.register_at_fork(
    before=_lock.before_fork,
    after_in_parent=_lock.after_in_parent,
    after_in_child=_after_fork,
)
