"""What the Makefile sets up by itself, and what it leaves alone."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 60.0  # seconds

pytestmark = [
    pytest.mark.skipif(
        not all(map(shutil.which, ("make", "pkg-config", "cc"))),
        reason="make, pkg-config or a C compiler is missing",
    ),
    pytest.mark.skipif("JSONRPCC_SAN" in os.environ, reason="it would be built anew"),
    pytest.mark.timeout(180),
]


def make(*args, env=None):
    return subprocess.run(
        [shutil.which("make"), "--no-print-directory", *map(str, args)],
        cwd=ROOT,
        # Not the variables of a make that runs us.
        env={**os.environ, "MAKEFLAGS": "", **(env or {})},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )


@pytest.fixture
def traps(tmp_path):
    """A PATH on which these tools only leave a trace, and the trace."""
    trace = tmp_path / "trace"
    folder = tmp_path / "bin"
    folder.mkdir()
    tools = ["apt-get", "sudo", "pip", "python", "python3", "python3.11", "python3.12"]
    for tool in tools:
        path = folder / tool
        path.write_text(f'#!/bin/sh\necho {tool} "$@" >>{trace}\nexit 1\n')
        path.chmod(0o755)
    return folder, trace


def on_path(folder):
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def test_the_library_needs_no_python_and_installs_no_package(traps, tmp_path):
    folder, trace = traps
    done = make("install", f"DESTDIR={tmp_path}/root", env=on_path(folder))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "root/usr/local/lib/libjsonrpcc.so.0").exists()
    assert not trace.exists()


def test_the_library_names_what_is_missing(traps):
    folder, trace = traps
    (folder / "pkg-config").write_text("#!/bin/sh\nexit 1\n")
    (folder / "pkg-config").chmod(0o755)
    done = make("library", env=on_path(folder))
    assert done.returncode != 0
    assert "apt-get install libevent-dev libjson-c-dev" in done.stderr
    assert not trace.exists()


def test_install_names_ldconfig():
    assert "ldconfig" in make("-n", "install").stdout
    assert "ldconfig" not in make("-n", "install", "DESTDIR=/x").stdout


@pytest.mark.parametrize("target", ["dev", "demo", "test", "lint", "docs", "bench"])
def test_the_system_comes_before_what_needs_it(target):
    lines = make("-n", target).stdout.splitlines()
    first = {
        what: next(i for i, line in enumerate(lines) if f"setup.sh {what}" in line)
        for what in ("system", "venv")
    }
    assert first["system"] < first["venv"]


def test_args_run_python_tests_alone():
    """No C test is built and run for them."""
    assert "build/asan" not in make("-n", "test", "ARGS=-k name").stdout
    assert "build/asan/test_engine\n" in make("-n", "test").stdout
