"""Compilers and make, and the programs that they build."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 50.0  # seconds for a build or a run
CC = os.environ.get("CC", "cc")
BUILDS_C = [
    pytest.mark.skipif(
        not all(map(shutil.which, ("make", "pkg-config", CC))),
        reason="make, pkg-config or a C compiler is missing",
    ),
    pytest.mark.skipif(
        "JSONRPCC_SAN" in os.environ, reason="children would inherit the LD_PRELOAD"
    ),
    pytest.mark.timeout(180),
]


def link_flags():
    """Return the flags with which the Makefile compiles and links the core."""
    names = ("print-PKG_CFLAGS", "print-PKG_LIBS")
    return run("make", "-s", "--no-print-directory", *names).split()


def run(*command, env=None, cwd=ROOT, limit=LIMIT):
    """Run a command that has to succeed, and return what it prints."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=limit,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
