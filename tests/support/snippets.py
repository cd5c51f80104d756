"""Runs code in Markdown exactly as it is written there."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from time_limits import TOOLS

from jsonrpcc.testing import Error, Server

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 50.0  # seconds that a block may take
NEEDS_CC = pytest.mark.skipif(
    "JSONRPCC_SAN" in os.environ or not all(map(shutil.which, ("make", "cc"))),
    reason="no compiler, or one that would inherit the LD_PRELOAD",
)


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def blocks(path, language):
    """The code blocks of a file in a language, each named after its heading."""
    found = []
    for section in re.split(r"^##+ ", read(path), flags=re.MULTILINE):
        heading = section.partition("\n")[0]
        for n, block in enumerate(
            re.findall(rf"^```{language}\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
        ):
            found.append(pytest.param(block, id=f"{path}-{heading}-{n}"))
    return found


def run(program, *args):
    """Run a program of the machine; return what it prints."""
    command = [shutil.which(program), *args]
    return subprocess.check_output(command, cwd=ROOT, text=True, timeout=LIMIT)


def fail(code, message):
    raise Error(code, message)


METHODS = {
    "add": lambda a, b: a + b,
    "echo": lambda *params, **named: named or list(params),
    "fail": fail,
    "log": lambda text: None,
}


@contextlib.contextmanager
def local_servers():
    """Replace localhost:9999 and its neighbours with real servers."""
    with Server(METHODS) as one, Server(METHODS) as two, Server(METHODS) as three:
        servers = {9999: one, 9998: two, 9997: three}

        def local(text):
            text = re.sub(
                r"localhost:(999\d)",
                lambda match: f"localhost:{servers[int(match[1])].port}",
                text,
            )
            # Timeouts that suit a reader's servers are too short for a busy machine.
            return re.sub(
                r"\btimeout=(0\.\d+)",
                lambda match: f"timeout={float(match[1]) * 4:g}",
                text,
            )

        yield local


def check_python(code, local, cwd=None):
    """Check that it runs without a warning and prints what its comments say."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", local(code)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    said = re.findall(r"^ *print\(.*\)  # (.*)$", code, re.MULTILINE)
    for line in said:
        assert local(line) in done.stdout.splitlines()


def check_console(session, local, tmp_path):
    """Check that each command prints what is written below it."""
    command = tmp_path / "jsonrpcc"
    preload = os.environ.get("LD_PRELOAD", "")
    python = f'LD_PRELOAD="{preload}" exec {sys.executable}'
    command.write_text(f'#!/bin/sh\n{python} -m jsonrpcc "$@"\n')
    command.chmod(0o755)
    env = {**TOOLS, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    steps = re.findall(r"^\$ (.*)\n((?:[^$].*\n)*)", session, re.MULTILINE)
    assert steps
    for line, said in steps:
        done = subprocess.run(
            ["/bin/sh", "-c", local(line)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=env,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        # A longer port shifts the columns, which are not promised.
        assert done.stdout.split() == local(said).split()


def build_c(code, program):
    """Compile a C program with warnings as errors, and link it statically."""
    source, compiled = program.with_suffix(".c"), program.with_suffix(".o")
    source.write_text(code)
    run("make", "-s", "lib")
    flags = ("-Wall", "-Wextra", "-Werror", f"-I{ROOT}/csrc")
    run("cc", *flags, "-c", source, "-o", compiled)
    if shutil.which("c++") is not None:  # the header is for C++ as well
        more = ("-Wno-missing-field-initializers", "-std=c++20", "-fsyntax-only")
        run("c++", "-x", "c++", *flags, *more, source)
    libs = run("make", "-s", "--no-print-directory", "print-PKG_LIBS").split()
    archive = ROOT / "build/libjsonrpcc.a"
    run("cc", compiled, archive, "-o", program, *libs, "-pthread")
