"""What ``jsonrpcc bench`` is to do: a plan that its processes are given as JSON."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

MICROSECONDS = 1_000_000


class Share(msgspec.Struct, frozen=True):
    """A method with its params, and how often it is called compared with others."""

    method: str
    params: str | None = None
    weight: float = 1.0


class Plan(msgspec.Struct, frozen=True):
    """
    What one process does.

    Attributes:
        rate: Calls per second of all processes together; 0: as many as go, with
            *in_flight* at a time (a closed loop).
        in_flight: Calls at a time at most, of this process.
        warmup: Seconds in which calls are made and not counted.
        index: Of this process among *processes*.
    """

    servers: str
    shares: list[Share]
    tls: dict[str, str] | None
    rate: float
    arrivals: Literal["constant", "poisson"]
    duration: float
    warmup: float
    in_flight: int
    timeout: float
    seed: int
    index: int = 0
    processes: int = 1

    @property
    def is_open(self) -> bool:
        """Whether calls begin when they are due, whatever became of those before."""
        return self.rate > 0


def read_shares(
    method: str | None, params: str | None, path: str | None
) -> list[Share]:
    """
    Return what to call: METHOD and PARAMS, or what a file of methods says.

    A line of the file is ``WEIGHT METHOD [PARAMS]``; empty ones and those that begin
    with # say nothing.

    Raises:
        ValueError: Both are given, or neither; or a line is wrong, which says where.
        OSError: The file cannot be read.
    """
    if (method is None) == (path is None):
        raise ValueError("either METHOD or --methods is needed")
    if method is not None:
        return [Share(method, params)]
    shares = []
    lines = Path(str(path)).read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        words = line.split(maxsplit=2)
        if not words or words[0].startswith("#"):
            continue
        try:
            weight = float(words[0])
        except ValueError:
            weight = 0.0
        if len(words) == 1 or not 0 < weight < float("inf"):
            raise ValueError(f"{path}:{number}: WEIGHT METHOD [PARAMS] is expected")
        shares.append(Share(words[1], words[2] if words[2:] else None, weight))
    if not shares:
        raise ValueError(f"{path}: no methods in it")
    return shares


def calls(plan: Plan) -> Iterator[tuple[str, str | None]]:
    """
    Return what this process calls, without end: method and params.

    In params, ``{n}`` is the number of the call among those of all processes, and
    ``{random}`` a number below 2^31.
    """
    dice = random.Random(plan.seed * plan.processes + plan.index)  # noqa: S311
    weights = list(itertools.accumulate(share.weight for share in plan.shares))
    for n in itertools.count(plan.index, plan.processes):
        share = plan.shares[0]
        if len(plan.shares) > 1:
            (share,) = dice.choices(plan.shares, cum_weights=weights)
        params = share.params
        if params is not None and "{" in params:
            params = params.replace("{n}", str(n))
            if "{random}" in params:
                params = params.replace("{random}", str(dice.getrandbits(31)))
        yield share.method, params


def arrivals(plan: Plan) -> Iterator[float]:
    """
    Return when the calls of this process are due, in seconds from the beginning.

    Those of several processes are as evenly spread as those of one.
    """
    if plan.arrivals == "constant":
        for n in itertools.count(plan.index, plan.processes):
            yield n / plan.rate
    # Poisson processes add up to one.
    dice = random.Random(-1 - plan.seed * plan.processes - plan.index)  # noqa: S311
    due = 0.0
    while True:
        due += dice.expovariate(plan.rate / plan.processes)
        yield due


class Outcome(msgspec.Struct):
    """
    What a process has measured.

    Attributes:
        latency: Microseconds from when a call was due to its answer or timeout, as
            hdrhistogram encodes a histogram.
        lag: Microseconds by which calls began late through this process's own fault.
        started: Calls counted.
        answered: Those that a server answered, with a result or an error.
        errors: Those that failed, by what happened.
        seconds: From the end of the warm-up to the last answer.
        cpu: Seconds of CPU time per second while calls were made.
        servers: Answers and timeouts of each server, warm-up included.
    """

    latency: str
    lag: str
    started: int
    answered: int
    errors: dict[str, int]
    seconds: float
    cpu: float
    servers: dict[str, dict[str, int]]
