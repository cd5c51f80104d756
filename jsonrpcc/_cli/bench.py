"""The command ``jsonrpcc bench``: how quickly servers answer at a given rate."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import importlib
import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Iterator

import msgspec

from jsonrpcc._cli.bench_plan import Outcome, Plan, read_shares
from jsonrpcc._cli.bench_report import Report
from jsonrpcc._cli.connecting import read_tls, settle_servers
from jsonrpcc._cli.exits import FAILURE, OK, TIMEOUT
from jsonrpcc._cli.output import complain, tell, visible, visible_json, write

RATE, IN_FLIGHT = 1000.0, 10_000  # of an open loop
LIMITED = TIMEOUT  # the exit code if this program was the limit
NEAR = 1.1  # how near --find comes to the highest rate
ENOUGH = 0.95  # of the calls have to be answered for a rate to be reached


def check_extra(args: argparse.Namespace) -> None:
    """
    Say at once what is not installed, not when all is measured.

    Raises:
        ValueError: Something is missing.
    """
    needed = ["hdrh", *(["matplotlib"] if args.svg else [])]
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        names = " and ".join("hdrhistogram" if n == "hdrh" else n for n in missing)
        raise ValueError(f"bench needs {names}: pip install 'jsonrpcc[bench]'")


def plan_of(args: argparse.Namespace) -> Plan:
    """
    Return what is to be done.

    Raises:
        ValueError: The options do not go together.
    """
    if args.in_flight is not None and (args.rate is not None or args.find):
        raise ValueError("--in-flight has no --rate and nothing to --find")
    if (args.find or args.slo is not None) and not (args.find and args.slo):
        raise ValueError("--find needs --slo, and the other way round")
    tls = read_tls(args)
    return Plan(
        servers=args.servers,
        shares=read_shares(args.method, args.params, args.methods),
        tls=None if tls is None else _given(tls),
        rate=0.0 if args.in_flight else args.rate or RATE,
        arrivals=args.arrivals,
        duration=args.duration,
        warmup=args.warmup,
        in_flight=args.in_flight or args.max_in_flight,
        timeout=args.timeout,
        seed=args.seed,
        processes=args.processes,
    )


def _given(tls: object) -> dict[str, str]:
    names = ("ca", "cert", "key", "server_name")
    values = {name: getattr(tls, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


@contextlib.contextmanager
def workers(plan: Plan) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Return processes that are connected and wait for a line to begin."""
    command = [sys.executable, "-m", "jsonrpcc._cli.bench_worker"]
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for index in range(plan.processes):
            own = msgspec.structs.replace(plan, index=index)
            own = msgspec.structs.replace(
                own, in_flight=max(1, plan.in_flight // plan.processes)
            )
            process = subprocess.Popen(  # noqa: S603 - it is ourselves
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            processes.append(process)
            _say(process, msgspec.json.encode(own))
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def _say(process: subprocess.Popen[bytes], line: bytes) -> None:
    assert process.stdin is not None  # noqa: S101 - it is a pipe
    process.stdin.write(line + b"\n")
    process.stdin.flush()


def _hear(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None  # noqa: S101
    line = process.stdout.readline()
    if not line:
        raise ChildProcessError(f"a process of the benchmark ended: {process.wait()}")
    return line.strip()


@contextlib.contextmanager
def progress(what: str, seconds: float) -> Iterator[None]:
    """Show a bar on a terminal until this is over, if rich is there."""
    stderr = sys.stderr
    if stderr is None or not stderr.isatty() or not importlib.util.find_spec("rich"):
        yield
        return
    bars = importlib.import_module("rich.progress")
    console = importlib.import_module("rich.console").Console(stderr=True)
    shown = (bars.TextColumn("{task.description}"), bars.BarColumn(),
             bars.TimeRemainingColumn())  # fmt: skip
    begin = time.monotonic()
    with bars.Progress(
        *shown, console=console, transient=True, get_time=time.monotonic
    ) as bar:
        task = bar.add_task(what, total=seconds)
        stop = importlib.import_module("threading").Event()

        def advance() -> None:
            while not stop.wait(0.2):
                bar.update(task, completed=time.monotonic() - begin)

        thread = importlib.import_module("threading").Thread(target=advance)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def measure(plan: Plan) -> Report:
    """Carry out a plan in its processes, and return what they have measured."""
    with workers(plan) as processes:
        ready = [_hear(process) for process in processes]
        if b"ready" not in ready:
            raise ConnectionError(f"no server can be reached: {plan.servers}")
        what = f"{plan.rate:g}/s" if plan.is_open else f"{plan.in_flight} in flight"
        with progress(what, plan.warmup + plan.duration):
            for process in processes:
                _say(process, b"go")
            lines = [_hear(process) for process in processes]
    outcomes = [msgspec.json.decode(line, type=Outcome) for line in lines]
    return Report(plan, outcomes)


@dataclasses.dataclass
class Search:
    """
    Looks for the highest rate at which p99 stays within *slo* seconds.

    It doubles the rate until that is too much, then halves what is between.
    """

    slo: float
    rate: float
    good: float = 0.0
    bad: float = float("inf")

    def is_over(self) -> bool:
        """Whether the rate is known nearly enough, or there is none."""
        return self.bad <= self.good * NEAR or self.bad < 1

    def fits(self, report: Report) -> bool:
        """Whether what was measured is within the bounds."""
        return (
            report.percentile(99) <= self.slo
            and not report.errors
            and report.rate >= ENOUGH * report.plan.rate
        )

    def judge(self, report: Report) -> bool:
        """Choose the next rate; return whether this one was good."""
        is_good = self.fits(report)
        if is_good:
            self.good = self.rate
        else:
            self.bad = self.rate
        if self.bad == float("inf"):
            self.rate = 2 * self.good
        else:
            self.rate = (self.good + self.bad) / 2
        return is_good


def find(plan: Plan, slo: float) -> tuple[Report | None, Report]:
    """Return the report of the highest rate that was good, and the last one."""
    search = Search(slo, plan.rate)
    best: Report | None = None
    while True:
        report = measure(msgspec.structs.replace(plan, rate=search.rate))
        is_good = search.judge(report)
        p99 = report.percentile(99) * 1000
        verdict = "good" if is_good else "too much"
        limits = "; ".join(report.limits())
        tell(
            f"{report.plan.rate:.0f}/s: p99 {p99:.2f} ms, {report.rate:.0f}/s done, "
            f"{sum(report.errors.values())} errors: {verdict}"
            + (f" ({limits})" if limits else "")
        )
        best = report if is_good else best
        if search.is_over() or (report.limits() and not is_good):
            return best, report


def show(report: Report, args: argparse.Namespace) -> None:
    """Print a report, and write its files."""
    if args.json:
        write(visible_json(json.dumps(report.members())) + "\n")
    else:
        write("".join(visible(line) + "\n" for line in report.lines()))
    if args.hdr:
        report.write_hdr(args.hdr)
    if args.svg:
        report.write_svg(args.svg)


def run(args: argparse.Namespace) -> int:
    """Measure, and say what came of it."""
    settle_servers(args, "method", "params")
    check_extra(args)
    plan = plan_of(args)
    try:
        report = _measured(plan, args)
    except ConnectionError as error:
        complain(str(error))
        return FAILURE
    show(report, args)
    if report.limits():
        return LIMITED
    return OK if report.answered else FAILURE


def _measured(plan: Plan, args: argparse.Namespace) -> Report:
    if not args.find:
        return measure(plan)
    best, worst = find(plan, args.slo)
    if best is None:
        complain(f"no rate has a p99 of {args.slo:g} s at most")
        return worst
    tell(f"highest rate with a p99 of {args.slo:g} s at most: {best.plan.rate:.0f}/s")
    # It is not known how the servers do at more than this program can ask for.
    return worst if worst.limits() else best
