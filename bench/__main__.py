"""The command line: run the benchmark, print and write the results."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bench import machine, plot, report
from bench.plan import RIVALS, WORKLOADS
from bench.runner import run_all

if TYPE_CHECKING:
    from bench.plan import Rival, Workload

QUICK = 0.1


def main() -> None:
    """Run it."""
    args = _arguments()
    if args.list:
        _list()
        return
    workloads = [
        one for one in WORKLOADS if one.name in (args.workload or _names(WORKLOADS))
    ]
    rivals = [one for one in RIVALS if one.name in (args.rival or _names(RIVALS))]
    repeats = args.repeats or (3 if args.quick else 7)

    def calls(workload: Workload, rival: Rival) -> int:
        wanted = args.calls or workload.calls * (QUICK if args.quick else 1)
        windows = round(wanted * rival.share / workload.window)
        return max(windows, 2) * workload.window

    results = run_all(workloads, rivals, repeats, calls, _say)
    facts = machine.describe()
    page = report.markdown(results, facts, repeats)
    if args.output:
        args.output.mkdir(parents=True, exist_ok=True)
        (args.output / "results.md").write_text(page)
        (args.output / "results.svg").write_text(plot.svg(results, facts))
        narrow = plot.svg(results, facts, plot.NARROW)
        (args.output / "results-narrow.svg").write_text(narrow)
        report.write_json(args.output / "results.json", results, facts, repeats)
    sys.stdout.write(page)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--workload",
        action="append",
        choices=_names(WORKLOADS),
        metavar="NAME",
        help="only this",
    )
    parser.add_argument(
        "--rival",
        action="append",
        choices=_names(RIVALS),
        metavar="NAME",
        help="only this",
    )
    parser.add_argument("--repeats", type=int, help="how often; 7, or 3 with --quick")
    parser.add_argument(
        "--calls", type=int, help="per run, instead of the workload's own number"
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the calls")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="write results.md, .svg and .json there",
    )
    parser.add_argument(
        "--list", action="store_true", help="say what there is, and end"
    )
    return parser.parse_args()


def _names(named: tuple[Workload, ...] | tuple[Rival, ...]) -> list[str]:
    return [one.name for one in named]


def _list() -> None:
    sys.stdout.write("Workloads:\n")
    for workload in WORKLOADS:
        sys.stdout.write(f"  {workload.name:16} {workload.title}\n")
    sys.stdout.write("Rivals:\n")
    for rival in RIVALS:
        sys.stdout.write(f"  {rival.name:16} {rival.title}\n")


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


if __name__ == "__main__":
    main()
