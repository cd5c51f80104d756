"""C programs that fork at any moment, without sanitizers, which do not stand it."""

import pytest
from compiling import BUILDS_C, CC, link_flags, run

pytestmark = BUILDS_C
NAMES = ["test_fork", "test_fork_callback"]


@pytest.fixture(scope="module")
def library():
    run("make", "build/libjsonrpcc.a")
    return "build/libjsonrpcc.a"


def run_forks(name, library, folder, *arguments):
    run(
        CC, "-std=gnu11", "-Icsrc", f"tests/c/{name}.c", "tests/c/peer.c",
        "-o", folder / name, library, *link_flags(), "-pthread",
    )  # fmt: skip
    assert "checks, 0 failed" in run(folder / name, *arguments)


@pytest.mark.parametrize("name", NAMES)
def test_children_of_a_busy_c_program(name, library, tmp_path):
    run_forks(name, library, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_many_children_of_a_busy_c_program(name, library, tmp_path):
    run_forks(name, library, tmp_path, 150)
