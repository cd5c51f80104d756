"""A picture of the results: a panel per workload, a bar per client."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from bench.report import by_workload, number

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bench.plan import Workload
    from bench.runner import Result

COLUMNS = 2
WIDTH = 470
LABEL = 215
BAR = 175
ROW = 22
HEAD = 44
GAP = 18
CUT = 8.0
"""Bars longer than so many times the panel's shortest are cut, and say so."""

TITLE = "CPU time per call of the whole client process, µs (less is better)"

STYLE = """\
  text { font: 13px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; }
  text { fill: #33373d; }
  .page { font-size: 17px; font-weight: 600; }
  .title { font-weight: 600; }
  .note { font-size: 11.5px; fill: #6b7280; }
  .ours { font-weight: 600; fill: #0b6e4f; }
  .bar-value { fill: #b8bec8; }
  .bar-ours { fill: #12936a; }
"""


def svg(results: Iterable[Result], machine: dict[str, str]) -> str:
    """CPU time per call, all workloads."""
    panels = [
        (workload, ran)
        for workload, group in by_workload(results).items()
        if (ran := [result for result in group if result.runs])
    ]
    parts = []
    bottoms = [60] * COLUMNS
    for workload, group in panels:
        column = bottoms.index(min(bottoms))
        height = HEAD + ROW * len(group)
        parts.append(
            _panel(workload, group, 20 + column * (WIDTH + GAP), bottoms[column])
        )
        bottoms[column] += height + GAP
    width, height = 40 + COLUMNS * WIDTH + (COLUMNS - 1) * GAP, max(bottoms) + 22
    note = f"{machine['cpu']}, {machine['kernel']}, {machine['python']}"
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"
     viewBox="0 0 {width} {height}" role="img"
     aria-label="CPU time per call of jsonrpcc and other clients">
<style>
{STYLE}</style>
<rect x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8"
      fill="#fbfbfa" stroke="#dfe1e5"/>
{_text(20, 34, TITLE, "page")}
{"".join(parts)}
{_text(20, height - 14, note, "note")}
</svg>
"""


def _panel(workload: Workload, group: list[Result], x: int, y: int) -> str:
    costs = [(_cost(result), result) for result in sorted(group, key=_cost)]
    longest = min(costs[-1][0], CUT * costs[0][0])
    parts = [
        _text(x, y + 16, workload.name, "title"),
        _text(x, y + 32, workload.title, "note"),
    ]
    for row, (cost, result) in enumerate(costs):
        top = y + HEAD + row * ROW
        middle = top + 13
        length = max(2.0, BAR * min(cost, longest) / longest)
        ours = result.rival.ours
        start = x + LABEL
        kind = "ours" if ours else "value"
        parts.append(
            f'<text x="{start - 8}" y="{middle}" text-anchor="end" class="{kind}">'
            f"{escape(_short(result.rival.title))}</text>"
        )
        parts.append(
            f'<rect x="{start}" y="{top + 2}" width="{length:.1f}"'
            f' height="{ROW - 7}" rx="2" class="bar-{kind}"/>'
        )
        if cost > longest:
            cut = start + length - 14
            parts.append(
                f'<path d="M{cut:.1f} {top + ROW - 4} l6 -{ROW - 5} h5 l-6 {ROW - 5} z"'
                ' fill="#fbfbfa"/>'
            )
        parts.append(_text(start + length + 6, middle, number(cost), kind))
    return "\n".join(parts)


def _cost(result: Result) -> float:
    return result.median("cpu_us") or 0.0


def _short(title: str) -> str:
    return (
        title.replace("asyncio.Protocol + uvloop", "uvloop protocol")
        .replace("send and recv of fixed bytes, no JSON", "raw send and recv")
        .replace(", own protocol", "")
        .replace("asyncio.Protocol + orjson, default loop", "asyncio protocol + orjson")
    )


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{escape(text)}</text>'
