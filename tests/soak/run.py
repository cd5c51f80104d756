"""Run the programs, pytest and make of a stage, within its time budget."""

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
OUT = ROOT / "build" / "soak"
SPARE = 300  # seconds by which a single command may exceed its budget


def path_of(name):
    """Return the path of the test file of that name, in any folder of tests."""
    (path,) = (ROOT / "tests").glob(f"*/{name}.py")
    return str(path.relative_to(ROOT))


@dataclass
class Result:
    """The result of a stage."""

    trials: int = 0
    unit: str = ""
    failures: int = 0
    figures: dict = field(default_factory=dict)
    notes: list = field(default_factory=list)  # what was skipped, and why

    def add(self, other):
        """Add up two rounds; what is called most, longest or latest is a maximum."""
        self.trials += other.trials
        self.failures += other.failures
        merge(self.figures, other.figures)
        self.notes += [note for note in other.notes if note not in self.notes]


def merge(total, more):
    """Add the numbers of one dict to those of another, at any depth."""
    for name, value in more.items():
        if isinstance(value, dict):
            merge(total.setdefault(name, {}), value)
        elif not isinstance(value, int | float):
            total[name] = value
        elif name.startswith(("most", "longest", "latest")):
            total[name] = max(total.get(name, value), value)
        else:
            total[name] = total.get(name, 0) + value


class Stage:
    """A stage's budget, its log, and how it runs commands."""

    def __init__(self, name, seconds):
        OUT.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.end = time.monotonic() + seconds
        self.env = {}  # of all its commands together
        self.log = OUT / f"{name}.log"
        self.log.write_text("")

    def left(self):
        return self.end - time.monotonic()

    def command(self, *words, env=(), cwd=ROOT, limit=None):
        """Run it to its end; returns (exit code, output)."""
        limit = limit or max(self.left(), 0) + SPARE
        with self.log.open("a") as log:
            log.write(f"$ {' '.join(map(str, words))}\n")
            log.flush()
            start = log.tell()
            with subprocess.Popen(
                list(map(str, words)), cwd=cwd, stdout=log, stderr=subprocess.STDOUT,
                env={**os.environ, **self.env, **dict(env)},
            ) as child:  # fmt: skip
                try:
                    code = child.wait(limit)
                except subprocess.TimeoutExpired:
                    child.kill()
                    code = -1
                    log.write(f"\nit took more than {limit:.0f} s\n")
        with self.log.open() as log:
            log.seek(start)
            return code, log.read()

    def rounds(self, once):
        """Add up once(number), as often as the time allows and at least once."""
        total = once(0)
        number = 1
        while self.left() > 0 and total.failures == 0:
            total.add(once(number))
            number += 1
        return total

    def pytest(
        self, *arguments, unit="tests", env=(), python=None, cwd=ROOT, before=()
    ):
        """One run of pytest as a result; its tests are the trials."""
        code, text = self.command(
            *before, python or sys.executable, "-m", "pytest", "-q",
            "-p", "no:cacheprovider", "-o", "timeout=900",
            "-o", "faulthandler_timeout=1200", *arguments, env=env, cwd=cwd,
        )  # fmt: skip
        found = {
            name: int(count)
            for count, name in re.findall(
                r"(\d+) (passed|failed|error|skipped|deselected)", text
            )
        }
        failed = found.get("failed", 0) + found.get("error", 0)
        # 5: nothing to run, as all is skipped or slow.
        if code not in {0, 1, 5} or not found:
            failed = max(failed, 1)  # it did not finish, whatever code it ended with
        return Result(
            found.get("passed", 0) + failed,
            unit,
            failed,
            notes=sorted(set(re.findall(r"SKIPPED \[\d+\] (.*)", text))),
        )


def make(stage, *targets, **variables):
    words = [f"{name}={value}" for name, value in variables.items()]
    return stage.command("make", "--no-print-directory", *targets, *words)
