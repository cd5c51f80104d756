"""Programs that tests run as child processes, and how they ended."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import everywhere
from history import until
from time_limits import PATIENCE

SUPPORT = Path(__file__).parent
PROGRAMS = SUPPORT.parent / "programs"
CHILD_LIMIT = 30.0 * PATIENCE
FORGOTTEN = "ignore:unclosed <Client:ResourceWarning"  # many are printed on purpose


@dataclass
class Ended:
    """How a child program ended."""

    code: int
    out: str
    err: str
    time: float  # time.monotonic() when the end was noticed

    def report(self):
        """Return the program's report: the JSON on its last line."""
        assert self.code == 0, f"exit code {self.code}: {self.out}{self.err}"
        assert not self.err, self.err
        # So does a program in which ASan finds an error, with exitcode=0 and log_path.
        assert self.out, "it ended with code 0, and has said nothing"
        return json.loads(self.out.splitlines()[-1])


def start_program(name, *args, env=(), before=(), **options):
    """
    Start tests/programs/name, by the command *before* it if there is one.

    With faulthandler, a crash or SIGABRT shows where all its threads were.
    """
    python = [sys.executable, "-X", "faulthandler", "-W", "error", "-W", FORGOTTEN]
    if everywhere.is_wished_for():
        python.append(PROGRAMS / "by_tls.py")
    return subprocess.Popen(
        [*before, *python, PROGRAMS / name, *map(str, args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SUPPORT), **dict(env)},
        **options,
    )


def run_program(name, *args, limit=CHILD_LIMIT, **options):
    """Run tests/programs/name to its end; the test fails if it hangs."""
    with start_program(name, *args, **options) as child:
        try:
            out, err = child.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGABRT)
            out, err = child.communicate()
            raise AssertionError(f"{name} {args} hangs: {out}{err}") from None
        return Ended(child.returncode, out, err, time.monotonic())


class ServerProcess:
    """A testing server in its own process, which can be stopped and killed."""

    def __init__(self, path=None):
        where = [] if path is None else [path]
        self.child = start_program("server.py", *where, stdin=subprocess.PIPE)
        self.address = self.child.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            self.child.send_signal(signal.SIGCONT)
            self.child.kill()
        self.child.communicate()

    def kill(self):
        self.child.kill()

    def stop(self):
        """Stop it, and wait until it has stopped."""
        self.child.send_signal(signal.SIGSTOP)
        status = Path(f"/proc/{self.child.pid}/stat")
        until(lambda: status.read_text().rpartition(")")[2].split()[0] == "T")

    def go_on(self):
        self.child.send_signal(signal.SIGCONT)
