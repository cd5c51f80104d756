"""What README.md says: its code runs as it stands there, its tables are true."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

import jsonrpcc
from jsonrpcc.testing import Error, Server

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
LIMIT = 50.0  # seconds that a block may take


def blocks(language):
    """The README's code blocks in a language, each with its heading."""
    found = []
    for section in re.split(r"^## ", README, flags=re.MULTILINE)[1:]:
        heading = section.partition("\n")[0]
        for n, block in enumerate(
            re.findall(rf"^```{language}\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
        ):
            found.append(pytest.param(block, id=f"{heading}-{n}"))
    assert found
    return found


def run(program, *args):
    """Run a program of the machine; return what it prints."""
    command = [shutil.which(program), *args]
    return subprocess.check_output(command, cwd=ROOT, text=True, timeout=LIMIT)


def fail(code, message):
    raise Error(code, message)


METHODS = {"add": lambda a, b: a + b, "log": lambda text: None, "fail": fail}


@pytest.fixture
def local():
    """Put real servers in the place of localhost:9999 and its neighbours."""
    with Server(METHODS) as one, Server(METHODS) as two, Server(METHODS) as three:
        servers = {9999: one, 9998: two, 9997: three}

        def local(text):
            return re.sub(
                r"localhost:(999\d)",
                lambda match: f"localhost:{servers[int(match[1])].port}",
                text,
            )

        yield local


@pytest.mark.parametrize("code", blocks("python"))
def test_python_runs(code, local):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", local(code)],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    comments = re.findall(r"^ *print\(.*\)  # (.*)$", code, re.MULTILINE)
    for said in comments:
        assert said in done.stdout.splitlines()


@pytest.mark.parametrize("session", blocks("console"))
def test_console_prints_what_it_says(session, local, tmp_path):
    command = tmp_path / "jsonrpcc"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m jsonrpcc "$@"\n')
    command.chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
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
        # Another port may be longer: columns are not what is promised.
        assert done.stdout.split() == local(said).split()


@pytest.mark.skipif(
    "JSONRPCC_SAN" in os.environ or not all(map(shutil.which, ("make", "cc"))),
    reason="no compiler, or one that would inherit the LD_PRELOAD",
)
@pytest.mark.parametrize("code", blocks("c"))
def test_c_compiles_and_runs(code, local, tmp_path):
    source = tmp_path / "add.c"
    source.write_text(local(code))
    run("make", "-s", "lib")
    libs = run("pkg-config", "--libs", "libevent_core", "json-c").split()
    run(
        "cc", "-Wall", "-Wextra", "-Werror", f"-I{ROOT}/csrc", source,
        ROOT / "build/libjsonrpcc.a", "-o", tmp_path / "add", *libs, "-pthread",
    )  # fmt: skip
    assert subprocess.check_output([tmp_path / "add"], text=True) == "3\n"


def test_table_of_limits_is_all_options_with_their_defaults():
    section = README.partition("## Limits")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (-?[\d,]+)( MiB)?", section, re.MULTILINE)
    said = {
        name: int(number.replace(",", "")) * (1024 * 1024 if mib else 1)
        for name, number, mib in rows
    }
    options = jsonrpcc.Options()
    assert said == {name: getattr(options, name) for name in options.__slots__}


def test_tree_of_errors_is_all_of_them():
    section = README.partition("## Errors")[2].partition("\n## ")[0]
    tree = section.partition("```\n")[2].partition("```")[0]
    said = [
        (len(indent) // 4, name)
        for indent, name in re.findall(r"^([│ ├└─]*)(\w+)", tree, re.MULTILINE)
    ]
    errors = {
        name: error
        for name, error in vars(jsonrpcc).items()
        if isinstance(error, type) and issubclass(error, jsonrpcc.JsonRpcError)
    }
    assert sorted(name for _, name in said) == sorted(errors)
    for depth, name in said:
        assert errors[name].__mro__.index(jsonrpcc.JsonRpcError) == depth


def test_kinds_of_events_are_all_of_them():
    (sentence,) = re.findall(r"The kinds of events are (.*?);", README)
    kinds = get_args(get_type_hints(jsonrpcc.Event)["kind"])
    assert set(re.findall(r"`(\w+)`", sentence)) == set(kinds)


def test_links_lead_somewhere():
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
