"""C programs that fork at any moment; without sanitizers, which cannot take that."""

import pytest
from compiling import BUILDS_C, CC, link_flags, run

pytestmark = BUILDS_C
NAMES = ["test_fork", "test_fork_callback", "test_tls_fork"]
MORE = {"test_tls_fork": ["certificates", "tls_end", "tls_front"]}


@pytest.fixture(scope="module")
def library():
    run("make", "build/libjsonrpcc.a")
    return "build/libjsonrpcc.a"


def run_forks(name, library, folder, *arguments):
    flags = link_flags()
    if name in MORE and "-DJRC_TLS" not in flags:
        pytest.skip("this build has no TLS")
    files = [f"tests/c/{each}.c" for each in (name, "peer", *MORE.get(name, ()))]
    run(
        CC, "-std=gnu11", "-Icsrc", *files, "-o", folder / name, library, *flags,
        "-pthread",
    )  # fmt: skip
    assert "checks, 0 failed" in run(folder / name, *arguments)


@pytest.mark.parametrize("name", NAMES)
def test_children_of_a_busy_c_program(name, library, tmp_path):
    run_forks(name, library, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_many_children_of_a_busy_c_program(name, library, tmp_path):
    run_forks(name, library, tmp_path, 150)
