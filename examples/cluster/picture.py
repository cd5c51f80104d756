"""The picture of the show: how many calls each server answered, and what failed."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl

mpl.use("agg")
from matplotlib import pyplot as plt


@dataclass
class Sample:
    """What was so at a moment."""

    at: float  # seconds since the start
    lives: list[int]  # calls of each life of a server
    failed: int  # calls


def _rates(samples: list[Sample], lives: list[str]) -> dict[str, list[float]]:
    hosts: dict[str, list[float]] = {host: [] for host in dict.fromkeys(lives)}
    for before, after in itertools.pairwise(samples):
        seconds = after.at - before.at
        rates = dict.fromkeys(hosts, 0.0)
        for life, calls in enumerate(after.lives):
            earlier = before.lives[life] if life < len(before.lives) else 0
            rates[lives[life]] += (calls - earlier) / seconds
        for host, rate in rates.items():
            hosts[host].append(rate)
    return hosts


def draw(
    target: Path,
    samples: list[Sample],
    phases: list[tuple[float, str]],
    lives: list[str],
) -> None:
    """Draw the calls of each server, the phases, and the calls that failed."""
    figure, (above, below) = plt.subplots(
        2, 1, figsize=(10, 5.4), sharex=True, height_ratios=(5, 1), layout="constrained"
    )
    rates = _rates(samples, lives)
    times = [sample.at for sample in samples[1:]]
    named = [host for host in rates if host.startswith("127.0.1.")]
    behind = [host for host in rates if host not in named]
    blues = [plt.get_cmap("viridis")(0.15 + 0.75 * i / 20) for i in range(len(named))]
    above.stackplot(
        times,
        [rates[host] for host in behind + named],
        colors=["#c8c8c8"] * len(behind) + blues,
        edgecolor="white",
        linewidth=0.2,
    )
    above.set_ylabel("calls a second, by server")
    above.set_title(
        "A million calls of 24 workers: a color for each server of the name,\n"
        "gray for those behind HAProxy and nginx",
        fontsize=10,
    )
    top = above.get_ylim()[1]
    for at, phase in phases:
        for axes in (above, below):
            axes.axvline(at, color="black", linewidth=0.6, linestyle=":")
        above.text(at + 0.6, top * 0.98, phase, rotation=90, va="top", fontsize=8)
    failed = [
        after.failed - before.failed for before, after in itertools.pairwise(samples)
    ]
    below.bar(times, failed, width=1.6, color="#c03030")
    below.set_ylabel("failed")
    below.set_xlabel("seconds; what failed was not idempotent, and its server died")
    below.set_ylim(0, max(5, *failed))
    figure.savefig(target, dpi=120)
    plt.close(figure)
