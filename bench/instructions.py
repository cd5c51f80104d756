"""
How many instructions a call takes, by callgrind: exact where time is not.

    python -m bench.instructions            compare with instructions.json
    python -m bench.instructions --update   measure anew and write it

The workloads are those that one thread drives: with two, the scheduler decides how
calls gather, and with that the figure.  Two runs of different lengths are
subtracted, so that starting and ending do not count.  More than TOLERANCE above
the file's figure is an error: either something became slower unseen, or the file
is due for an update, in the commit that says why.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from bench import services

FILE = Path(__file__).with_name("instructions.json")
TOLERANCE = 0.05
SHORT, LONG = 4_000, 12_000
WINDOW = 1000
RUNS = 3
WORKLOADS = {"c-api": "", "map": "map", "await": "await_"}
"""And the functions of bench.rivals.ours that do them."""

VALGRIND = shutil.which("valgrind")


def main() -> None:
    """Measure; exit with 1 if something takes more than it may."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--update", action="store_true", help="write the file")
    args = parser.parse_args()
    if VALGRIND is None:
        sys.exit("valgrind is not installed")
    measured = {name: _per_call(name) for name in WORKLOADS}
    if args.update:
        FILE.write_text(json.dumps(measured, indent=4) + "\n")
    bounds = json.loads(FILE.read_text())
    failed = False
    for name, instructions in measured.items():
        bound = bounds[name]
        over = instructions > bound * (1 + TOLERANCE)
        failed |= over
        sys.stdout.write(
            f"{name:10} {instructions:7} instructions a call, {bound} in the file"
            f"{': too many' if over else ''}\n"
        )
    sys.exit(failed)


def _per_call(workload: str) -> int:
    """The least of some runs: how calls gather in flocks is the scheduler's doing."""
    least = {
        calls: min(_count(workload, calls) for _ in range(RUNS))
        for calls in (SHORT, LONG)
    }
    return round((least[LONG] - least[SHORT]) / (LONG - SHORT))


def _count(workload: str, calls: int) -> int:
    """Instructions of a whole process that makes so many calls."""
    with services.netstring_server() as (port,):
        if workload == "c-api":
            program = str(services.build("rivals/ours.c"))
            command = [program, str(port), str(calls), str(WINDOW), str(WINDOW)]
        else:
            command = [sys.executable, "-m", "bench.child", "ours"]
            command += [WORKLOADS[workload]]
            command += [f"--port={port}", f"--calls={calls}"]
            command += [f"--warmup={WINDOW}", f"--window={WINDOW}"]
        done = subprocess.run(
            [
                str(VALGRIND),
                "--tool=callgrind",
                "--callgrind-out-file=/dev/null",
                *command,
            ],
            capture_output=True,
            text=True,
            check=True,
            timeout=600,
            cwd=services.HERE.parent,
            # The same hashes, and so the same walks through dictionaries.
            env={"PATH": "/usr/bin:/bin", "PYTHONHASHSEED": "0"},
        )
    collected = re.search(r"Collected : (\d+)", done.stderr)
    assert collected is not None, done.stderr
    return int(collected.group(1))


if __name__ == "__main__":
    main()
