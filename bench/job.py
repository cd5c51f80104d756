"""One measured run inside a child process: what to do, and the meter."""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST = "127.0.0.1"
USER = {"id": 1234}
"""The params of every get_user."""


CA = "JSONRPCC_BENCH_CA"
PATH = "JSONRPCC_BENCH_PATH"
"""
The environment of a child whose server speaks TLS or is at a Unix socket: the file of
the authority, or the path.
"""


def tls_context() -> ssl.SSLContext | None:
    """Python's TLS, if the server speaks it."""
    ca = os.environ.get(CA)
    return ssl.create_default_context(cafile=ca) if ca else None


def connect(port: int) -> socket.socket:
    """A blocking socket that is connected to the server."""
    connection = socket.create_connection((HOST, port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    context = tls_context()
    return (
        context.wrap_socket(connection, server_hostname=HOST) if context else connection
    )


class WrongResultError(Exception):
    """A result is not the one that was asked for."""


def check_user(result: Any) -> None:
    """Look at what a program would look at; raise if it is not ours."""
    if result["id"] != 1234 or result["name"] != "Petros":
        raise WrongResultError(result)


def fail(error: object) -> None:
    """End the run: no call of a benchmark may fail."""
    raise WrongResultError(error)


@dataclass
class Job:
    """What a rival is asked to do, and where it reports."""

    workload: str
    port: int
    calls: int
    warmup: int
    window: int
    latencies: list[float] = field(default_factory=list)
    """Seconds, some or all of the calls; a rival appends."""

    measured: dict[str, Any] = field(default_factory=dict)

    @property
    def server(self) -> str:
        """The server as jsonrpcc writes it."""
        path = os.environ.get(PATH)
        return f"unix:{path},1" if path else f"{HOST}:{self.port},1"

    @contextmanager
    def measure(self) -> Iterator[None]:
        """Measure the body: the wall, the process's CPU and each thread's."""
        self.latencies.clear()
        threads = _thread_times()
        wall = time.perf_counter()
        cpu = time.process_time()
        yield
        cpu = time.process_time() - cpu
        wall = time.perf_counter() - wall
        after = _thread_times()
        ours = {thread.native_id for thread in threading.enumerate()}
        spent = {tid: ns - threads.get(tid, 0) for tid, ns in after.items()}
        self.measured = {
            "seconds": wall,
            "cpu_us": cpu * 1e6 / self.calls,
            "python_cpu_us": sum(ns for tid, ns in spent.items() if tid in ours)
            / 1e3
            / self.calls,
            "threads_cpu_us": sorted(
                (ns / 1e3 / self.calls for ns in spent.values()), reverse=True
            ),
        }

    def report(self) -> dict[str, Any]:
        """Everything measured, as it is printed for the runner."""
        report = {
            "calls": self.calls,
            **self.measured,
            "calls_per_second": self.calls / self.measured["seconds"],
            "peak_rss_kib": peak_rss_kib(),
            "sampled": len(self.latencies),
        }
        return report | percentiles(self.latencies)


def percentiles(seconds: list[float]) -> dict[str, float | None]:
    """p50, p99 and p99.9 in microseconds; None where the sample is too small."""
    ordered = sorted(seconds)
    names = {"p50_us": 0.5, "p99_us": 0.99, "p999_us": 0.999}
    least = {"p50_us": 1, "p99_us": 100, "p999_us": 1000}
    return {
        name: ordered[int(len(ordered) * part)] * 1e6
        if len(ordered) >= least[name]
        else None
        for name, part in names.items()
    }


def peak_rss_kib() -> int:
    """
    The most memory this process has had.

    Not getrusage(): its maximum survives exec, so that a child would report
    the size of the runner.
    """
    return status_kib("VmHWM")


def status_kib(name: str) -> int:
    """A figure of /proc/self/status in KiB."""
    status = Path("/proc/self/status").read_text()
    return int(
        next(line for line in status.splitlines() if line.startswith(name)).split()[1]
    )


def _thread_times() -> dict[int, int]:
    """CPU time of each thread of this process in nanoseconds."""
    times = {}
    for task in Path("/proc/self/task").iterdir():
        try:
            times[int(task.name)] = int((task / "schedstat").read_text().split()[0])
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended
    return times
