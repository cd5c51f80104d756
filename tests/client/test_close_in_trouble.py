"""close() when things go wrong: it returns, calls have outcomes, nothing is left."""

import contextlib
import random

import pytest
from children import run_program
from history import METHODS
from time_limits import ASAN, TSAN

from jsonrpcc.testing import Drop, NeverRead, Server

FAR = 300  # seconds until a long run has failed

PROGRAMS = {
    "closing.py": [
        "threads", "callbacks", "signals", "raising", "fork", "descriptors", "garbage",
    ],
    "closing_async.py": [
        "cancelled", "executor", "crosswise", "async_descriptors", "async_fork", "loop",
    ],
}  # fmt: skip
TROUBLES = {each: program for program, some in PROGRAMS.items() for each in some}
# A child of fork() may find a lock of the sanitizer's held for ever.
FORKS = {"fork", "async_fork"}


@pytest.fixture
def addresses():
    """A server that answers, one that hangs, one that does not read, and none."""
    with contextlib.ExitStack() as stack:
        servers = [
            stack.enter_context(Server(METHODS, fault=fault, keep=0))
            for fault in ((), Drop(), NeverRead(), ())
        ]
        servers[-1].stop()
        yield [server.address for server in servers]


def check(trouble, rounds, addresses, **options):
    if trouble in FORKS and (ASAN or TSAN):
        pytest.skip("the sanitizer's locks are not made for fork()")
    seed = random.randrange(1 << 30)
    print(f"{TROUBLES[trouble]} {trouble} {rounds} {seed}")  # to repeat a failure
    report = run_program(
        TROUBLES[trouble], trouble, rounds, seed, *addresses, **options
    ).report()
    assert report["problems"] == []
    assert report["closes"] >= rounds
    assert max(report["left"]) <= 0


@pytest.mark.parametrize("trouble", TROUBLES)
def test_close_in_trouble(addresses, trouble):
    check(trouble, 4, addresses)


@pytest.mark.slow
@pytest.mark.timeout(FAR)
@pytest.mark.parametrize("trouble", TROUBLES)
def test_close_in_trouble_for_long(addresses, trouble):
    check(trouble, 200, addresses, limit=FAR)
