"""The results as Markdown and as JSON."""

from __future__ import annotations

import json
import statistics
from typing import TYPE_CHECKING

from bench.plan import GOALS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from bench.plan import Goal, Workload
    from bench.runner import Result

COLUMNS = (
    "client",
    "calls/s",
    "CPU µs",
    "least",
    "Python threads' CPU µs",
    "p50 µs",
    "p99 µs",
    "p99.9 µs",
    "peak MiB",
    "CPU, ours = 1",
)

FIGURES = {"cpu_us": "CPU µs", "p50_us": "p50 µs"}

METHOD = """\
Medians of {repeats} interleaved runs, each in a fresh process.
CPU µs is user and system time of the whole client process per call: all its
threads and libraries.  *Least* is the run that the machine disturbed least.
p50 to p99.9 are from submitting a call to its callback, so with 1000 in flight
they tell the rate more than the wait.  [bench/README.md](../README.md)
describes the clients and the method.
"""


def by_workload(results: Iterable[Result]) -> dict[Workload, list[Result]]:
    """Group them, in order."""
    groups: dict[Workload, list[Result]] = {}
    for result in results:
        groups.setdefault(result.workload, []).append(result)
    return groups


def our_result(group: Iterable[Result], figure: str = "cpu_us") -> Result | None:
    """Ours, with its default settings, if it ran."""
    return next(
        (result for result in group if result.rival.ours and result.median(figure)),
        None,
    )


def write_json(
    path: Path, results: Iterable[Result], machine: dict[str, str], repeats: int
) -> None:
    """All figures of all runs."""
    content = {
        "machine": machine,
        "repeats": repeats,
        "results": [result.as_json() for result in results],
    }
    path.write_text(json.dumps(content, indent=1) + "\n")


def markdown(results: Sequence[Result], machine: dict[str, str], repeats: int) -> str:
    """A page with a table per workload."""
    groups = by_workload(results)
    parts = ["# Benchmark\n", METHOD.format(repeats=repeats), _machine(machine)]
    if goals := _goals(groups):
        parts += ["## Against the goals\n", goals]
    for workload, group in groups.items():
        parts.append(f"## {workload.name}: {workload.title}\n")
        parts.append(_workload(group))
    return "\n".join(parts)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first are figures."""
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def number(value: float | None) -> str:
    """Three digits that count."""
    if value is None:
        return "–"
    if value >= 1000:
        return f"{value:,.0f}"
    for digits, limit in enumerate((100, 10)):
        if value >= limit:
            return f"{value:.{digits}f}"
    return f"{value:.2f}"


def _machine(machine: dict[str, str]) -> str:
    return table(("machine", ""), machine.items())


def _workload(group: Sequence[Result]) -> str:
    ours = our_result(group)
    rows = []
    ran = [result for result in group if result.runs]
    for result in sorted(ran, key=lambda result: result.median("cpu_us") or 0):
        cpu = result.median("cpu_us")
        ratio = cpu / (ours.median("cpu_us") or 1) if ours and cpu else None
        memory = result.median("peak_rss_kib")
        title = result.rival.title
        rows.append(
            (
                f"**{title}**" if result.rival.ours else title,
                number(result.median("calls_per_second")),
                number(cpu),
                number(min(run["cpu_us"] for run in result.runs)),
                "–" if result.rival.is_c else number(result.median("python_cpu_us")),
                *(
                    number(result.median(name))
                    for name in ("p50_us", "p99_us", "p999_us")
                ),
                number(memory / 1024 if memory else None),
                number(ratio),
            )
        )
    skipped = [
        f"- {result.rival.title}: {result.skipped}\n"
        for result in group
        if result.skipped
    ]
    return table(COLUMNS, rows) + ("\nSkipped:\n" + "".join(skipped) if skipped else "")


def _goals(groups: dict[Workload, list[Result]]) -> str:
    """
    Empty if nothing of it was measured.

    The ratio is the median of those of each round, as the two runs of a round
    are close in time and the machine's moods mostly hit them alike; beside it
    stands that of the two runs it disturbed least.
    """
    by_name = {workload.name: group for workload, group in groups.items()}
    rows = []
    for goal in GOALS:
        group = by_name.get(goal.workload, [])
        ours = our_result(group, goal.figure)
        rival = _rival(group, goal)
        if not ours or not rival:
            continue
        ratio = statistics.median(
            mine[goal.figure] / theirs[goal.figure]
            for mine, theirs in zip(ours.runs, rival.runs, strict=False)
        )
        least, least_of_theirs = (
            min(run[goal.figure] for run in result.runs) for result in (ours, rival)
        )
        reached = (ratio <= goal.first) + (ratio <= goal.goal)
        rows.append(
            (
                f"{goal.workload}, {FIGURES[goal.figure]}",
                number(ours.median(goal.figure)),
                f"{rival.rival.title}: {number(rival.median(goal.figure))}",
                f"{ratio:.2f}",
                f"{least / least_of_theirs:.2f}",
                f"{goal.first:.2f}",
                f"{goal.goal:.2f}",
                ("missed", "first bar", "goal")[reached],
            )
        )
    header = (
        "workload",
        "jsonrpcc",
        "rival",
        "ratio",
        "of least",
        "first bar",
        "goal",
        "reached",
    )
    return table(header, rows) if rows else ""


def _rival(group: Iterable[Result], goal: Goal) -> Result | None:
    rivals = [
        result
        for result in group
        if not result.rival.ours and result.median(goal.figure)
    ]
    if goal.rival == "best":
        in_python = [result for result in rivals if not result.rival.redis]
        return min(
            in_python, key=lambda result: result.median(goal.figure) or 0, default=None
        )
    return next((result for result in rivals if result.rival.name == goal.rival), None)
