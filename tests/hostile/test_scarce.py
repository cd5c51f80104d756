"""Running out of descriptors and threads, in every place that needs one."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jsonrpcc.testing import Server

PROGRAM = Path(__file__).resolve().parents[1] / "programs" / "scarce.py"
LIMIT = 60.0  # seconds for one program
QUICK = ["client", "asynchronous", "child_call"]
ALL = [*QUICK, "name", "child_request", "child_submit", "child_map"]
# What is told: a descriptor is also missing later on, for the connection.
TOLD = {
    "descriptors": {f"OSError {errno.EMFILE}", "ServerFailure", "= 3"},
    "threads": {f"OSError {errno.EAGAIN}", "ServerFailure", "= 3"},
}

needs_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="needs root: the bound of threads is a user's"
)


def run(what, kinds):
    with Server({"add": lambda a, b: a + b}) as server:
        done = subprocess.run(
            [sys.executable, PROGRAM, what, server.address, *kinds],
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert "[warn]" not in done.stderr  # libevent's words
    assert "[err]" not in done.stderr
    return json.loads(done.stdout)


def check(what, kinds):
    """The process goes on, learns what was missing, works again and loses nothing."""
    report = run(what, kinds)
    for kind, left, found, works, more in report:
        place = f"{kind} with {left} {what}: {found}"
        assert found in TOLD[what], place
        assert works, place
        assert max(more) <= 0, f"{place}: left {more}"
    for kind in kinds:
        found = [each[2] for each in report if each[0] == kind]
        assert found[0].startswith("OSError"), kind
        assert found[-1] == "= 3", kind


def test_no_descriptors():
    check("descriptors", QUICK)


@needs_root
def test_no_threads():
    check("threads", QUICK)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ALL)
def test_no_descriptors_anywhere(kind):
    check("descriptors", [kind])


@needs_root
@pytest.mark.slow
@pytest.mark.parametrize("kind", ALL)
def test_no_threads_anywhere(kind):
    check("threads", [kind])
