"""C programs that fork at any moment; without sanitizers, which cannot take that."""

import re

import pytest
from compiling import BUILDS_C, ROOT, link_flags, run

pytestmark = BUILDS_C
FORKS = sorted(
    path.stem
    for path in (ROOT / "tests" / "c").glob("test_*.c")
    if "check_may_fork()" in path.read_text()
)
(SHARED,) = re.findall(
    r"^SHARED_TESTS = ((?:.*\\\n)*.*)", (ROOT / "Makefile").read_text(), re.MULTILINE
)
# Their clients also share one event thread.
NAMES = [*FORKS, *(f"shared_{name}" for name in FORKS if name in SHARED.split())]
COUNTED = ["test_fork", "test_fork_callback", "test_tls_fork"]
"""Those that can be told how often to fork."""


@pytest.fixture(scope="module")
def programs():
    """Build what they have in common."""
    run("make", "-s", "-j2", "SAN=", "build/plain/used.a", limit=170)
    return "build/plain"


def run_forks(programs, name, *arguments):
    if "tls" in name and "-DJRC_TLS" not in link_flags():
        pytest.skip("this build has no TLS")
    run("make", "-s", "SAN=", f"{programs}/{name}")
    printed = run(f"{programs}/{name}", *arguments)
    assert "checks, 0 failed" in printed
    assert "skipped" not in printed


@pytest.mark.parametrize("name", NAMES)
def test_children_of_a_busy_c_program(name, programs):
    run_forks(programs, name)


@pytest.mark.slow
@pytest.mark.parametrize("name", COUNTED)
def test_many_children_of_a_busy_c_program(name, programs):
    run_forks(programs, name, 150)
