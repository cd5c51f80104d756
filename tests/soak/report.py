"""docs/reliability.md: what was tested, how often, and with which results."""

import json
import os
import platform
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
TEXTS = tomllib.loads((HERE / "texts.toml").read_text())
PROMISES = TEXTS["promises"]
STAGES = TEXTS["stages"]
BUGS = tomllib.loads((HERE / "bugs.toml").read_text())["bug"]


def number(value):
    """Format a figure; words stay as they are."""
    if isinstance(value, str):
        return value
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3g}"


def bound(trials):
    """Say what no failure in that many trials means, at 95 % confidence."""
    return f"less than 1 in {trials // 3:,}" if trials >= 30 else "too few for a bound"


def came_out(record):
    if not record["trials"]:
        return "not run"
    text = f"{record['failures']} failures in {record['trials']:,} {record['unit']}"
    if record["failures"] == 0:
        text += f" ({bound(record['trials'])})"
    return text


def spell(figures):
    parts = []
    for name, value in figures.items():
        if isinstance(value, dict):
            inner = ", ".join(f"{n} {number(v)}" for n, v in sorted(value.items()))
            parts.append(f"{name}: {inner}")
        else:
            parts.append(f"{name}: {number(value)}")
    return parts


def write(path, folder, names):
    records = {}
    for name in names:
        file = folder / f"{name}.json"
        if file.exists():
            records[name] = json.loads(file.read_text())
    lines = [*head(records), *promises(records), *stages(records, names), *bugs()]
    path.write_text("\n".join(lines) + "\n")


def head(records):
    commits = sorted({record["commit"] for record in records.values()})
    seconds = sum(record["seconds"] for record in records.values())
    dates = sorted(record["date"] for record in records.values())
    cpus = os.cpu_count()
    yield "# Reliability"
    yield ""
    yield "What this client promises, and how it was tested, with results."
    yield (
        "`make soak` writes this page: every number below was measured by it. "
        "`python -m tests.soak --stage NAME --minutes N` repeats one stage."
    )
    yield (
        "No failure is always stated with the number of trials: none in N means a rate "
        "below 3/N, with 95 % confidence."
    )
    yield ""
    if not records:
        yield "No stage has run yet."
        return
    yield (
        f"Measured from {dates[0]} to {dates[-1]}, {seconds / 60:.0f} minutes of tests "
        f"in total, on {cpus} shared CPUs, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}; commit {', '.join(commits)}."
    )
    yield ""
    yield (
        "The README lists what is not guaranteed, such as exactly once and order, "
        'under "No guarantees".'
    )
    yield ""


def promises(records):
    yield "## Promises"
    yield ""
    yield "| | promise | stages | results |"
    yield "|---|---|---|---|"
    for name, promise in PROMISES.items():
        tried = promise["tried"]
        ran = [records[s] for s in tried if records.get(s, {}).get("trials")]
        out = "; ".join(f"{r['stage']}: {came_out(r)}" for r in ran) or "not run"
        yield f"| {name} | {promise['text']} | {', '.join(tried)} | {out} |"
    yield ""


def stages(records, names):
    yield "## Stages"
    yield ""
    for name in names:
        yield f"### {name}"
        yield ""
        yield STAGES[name]
        record = records.get(name)
        if record is None:
            yield ""
            yield "Not run."
            yield ""
            continue
        yield ""
        yield (f"**{came_out(record)}**, {record['seconds']:.0f} s, {record['date']}, "
               f"commit {record['commit']}.")  # fmt: skip
        extra = spell(record["figures"])
        extra += [f"skipped or noted: {note}" for note in record["notes"]]
        if extra:
            yield ""
            yield from (f"- {text}" for text in extra)
        yield ""


def bugs():
    """List the bugs found by these tests, from a table kept by hand."""
    yield "## Bugs found"
    yield ""
    yield f"{len(BUGS)} so far, newest first."
    yield "Each has a test that failed before the fix."
    yield ""
    for bug in BUGS:
        yield f"- **{bug['what']}**"
        yield f"  Found by: {bug['found_by']}."
        yield f"  Cause: {bug['cause']}."
        yield f"  Fix: {bug['fix']}."
        yield f"  Test: `{bug['test']}`."
