"""Run the stages, one after another, and write docs/reliability.md."""

import argparse
import dataclasses
import datetime as dt
import json
import subprocess
import sys
import time

from . import report
from .run import OUT, ROOT, Result, Stage
from .stages import STAGES


def commit():
    """Return the current commit, and whether the tree differs from it."""

    def git(*words):
        return subprocess.run(
            ["/usr/bin/env", "git", *words],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        ).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", "csrc",
                  "jsonrpcc", "tests", ":!tests/soak")  # fmt: skip
    return git("rev-parse", "--short=12", "HEAD") + (" and changes" if changed else "")


def run(name, minutes):
    print(f"soak: {name}, {minutes:g} min", flush=True)
    began, began_at = time.monotonic(), commit()
    stage = Stage(name, minutes * 60)
    try:
        result = STAGES[name](stage)
    except Exception as error:  # noqa: BLE001  (a stage that breaks has failed)
        result = Result(1, "runs", 1, notes=[f"{type(error).__name__}: {error}"])
    took = time.monotonic() - began
    record = {
        **dataclasses.asdict(result),
        "stage": name,
        "seconds": round(took, 1),
        "commit": began_at,
        "date": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }
    (OUT / f"{name}.json").write_text(json.dumps(record, indent=1))
    print(f"soak: {name}: {result.failures} failures in {result.trials} {result.unit}, "
          f"{took:.0f} s", *result.notes, sep="\n      ", flush=True)  # fmt: skip
    return result.failures


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    text = f"one of {', '.join(STAGES)}; may be repeated"
    parser.add_argument(
        "--stage", action="append", choices=STAGES, metavar="NAME", help=text
    )
    parser.add_argument("--minutes", type=float, default=5, help="for each stage")
    parser.add_argument("--report", action="store_true", help="run nothing")
    options = parser.parse_args()
    names = [] if options.report else options.stage or list(STAGES)
    failures = sum(run(name, options.minutes) for name in names)
    report.write(ROOT / "docs/reliability.md", OUT, list(STAGES))
    print("soak: docs/reliability.md is written", flush=True)
    return 1 if failures else 0


sys.exit(main())
