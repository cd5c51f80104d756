"""
How the cost of a call grows: ``python -m bench.growth [--output DIR]``.

With the calls in flight, with the servers, with the size of a result; and what
calls in flight take of memory, and a client that does nothing of CPU.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench import machine, services
from bench.job import HOST
from bench.report import number, table

LARGEST = 16 * 1024 * 1024 - 1024
"""A result that, with its envelope, just fits the limit of 16 MiB."""

CURVES: dict[str, tuple[str, tuple[int, ...]]] = {
    "in-flight": ("calls in flight", (1, 10, 100, 1000, 10_000, 60_000)),
    "servers": ("servers, one call in flight", (1, 10, 100, 1000)),
    "servers-raw": ("servers, send and recv alone", (1, 10, 100, 1000)),
    "servers-many": ("servers, 1000 calls in flight", (1, 10, 100, 1000)),
    "servers-many-raw": ("servers, a bare epoll loop in C", (1, 10, 100, 1000)),
    "payload": (
        "bytes of a result",
        (100, 1000, 10_000, 100_000, 1_000_000, 4_000_000, LARGEST),
    ),
    "payload-many": (
        "bytes of a result, 32 MiB in flight",
        (100, 1000, 10_000, 100_000, 1_000_000),
    ),
    "memory": ("calls in flight", (1000, 10_000, 60_000)),
    "idle": ("servers up", (3, 0)),
}

COLUMNS: dict[str, dict[str, str]] = {
    "in-flight": {"cpu_us": "CPU µs per call", "p50_us": "p50 µs", "p99_us": "p99 µs"},
    "servers": {"cpu_us": "CPU µs per call", "p50_us": "p50 µs"},
    "servers-raw": {"cpu_us": "CPU µs per call", "p50_us": "p50 µs"},
    "servers-many": {
        "cpu_us": "CPU µs per call",
        "turns_per_call": "loop turns per call",
    },
    "servers-many-raw": {"cpu_us": "CPU µs per call"},
    "payload": {"cpu_us": "CPU µs per call", "ns_per_byte": "ns per byte"},
    "payload-many": {"cpu_us": "CPU µs per call", "ns_per_byte": "ns per byte"},
    "memory": {
        "bytes_per_call": "bytes per call",
        "python_bytes_per_call": "Python's part",
        "c_bytes_per_call": "C's part",
    },
    "idle": {
        "wakeups_per_second": "wake-ups per second",
        "cpu_percent": "CPU %",
        "threads": "threads",
    },
}


Curves = dict[str, dict[int, list[dict[str, Any]]]]


def main() -> None:
    """Measure all points, several times, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__)
    parser.add_argument("--curve", action="append", choices=CURVES, help="only this")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--idle", type=float, default=20, help="seconds to watch it")
    parser.add_argument("--output", type=Path, metavar="DIR")
    args = parser.parse_args()

    raw: Curves = {}
    for name in args.curve or CURVES:
        points = raw[name] = {value: [] for value in CURVES[name][1]}
        repeats = 1 if name == "idle" else args.repeats
        for value in [value for _ in range(repeats) for value in points]:
            figures = _idle(value, args.idle) if name == "idle" else _point(name, value)
            points[value].append(figures)
            first = next(iter(COLUMNS[name]))
            sys.stderr.write(f"{name:10} {value:10} {number(figures[first])}\n")
    page = _page(raw)
    if args.output:
        args.output.mkdir(parents=True, exist_ok=True)
        (args.output / "growth.md").write_text(page)
        content = {"machine": machine.describe(), "curves": raw}
        (args.output / "growth.json").write_text(json.dumps(content, indent=1) + "\n")
    sys.stdout.write(page)


def _goals(raw: Curves) -> list[tuple[str, float, float]]:
    """What is measured of the bars: what, how much, how much it may be."""

    def median(curve: str, value: int, column: str = "cpu_us") -> float:
        values: list[float] = [run[column] for run in raw[curve][value]]
        return statistics.median(values)

    goals = []
    if "in-flight" in raw:
        grown = median("in-flight", 60_000) / median("in-flight", 1000)
        goals.append(("60,000 calls in flight to 1,000: CPU of a call", grown, 1.5))
    for curve, what in {"servers": "", "servers-raw": ", send and recv alone"}.items():
        if curve in raw:
            grown = median(curve, 1000) / median(curve, 1)
            goals.append((f"1,000 servers to one{what}: CPU of a call", grown, 1.2))
    if "memory" in raw:
        most = max(median("memory", n, "c_bytes_per_call") for n in raw["memory"])
        goals.append(("bytes of C memory a small call in flight", most, 400))
    if "servers-many" in raw and "servers-many-raw" in raw:
        ratio = median("servers-many", 1000) / median("servers-many-raw", 1000)
        goals.append(("1,000 servers to a bare loop in C: CPU of a call", ratio, 1.2))
    for up in raw.get("idle", ()):
        state = f"idle, {up or 'no'} servers up"
        for column, bar in (("wakeups_per_second", 1), ("cpu_percent", 0.1)):
            name = COLUMNS["idle"][column]
            goals.append((f"{state}: {name}", median("idle", up, column), bar))
    return goals


def _page(raw: Curves) -> str:
    rows = [
        (what, f"{figure:.2f}", f"{bar:g}", "reached" if figure <= bar else "missed")
        for what, figure, bar in _goals(raw)
    ]
    parts = ["# How the cost grows\n"]
    if rows:
        parts += ["## Against the bars\n", table(("", "measured", "bar", ""), rows)]
    for name, points in raw.items():
        title, _ = CURVES[name]
        names = COLUMNS[name]
        parts.append(f"## {name}\n")
        lines: list[tuple[str, ...]] = [
            (
                f"{value:,}",
                *(
                    number(statistics.median(run[column] for run in runs))
                    if runs[0].get(column) is not None
                    else "–"
                    for column in names
                ),
            )
            for value, runs in points.items()
        ]
        parts.append(table((title, *names.values()), lines))
    return "\n".join(parts)


def _point(name: str, value: int) -> dict[str, Any]:
    many = name.startswith("servers")
    with services.netstring_server(value if many else 1) as ports:
        if name == "servers-many-raw":
            return _bare_loop(ports)
        done = subprocess.run(
            _command(name, value, ports),
            capture_output=True,
            text=True,
            check=False,
            cwd=services.HERE.parent,
        )
    if done.returncode != 0:
        raise RuntimeError(f"{name} {value}: {done.stderr.strip()[-2000:]}")
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def _bare_loop(ports: list[int]) -> dict[str, Any]:
    """Find what the kernel takes for so many connections, with 1000 calls in flight."""
    done = subprocess.run(
        [services.build("rivals/epoll.c"), str(ports[0]), "200000", "20000", "1000"],
        capture_output=True,
        text=True,
        check=True,
        env={"PORTS": " ".join(map(str, ports[1:]))},
    )
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def _command(name: str, value: int, ports: list[int]) -> list[str]:
    numbers = [str(one) for one in (value, *ports)]
    return [sys.executable, "-m", "bench.growth_point", name, *numbers]


def _idle(up: int, seconds: float) -> dict[str, Any]:
    """
    Watch a client that has nothing to do, from outside.

    With no server up it has three whose ports nobody listens on.
    """
    with ExitStack() as stack:
        ports = (
            stack.enter_context(services.netstring_server(up))
            if up
            else _closed_ports()
        )
        client = stack.enter_context(
            subprocess.Popen(
                _command("idle", up, ports),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=services.HERE.parent,
            )
        )
        assert client.stdout is not None
        client.stdout.readline()
        # What follows the connecting is not what we look for, nor are attempts that
        # come more often at first: their wait has grown to its bound by then.
        time.sleep(1 if up else 15)
        wakeups, cpu, threads = _activity(client.pid)
        time.sleep(seconds)  # this is the measurement
        later, cpu_later, _ = _activity(client.pid)
        client.communicate()
    return {
        "wakeups_per_second": (later - wakeups) / seconds,
        "cpu_percent": (cpu_later - cpu) / seconds * 100,
        "threads": threads,
    }


def _closed_ports() -> list[int]:
    with ExitStack() as stack:
        held = [stack.enter_context(socket.create_server((HOST, 0))) for _ in range(3)]
        return [one.getsockname()[1] for one in held]


def _activity(pid: int) -> tuple[int, float, int]:
    """Voluntary context switches, CPU seconds and number of all its threads."""
    wakeups, nanoseconds, threads = 0, 0, 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        status = (task / "status").read_text().splitlines()
        line = next(one for one in status if one.startswith("voluntary_ctxt_switches"))
        wakeups += int(line.split()[1])
        nanoseconds += int((task / "schedstat").read_text().split()[0])
        threads += 1
    return wakeups, nanoseconds / 1e9, threads


if __name__ == "__main__":
    main()
