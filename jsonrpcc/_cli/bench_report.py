"""What ``jsonrpcc bench`` has measured: as a table, as JSON, and in files."""

from __future__ import annotations

import collections
import importlib
import io
from pathlib import Path
from typing import Any

from jsonrpcc._cli.bench_plan import MICROSECONDS, Outcome, Plan
from jsonrpcc._cli.bench_worker import new_histogram
from jsonrpcc._cli.output import columns
from jsonrpcc._cli.probe import milliseconds

PERCENTILES = (50, 75, 90, 95, 99, 99.9, 99.99)
MOST_LAG = 0.001  # seconds at p99, from which on the generator is what was measured
MOST_CPU = 0.9


class Report:
    """The outcomes of all processes, added up."""

    def __init__(self, plan: Plan, outcomes: list[Outcome]) -> None:
        self.plan = plan
        self.latency, self.lag = new_histogram(), new_histogram()
        self.errors: collections.Counter[str] = collections.Counter()
        self.servers: dict[str, collections.Counter[str]] = {}
        for outcome in outcomes:
            self.latency.decode_and_add(outcome.latency.encode())
            self.lag.decode_and_add(outcome.lag.encode())
            self.errors.update(outcome.errors)
            for server, counts in outcome.servers.items():
                self.servers.setdefault(server, collections.Counter()).update(counts)
        self.started = sum(outcome.started for outcome in outcomes)
        self.answered = sum(outcome.answered for outcome in outcomes)
        self.seconds = max(outcome.seconds for outcome in outcomes)
        self.cpu = max(outcome.cpu for outcome in outcomes)

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.answered / self.seconds

    def percentile(self, percent: float) -> float:
        """Return seconds that *percent* of the calls did not exceed."""
        return float(self.latency.get_value_at_percentile(percent)) / MICROSECONDS

    @property
    def late(self) -> float:
        """Seconds by which calls began late at p99, through this program's fault."""
        if not self.plan.is_open:
            return 0.0
        return float(self.lag.get_value_at_percentile(99)) / MICROSECONDS

    def limits(self) -> list[str]:
        """Return why this measures the generator instead of the servers."""
        why = []
        if self.late > MOST_LAG:
            why.append(f"calls began up to {milliseconds(self.late)} late at p99")
        if self.cpu > MOST_CPU:
            why.append(f"a process needed {self.cpu:.0%} of a CPU")
        return why

    def members(self) -> dict[str, Any]:
        """Return everything for programs, in seconds."""
        latency = {f"p{percent:g}": self.percentile(percent) for percent in PERCENTILES}
        latency["max"] = self.latency.get_max_value() / MICROSECONDS
        latency["mean"] = self.latency.get_mean_value() / MICROSECONDS
        return {
            "wanted": self.plan.rate or None,
            "rate": self.rate,
            "seconds": self.seconds,
            "calls": self.started,
            "answered": self.answered,
            "latency": latency,
            "errors": dict(self.errors),
            "servers": {name: dict(counts) for name, counts in self.servers.items()},
            "lag_p99": self.late,
            "cpu": self.cpu,
            "limited_by_generator": self.limits(),
        }

    def lines(self) -> list[str]:
        """Return everything for people."""
        plan = self.plan
        if plan.is_open:
            wanted = f"{plan.rate:g}/s wanted ({plan.arrivals}), {self.rate:.1f}/s done"
        else:
            all_in_flight = plan.in_flight * plan.processes
            wanted = f"{self.rate:.1f}/s with {all_in_flight} calls in flight"
        seconds = f"{self.seconds:.1f} s"
        lines = [f"{wanted}, {self.started} calls in {seconds}", ""]
        named = {f"p{percent:g}": self.percentile(percent) for percent in PERCENTILES}
        named["max"] = self.latency.get_max_value() / MICROSECONDS
        lines += columns([("LATENCY", ""), *self._durations(named)])
        errors = [(kind, str(count)) for kind, count in self.errors.most_common()]
        lines += ["", *columns([("ERRORS", ""), *(errors or [("none", "")])])]
        rows = [
            (name, *(str(counts[each]) for each in ("answers", "timeouts")))
            for name, counts in self.servers.items()
        ]
        lines += ["", *columns([("SERVER", "ANSWERS", "TIMEOUTS"), *rows])]
        if why := self.limits():
            said = ", and ".join(why)
            lines += ["", f"This program was the limit, not the servers: {said}."]
            lines += ["Use more --processes, or a lower --rate."]
        return lines

    @staticmethod
    def _durations(named: dict[str, float]) -> list[tuple[str, str]]:
        return [(name, f"{milliseconds(each):>10}") for name, each in named.items()]

    def write_hdr(self, path: str) -> None:
        """Write the distribution in ms, as the plotter of HdrHistogram reads it."""
        text = io.BytesIO()
        self.latency.output_percentile_distribution(text, MICROSECONDS / 1000)
        Path(path).write_bytes(text.getvalue())

    def write_svg(self, path: str) -> None:
        """Draw the distribution, by matplotlib."""
        figures = importlib.import_module("matplotlib.figure")
        figure = figures.Figure(figsize=(8, 4.5), layout="constrained")
        axes = figure.subplots()
        shares = [1 - 10 ** (-i / 20) for i in range(101)]  # to p99.999
        axes.plot(
            [1 / (1 - share) for share in shares],
            [self.percentile(100 * share) * 1000 for share in shares],
        )
        ticks = {"p50": 2, "p90": 10, "p99": 100, "p99.9": 1000, "p99.99": 10_000}
        axes.set_xscale("log")
        axes.set_xticks(list(ticks.values()), labels=list(ticks), minor=False)
        axes.minorticks_off()
        axes.set_ylim(bottom=0)
        axes.set_xlabel("calls")
        axes.set_ylabel("latency, ms")
        axes.set_title(self.lines()[0])
        axes.grid(alpha=0.4)
        figure.savefig(path, format="svg")
