"""Programs with their own event loops: examples/c/loop_*.c, built and run."""

import asyncio

import peers
import pytest
from compiling import BUILDS_C, CC, ROOT, link_flags, run

from jsonrpcc.testing import Server

WARN = ["-std=gnu11", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
LOOPS = {
    "epoll": None,
    "libevent": "libevent_core",
    "uv": "libuv",
    "glib": "glib-2.0",
    "queue": None,
}
OUTCOMES = "100 results, 1 timeouts, 0 others"

pytestmark = BUILDS_C


@pytest.fixture(scope="module")
def library():
    run("make", "build/libjsonrpcc.a")
    return ROOT / "build" / "libjsonrpcc.a"


@pytest.fixture
def server():
    async def sleep(seconds):
        await asyncio.sleep(seconds)

    with Server({"add": lambda a, b: a + b, "sleep": sleep}) as server:
        yield server


def test_each_loop_has_an_example():
    found = {path.stem for path in (ROOT / "examples/c").glob("loop_*.c")}
    assert found == {f"loop_{name}" for name in LOOPS}


@pytest.mark.parametrize("name", LOOPS)
def test_outcomes_come_to_the_thread_of_the_loop(name, library, server, tmp_path):
    """All of them, including deadlines, by one descriptor; nothing runs elsewhere."""
    flags = link_flags()
    if LOOPS[name] is not None:
        peers.package(LOOPS[name])
        flags += run("pkg-config", "--cflags", "--libs", LOOPS[name]).split()
    program = tmp_path / name
    run(
        CC, *WARN, "-Icsrc", f"examples/c/loop_{name}.c", "-o", program,
        library, *flags, "-pthread",
    )  # fmt: skip
    # A queue has no callbacks that might run elsewhere.
    where = "" if name == "queue" else ", 0 on other threads"
    assert run(program, server.address) == f"{OUTCOMES}{where}\n"
