"""A picture of the results: a panel per workload, a bar per client."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure

from bench.report import by_workload, number

if TYPE_CHECKING:
    from collections.abc import Iterable

    from matplotlib.axes import Axes

    from bench.plan import Workload
    from bench.runner import Result

WIDE, NARROW = (2, 11.0), (1, 5.0)
"""Columns and inches: for a page, and for a phone."""

CUT = 8.0
"""Bars longer than so many times the panel's shortest are cut, and say so."""

TITLE = "CPU time per call of the whole client process, µs (less is better)"
OURS, OTHERS, TEXT, NOTE = "#12936a", "#b8bec8", "#33373d", "#6b7280"
SETTINGS: Any = {
    "svg.fonttype": "none",  # text stays text: it can be searched and read out
    "svg.hashsalt": "jsonrpcc",  # the same figures make the same file
    "font.family": "sans-serif",
    "font.sans-serif": ["system-ui", "Segoe UI", "Helvetica", "Arial", "DejaVu Sans"],
    "font.size": 9,
    "text.color": TEXT,
}


def svg(
    results: Iterable[Result],
    machine: dict[str, str],
    shape: tuple[int, float] = WIDE,
) -> str:
    """CPU time per call, all workloads."""
    columns, width = shape
    panels = [
        (workload, ran)
        for workload, group in by_workload(results).items()
        if (ran := [result for result in group if result.runs])
    ]
    rows = math.ceil(len(panels) / columns)
    bars = [len(group) for _, group in panels]
    if columns > 1:  # beside each other, they are as high as the highest
        bars = [max(bars, default=1)] * rows
    heights = [0.75 + 0.24 * count for count in bars]
    out = io.StringIO()
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(width, 0.6 + sum(heights)))
        figure.set_layout_engine("constrained")
        title = TITLE if columns > 1 else TITLE.replace(", µs", ",\nµs")
        figure.suptitle(title, fontsize=12, fontweight="bold", x=0.01, ha="left")
        grid = figure.subplots(
            rows, columns, squeeze=False, height_ratios=heights or None
        )
        axes = list(grid.flat)
        for i, (each, panel) in enumerate(zip(axes, panels, strict=False)):
            _panel(each, *panel, bars[i // columns])
            if columns == 1:
                each.set_title(each.get_title("left"), loc="left", fontsize=9, x=-0.5)
        for each in axes[len(panels) :]:
            each.set_axis_off()
        figure.supxlabel(
            f"{machine['cpu']}, {machine['kernel']}, {machine['python']}",
            fontsize=8, color=NOTE, x=0.01, ha="left",
        )  # fmt: skip
        figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()


def _panel(axes: Axes, workload: Workload, group: list[Result], places: int) -> None:
    ranked = sorted(group, key=_cost)
    costs = [_cost(result) for result in ranked]
    longest = min(costs[-1], CUT * costs[0])
    bars = axes.barh(
        range(len(ranked)),
        [min(cost, longest) for cost in costs],
        color=[OURS if result.rival.ours else OTHERS for result in ranked],
        height=0.66,
    )
    labels = [number(cost) + (" (cut)" if cost > longest else "") for cost in costs]
    for text, result in zip(
        axes.bar_label(bars, labels, padding=3), ranked, strict=True
    ):
        text.set_fontweight("bold" if result.rival.ours else "normal")
    axes.set_yticks(range(len(ranked)), [_short(r.rival.title) for r in ranked])
    for tick, result in zip(axes.get_yticklabels(), ranked, strict=True):
        tick.set_fontweight("bold" if result.rival.ours else "normal")
    # Bars are as high in every panel, however many it has.
    axes.set_ylim(places - 0.5, -0.5)
    axes.set_xlim(0, longest * 1.2)
    axes.set_xticks([])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.set_title(f"{workload.name}: {workload.title}", loc="left", fontsize=9)


def _cost(result: Result) -> float:
    return result.median("cpu_us") or 0.0


def _short(title: str) -> str:
    return (
        title.replace("asyncio.Protocol + uvloop", "uvloop protocol")
        .replace("send and recv of fixed bytes, no JSON", "raw send and recv")
        .replace(", own protocol", "")
        .replace("asyncio.Protocol + orjson, default loop", "asyncio protocol + orjson")
    )
