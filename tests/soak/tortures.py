"""The stages in which allocations and system calls fail, one after the other."""

import random
import re

from .run import ROOT, Result, make

TORTURES = ("test_torture", "test_torture_fork")
TORTURE_BY_TLS = "test_torture_tls"
TLS_ALLOCATIONS = 6000  # so many, give or take, are made in each scenario
TORTURE = re.compile(
    r"alloc sites (\d+)/(\d+), syscall sites (\d+)/(\d+), runs (\d+), "
    r"faults (\d+), calls (\d+)"
)


def _build_tortures(stage, names):
    """Build these programs, plain and sanitized; return why that failed, or None."""
    for san in ("", "address,undefined"):
        where = "asan" if san else "plain"
        code, text = make(stage, *(f"build/{where}/{name}" for name in names), SAN=san)
        if code != 0:
            return Result(0, "runs", 0, notes=[f"there is no torture: {text[-200:]}"])
    return None


def _torture(stage, number, name, *args):
    """Run one of these programs, in turn sanitized and plain."""
    where = ("asan", "plain")[number % 2]
    code, text = stage.command(ROOT / "build" / where / name, *args, limit=1200)
    found = TORTURE.search(text)
    if found is None:
        return Result(1, "runs", 1, notes=[text[-300:]])
    hit, sites, hit_calls, calls_sites, runs, faults, calls = map(int, found.groups())
    figures = {
        "most allocation sites made to fail": hit,
        "most allocation sites": sites,
        "most system call sites made to fail": hit_calls,
        "most system call sites": calls_sites,
        "faults": faults,
        "calls": calls,
    }
    return Result(runs, "runs", int(code != 0), figures)


def torture(stage):
    """Make every allocation and system call of the core fail, with real sockets."""

    def once(number):
        total, children = (
            _torture(stage, number, name, 3 + number) for name in TORTURES
        )
        total.add(children)
        return total

    return _build_tortures(stage, TORTURES) or stage.rounds(once)


def torture_by_tls(stage):
    """Those of OpenSSL, too: system calls and some allocations, then all in a row."""
    each = 50

    def once(number):
        if number == 0:
            return _torture(stage, number, TORTURE_BY_TLS)
        first = random.randrange(1, TLS_ALLOCATIONS)
        found = _torture(stage, number, TORTURE_BY_TLS, 1, first, each)
        if found.failures:
            found.notes.append(f"{TORTURE_BY_TLS} 1 {first} {each}")
        return found

    return _build_tortures(stage, [TORTURE_BY_TLS]) or stage.rounds(once)
