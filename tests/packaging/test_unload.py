"""The library in plugins: unloaded, and next to another copy of itself."""

import sys

import pytest
from compiling import BUILDS_C, CC, ROOT, link_flags, run

import jsonrpcc
from jsonrpcc import _jsonrpcc
from jsonrpcc.testing import Server

WARN = ["-std=gnu11", "-Wall", "-Wextra", "-Wconversion", "-Werror"]

pytestmark = BUILDS_C


@pytest.fixture(scope="module")
def libraries(tmp_path_factory):
    """The shared library, and a plugin that has the static one inside."""
    run("make", "lib")
    plugin = tmp_path_factory.mktemp("plugin") / "plugin.so"
    run(
        CC, "-shared", "-o", plugin, "-Wl,--whole-archive", "build/libjsonrpcc.a",
        "-Wl,--no-whole-archive", *link_flags(), "-pthread",
    )  # fmt: skip
    return {"shared": ROOT / "build/libjsonrpcc.so.0", "static": plugin}


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    program = tmp_path_factory.mktemp("host") / "host"
    run(CC, *WARN, "tests/programs/plugin_host.c", "-Icsrc", "-ldl", "-o", program)
    return program


@pytest.mark.parametrize("library", ["shared", "static"])
@pytest.mark.parametrize("mode", ["close", "free", "callback", "fork"])
def test_a_plugin_may_be_unloaded_when_its_clients_are_closed(
    libraries, host, library, mode
):
    """No thread, and no fork(), runs code of theirs that is no longer there."""
    rounds = {"fork": 50}.get(mode, 300)
    with Server() as server:
        servers = f"{server.address} name.invalid:1"
        out = run(host, libraries[library], servers, rounds, mode)
    assert out == "done\n"


IMPOSTOR = """
#include <stdlib.h>
#define EXPORTED __attribute__((visibility("default")))
EXPORTED void *jsonrpcc_client_new(void) { abort(); }
EXPORTED int jsonrpcc_client_close(void) { abort(); }
EXPORTED int jsonrpcc_request(void) { abort(); }
EXPORTED void *jsonrpcc_waiter_new(void) { abort(); }
EXPORTED int jsonrpcc_wait(void) { abort(); }
EXPORTED int jsonrpcc_poll(void) { abort(); }
EXPORTED void *jsonrpcc_queue_new(void) { abort(); }
EXPORTED void jsonrpcc_defer(void) { abort(); }
EXPORTED void jsonrpcc_signal(void) { abort(); }
EXPORTED void *jrc_client_core(void) { abort(); }
"""

CALLS = """
import asyncio, sys, jsonrpcc

async def wait(address):
    async with jsonrpcc.AsyncClient(address) as client:
        return await client.call("add", [1, 2])

with jsonrpcc.Client(sys.argv[1]) as client:
    assert client.call("add", [1, 2]) == 3
    assert client.submit("add", [1, 2]).result() == 3
    assert list(client.map("add", [[1, 2], [2, 3]])) == [3, 5]
assert asyncio.run(wait(sys.argv[1])) == 3
"""


@pytest.fixture(scope="module")
def impostor(tmp_path_factory):
    """Another copy of the library, whose functions end the process."""
    folder = tmp_path_factory.mktemp("impostor")
    (folder / "impostor.c").write_text(IMPOSTOR)
    library = folder / "impostor.so"
    run(CC, "-shared", "-fPIC", folder / "impostor.c", "-o", library)
    return library


def test_the_extension_uses_its_own_functions(impostor):
    """A host program may have its own copy, of any version."""
    with Server({"add": lambda a, b: a + b}) as server:
        env = {"LD_PRELOAD": str(impostor)}
        run(sys.executable, "-c", CALLS, server.address, env=env)
        assert len(server.requests) == 5


@pytest.mark.parametrize("mode", ["callback", "calls"])
def test_the_shared_library_uses_its_own_functions(libraries, host, impostor, mode):
    env = {"LD_PRELOAD": str(impostor)}
    out = run(host, libraries["shared"], "127.0.0.1:1", 1, mode, env=env)
    assert out == "done\n"


def test_a_client_beside_a_globally_loaded_library(libraries):
    """The other way round, it replaces no other copy."""
    code = (
        "import ctypes, sys, jsonrpcc\n"
        f"own = ctypes.CDLL({_jsonrpcc.__file__!r})\n"
        "assert not hasattr(own, 'jsonrpcc_version')\n"
        f"other = ctypes.CDLL({str(libraries['shared'])!r}, ctypes.RTLD_GLOBAL)\n"
        "other.jsonrpcc_version.restype = ctypes.c_char_p\n"
        "print(other.jsonrpcc_version().decode())\n"
    )
    assert run(sys.executable, "-c", code).strip() == jsonrpcc.__version__
