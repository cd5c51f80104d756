"""
What Unix sockets and TLS cost: ``python -m bench.transports [--output DIR]``.

Blocking calls, callbacks with 1000 calls in flight, and results of 64 KiB: by TCP, by
a Unix socket, and by TLS, where Python's own ssl is the rival.  All of them take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench import machine, services
from bench.job import CA, PATH
from bench.report import number, table
from jsonrpcc.testing import ServerTls

# Calls, and how many are in flight.
WORKLOADS = {"sync": (10_000, 1), "callback": (100_000, 1000), "blob64k": (4_000, 16)}
TITLES = {
    "sync": "blocking calls, one after the other",
    "callback": "a callback per result, 1000 in flight",
    "blob64k": "results of 64 KiB, 16 in flight",
}

# By name: module, transport, and the functions that are called otherwise.
CLIENTS: dict[str, tuple[str, str, dict[str, str]]] = {
    "jsonrpcc, TCP": ("ours", "tcp", {}),
    "jsonrpcc, Unix socket": ("ours", "unix", {}),
    "jsonrpcc, TLS": ("ours_tls", "tls", {}),
    "blocking sockets + orjson, TCP": ("sockets", "tcp", {}),
    "blocking sockets + orjson, Python's ssl": ("sockets", "tls", {}),
    "asyncio.Protocol + orjson, Python's ssl": (
        "protocol_asyncio",
        "tls",
        {"sync": "await1"},
    ),
}


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m bench.transports")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--share", type=float, default=1.0, help="of the calls")
    parser.add_argument("--output", type=Path, metavar="DIR")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runs = _run_all(args.repeats, args.share, Path(folder))
    facts = machine.describe()
    page = _page(runs, facts, args.repeats)
    if args.output:
        args.output.mkdir(parents=True, exist_ok=True)
        (args.output / "transports.md").write_text(page)
        text = json.dumps({"machine": facts, "runs": runs}, indent=1)
        (args.output / "transports.json").write_text(text + "\n")
    sys.stdout.write(page)


def _run_all(
    repeats: int, share: float, folder: Path
) -> dict[str, dict[str, list[dict[str, Any]]]]:
    certificates = ServerTls()
    runs: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for workload, (calls, window) in WORKLOADS.items():
        of_clients = runs[workload] = {name: [] for name in CLIENTS}
        wanted = max(round(calls * share / window), 2) * window
        for _ in range(repeats):
            for name, (module, transport, functions) in CLIENTS.items():
                function = functions.get(workload, workload)
                run = _run(
                    f"bench.rivals.{module}".rpartition(".")[2],
                    function,
                    transport,
                    (wanted, window),
                    certificates,
                    str(folder / "socket"),
                )
                of_clients[name].append(run)
                sys.stderr.write(f"{workload:9} {name:40} {run['cpu_us']:9.3f} us\n")
    return runs


def _run(
    module: str,
    function: str,
    transport: str,
    size: tuple[int, int],
    certificates: ServerTls,
    path: str,
) -> dict[str, Any]:
    calls, window = size
    env = {
        "tcp": {},
        "unix": {PATH: path},
        "tls": {CA: str(certificates.ca)},
    }[transport]
    Path(path).unlink(missing_ok=True)
    with services.netstring_server(
        path=path if transport == "unix" else "",
        tls=str(certificates.server) if transport == "tls" else "",
    ) as (port,):
        command = [sys.executable, "-m", "bench.child", module, function]
        command += [f"--port={port}", f"--calls={calls}", f"--window={window}"]
        command += [f"--warmup={max(calls // 10, window)}"]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            cwd=services.HERE.parent,
            env=os.environ | env,
        )
    if done.returncode != 0:
        raise RuntimeError(f"{module} {function}: {done.stderr.strip()[-2000:]}")
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def _page(
    runs: dict[str, dict[str, list[dict[str, Any]]]],
    facts: dict[str, str],
    repeats: int,
) -> str:
    lines = [
        "# Unix sockets and TLS",
        "",
        f"Medians of {repeats} runs, interleaved. {facts['cpu']}, {facts['python']}.",
        "The server is written in C.",
        "",
    ]
    for workload, of_clients in runs.items():
        rows = [
            [name, *(_median(each, figure) for figure in ("cpu_us", "p50_us"))]
            for name, each in of_clients.items()
        ]
        columns = ["client", "CPU µs per call", "p50 µs"]
        lines += [f"## {TITLES[workload]}", "", table(columns, rows)]
    return "\n".join(lines)


def _median(runs: list[dict[str, Any]], figure: str) -> str:
    return number(statistics.median(run[figure] for run in runs))


if __name__ == "__main__":
    main()
