"""Runs the rivals, interleaved, each run in a process of its own."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench import services

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.plan import Rival, Workload

TIMEOUT = 120
WARMUP = 0.1
"""Of the calls, before them."""


@dataclass
class Result:
    """What one rival did in one workload."""

    workload: Workload
    rival: Rival
    runs: list[dict[str, Any]] = field(default_factory=list)
    skipped: str = ""
    """Why there are no runs."""

    def median(self, name: str) -> float | None:
        """The median over the runs; None if it was not measured."""
        values = [run[name] for run in self.runs if run.get(name) is not None]
        return statistics.median(values) if values else None

    def as_json(self) -> dict[str, Any]:
        """For the file with the raw data."""
        names = sorted({name for run in self.runs for name in run} - {"threads_cpu_us"})
        return {
            "workload": self.workload.name,
            "rival": self.rival.name,
            "skipped": self.skipped,
            "median": {name: self.median(name) for name in names},
            "runs": self.runs,
        }


def run_all(
    workloads: Sequence[Workload],
    rivals: Sequence[Rival],
    repeats: int,
    calls: Callable[[Workload, Rival], int],
    say: Callable[[str], None],
) -> list[Result]:
    """
    Every rival in every workload, *repeats* times.

    A workload's rivals take turns, so that whatever else the machine is doing
    hits them alike.
    """
    results = []
    for workload in workloads:
        group = [
            Result(workload, rival)
            for rival in rivals
            if workload.name in rival.workloads
        ]
        for repeat in range(repeats):
            for result in group:
                if result.skipped:
                    continue
                try:
                    run = _run(workload, result.rival, calls(workload, result.rival))
                except services.SkippedError as error:
                    result.skipped = str(error)
                    say(f"{workload.name:15} {result.rival.name:16} skipped: {error}")
                    continue
                result.runs.append(run)
                say(
                    f"{workload.name:15} {result.rival.name:16} {repeat + 1}/{repeats}"
                    f" {run['cpu_us']:9.3f} us CPU per call"
                    f" {run['calls_per_second']:10.0f}/s"
                )
        results += group
    return results


def _run(workload: Workload, rival: Rival, calls: int) -> dict[str, Any]:
    core = max(os.sched_getaffinity(0)) if workload.pinned else None
    figures = {
        "calls": calls,
        "warmup": max(int(calls * WARMUP), min(workload.window, calls)),
        "window": workload.window,
    }
    serve = services.redis_server if rival.redis else services.netstring_server
    with serve(core=core) as (port,):
        figures = {"port": port} | figures
        if rival.is_c:
            command = [str(services.build(f"rivals/{rival.module}"))]
            command += [str(figure) for figure in figures.values()]
        else:
            command = [sys.executable, "-m", "bench.child", rival.module, workload.run]
            command += [f"--{name}={figure}" for name, figure in figures.items()]
        with services.on_core(core):
            return _child(command)


def _child(command: list[str]) -> dict[str, Any]:
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
            cwd=services.HERE.parent,
        )
    except subprocess.TimeoutExpired:
        raise services.SkippedError(f"not done after {TIMEOUT} s") from None
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise services.SkippedError(lines[-1])
    report: dict[str, Any] = json.loads(done.stdout)
    return report
