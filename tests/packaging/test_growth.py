"""Programs that were built before the structs of the C API grew still run."""

import os
import re
import runpy
import shutil

import pytest
from compiling import CC, ROOT, link_flags, run

from jsonrpcc.testing import Error, Server

GROW = list(runpy.run_path(str(ROOT / "scripts/abi.py"))["GROW"])

pytestmark = [
    pytest.mark.skipif(
        not all(map(shutil.which, ("pkg-config", CC))),
        reason="pkg-config or a C compiler is missing",
    ),
    pytest.mark.skipif(
        "JSONRPCC_SAN" in os.environ, reason="children would inherit the LD_PRELOAD"
    ),
    pytest.mark.timeout(180),
]


@pytest.fixture
def later(tmp_path):
    """A library whose structs have grown, in lib.so."""
    csrc = tmp_path / "csrc"
    shutil.copytree(ROOT / "csrc", csrc)
    header = (csrc / "jsonrpcc.h").read_text()
    for name in GROW:
        header, n = re.subn(rf"\}} {name};", f"uint64_t later[5]; }} {name};", header)
        assert n == 1, name
    (csrc / "jsonrpcc.h").write_text(header)
    sources = [path for path in csrc.rglob("*.c") if path.parent.name != "python"]
    run(
        CC, "-std=gnu11", "-O0", "-fPIC", "-shared", "-pthread", f"-I{csrc}",
        *sources, *link_flags(), "-o", tmp_path / "lib.so",
    )  # fmt: skip
    return tmp_path / "lib.so"


def fail(code, message):
    raise Error(code, message)


def test_a_current_program_runs_on_a_library_whose_structs_have_grown(later, tmp_path):
    program = tmp_path / "grown"
    run(
        CC, "-std=gnu11", "-Wall", "-Wextra", "-Werror", f"-I{ROOT}/csrc",
        ROOT / "tests/programs/grown.c", later, "-o", program,
    )  # fmt: skip
    with Server({"add": lambda a, b: a + b, "fail": fail}) as server:
        said = run(program, server.address).splitlines()
    no = '{"code":5,"message":"no"}'
    calls = {i: "3" if i % 2 == 0 else no for i in range(6)}
    kinds = {"3": "result", no: "failure"}
    assert sorted(said) == sorted(
        [f"callback {i}: {text}, server 0, timed" for i, text in calls.items()]
        + [f"{kinds[text]} {i}: {text}, server 0, timed" for i, text in calls.items()]
        + ["event 1, server 0, timed", "sent 12, requests 12, behind them 7 7"]
    )


def test_every_public_struct_can_grow_or_says_that_it_never_will():
    header = (ROOT / "csrc/jsonrpcc.h").read_text()
    structs = re.findall(
        r"(?:/\*((?:(?!\*/).)*)\*/\n)?typedef struct \w*\s*\{.*?\n\} (\w+);",
        header, re.DOTALL,
    )  # fmt: skip
    fixed = [name for comment, name in structs if "never grows" in comment]
    assert "jsonrpcc_completions" in fixed
    assert sorted(fixed + GROW) == sorted(name for _, name in structs)
