"""The command ``jsonrpcc top``: how each server answers, again and again."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import jsonrpcc
from jsonrpcc._cli.connecting import read_tls, settle_servers
from jsonrpcc._cli.exits import FAILURE, OK
from jsonrpcc._cli.output import is_terminal, visible, visible_json, write
from jsonrpcc._cli.probe import PING, Probe, Sample, milliseconds, percentile
from jsonrpcc._cli.watch import clock

HEAD = ("SERVER", "STATE", "RATE", "P50", "P99", "IN FLIGHT", "ERRORS", "WHY")

Show = Callable[[dict[str, Sample]], None]


class Probes:
    """A probe for each server, also for those that come and go."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._tls = read_tls(args)
        self._args = args
        self._directory = jsonrpcc.Client(args.servers, tls=self._tls)
        self._probes: dict[str, Probe] = {}
        self.follow()

    def close(self) -> None:
        """Close all."""
        self._directory.close()
        for probe in self._probes.values():
            probe.close()

    def follow(self) -> None:
        """Have a probe for each server that is in the list now."""
        seen = {
            server.address: server
            for server in self._directory.servers()
            if server.state != "leaving"
        }
        for name in self._probes.keys() - seen.keys():
            self._probes.pop(name).close()
        for name, server in seen.items():
            if name not in self._probes:
                self._probes[name] = Probe(
                    server,
                    method=self._args.method or PING,
                    params=self._args.params,
                    timeout=self._args.timeout,
                    options={"tls": self._tls},
                )

    def ask(self) -> None:
        """Call each server."""
        for probe in self._probes.values():
            probe.ask()

    def samples(self) -> dict[str, Sample]:
        """Return what came of the calls, by server."""
        return {name: probe.sample() for name, probe in self._probes.items()}


def cells(name: str, sample: Sample) -> tuple[str, ...]:
    """Return the row of a server."""
    answers = sample.latencies
    quick, slow = (
        (milliseconds(percentile(answers, percent)) for percent in (50, 99))
        if answers
        else ("-", "-")
    )
    errors = " ".join(f"{kind} {count}" for kind, count in sample.errors.items())
    last = sample.server.last_error if sample.server.state != "up" else None
    why = " ".join(filter(None, (errors, last)))
    return (
        visible(name),
        sample.server.state,
        f"{len(answers) / sample.seconds:.1f}/s",
        quick,
        slow,
        str(sample.in_flight),
        str(sum(sample.errors.values())),
        visible(why),
    )


def members(name: str, sample: Sample, now: float) -> dict[str, Any]:
    """Return the same for programs, in seconds."""
    answers = sample.latencies
    return {
        "time": now,
        "server": name,
        "state": sample.server.state,
        "rate": len(answers) / sample.seconds,
        "p50": percentile(answers, 50) if answers else None,
        "p99": percentile(answers, 99) if answers else None,
        "in_flight": sample.in_flight,
        "errors": sample.errors,
        "last_error": sample.server.last_error,
    }


def print_json(samples: dict[str, Sample]) -> None:
    """Print a line of JSON for each server."""
    now = time.time()
    for name, sample in samples.items():
        write(visible_json(json.dumps(members(name, sample, now))) + "\n")


def print_lines(samples: dict[str, Sample]) -> None:
    """Print a line for each server."""
    now = clock(time.time())[:-4]
    for name, sample in samples.items():
        row = cells(name, sample)
        text = "{} {} {} p50 {} p99 {} in flight {} errors {} {}".format(*row)
        write(f"{now} {text}".rstrip() + "\n")


@contextlib.contextmanager
def screen() -> Iterator[Show]:
    """Return what shows samples as a table that stays where it is, by rich."""
    live = importlib.import_module("rich.live")
    tables = importlib.import_module("rich.table")
    texts = importlib.import_module("rich.text")

    def table(samples: dict[str, Sample]) -> Any:
        title = f"jsonrpcc top, {clock(time.time())[:-4]}"
        made = tables.Table(title=title, box=None, pad_edge=False)
        for i, head in enumerate(HEAD):
            number = 2 <= i <= 6  # noqa: PLR2004
            made.add_column(
                head, justify="right" if number else "left", no_wrap=head != "WHY"
            )
        for name, sample in samples.items():
            up = sample.server.state == "up" and not sample.errors
            style = "green" if up else "red"
            row = [texts.Text(cell) for cell in cells(name, sample)]
            row[1].stylize(style)
            made.add_row(*row)
        return made

    with live.Live(auto_refresh=False) as shown:
        yield lambda samples: shown.update(table(samples), refresh=True)


def display(args: argparse.Namespace) -> contextlib.AbstractContextManager[Show]:
    """Return what shows samples, as stdout and the options have it."""
    if args.json:
        return contextlib.nullcontext(print_json)
    if is_terminal():
        with contextlib.suppress(ImportError):
            importlib.import_module("rich")
            return screen()
    return contextlib.nullcontext(print_lines)


def run(args: argparse.Namespace) -> int:
    """Call each server and show how it answers, until Ctrl-C or --count."""
    settle_servers(args, "method", "params")
    left = args.count
    samples: dict[str, Sample] = {}
    with contextlib.closing(Probes(args)) as probes, display(args) as show:
        begun = time.monotonic()
        asked = shown = 0
        while left is None or left > 0:
            ask_at = begun + asked / args.rate
            show_at = begun + (shown + 1) * args.interval
            time.sleep(max(0.0, min(ask_at, show_at) - time.monotonic()))
            if ask_at <= show_at:
                probes.ask()
                asked += 1
                continue
            samples = probes.samples()
            show(samples)
            probes.follow()
            shown += 1
            left = None if left is None else left - 1
    return OK if samples and all(map(answers, samples.values())) else FAILURE


def answers(sample: Sample) -> bool:
    """Whether the server has answered at all."""
    return bool(sample.latencies)
