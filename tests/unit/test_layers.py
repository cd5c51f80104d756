"""The layers of the core: which may include which, and what is exported."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from time_limits import TOOLS

import jsonrpcc
from jsonrpcc import _capsule, _jsonrpcc, _speedups

ROOT = Path(__file__).resolve().parents[2]
CSRC = ROOT / "csrc"
PACKAGE = Path(jsonrpcc.__file__).parent

# The folders of the core from the ground up, and which of the others each may include.
LAYERS = {
    "wire": set(),
    "engine": {"wire"},
    "io": {"engine", "wire"},
    "client": {"io", "engine", "wire"},
    "api": {"wire"},
    "python": set(),
}
# The public header carries the types that engine counts in; wire needs none.
WITHOUT_PUBLIC_HEADER = {"wire"}
# Includes that bypass the public functions where there is none: for bulk calls,
# and for what OpenSSL calls its errors.
EXCEPTIONS = {
    ("client/client.c", "api/bulk.h"),
    ("api/texts.c", "io/tls_reason.h"),
}

# Folders in which each file has a header of its name; api's is the public one.
OF_ITS_NAME = {"wire", "engine", "io", "client", "python"}
# Files of client that implement public functions.
WITHOUT_HEADER = {
    "client/callbacks.c",
    "client/hello_set.c",
    "client/servers.c",
    "client/stats.c",
    "client/waiter.c",
}

FREESTANDING = {
    "assert.h", "emmintrin.h", "errno.h", "limits.h", "stdatomic.h", "stdbool.h",
    "stddef.h", "stdint.h", "stdio.h", "stdlib.h", "string.h", "sys/types.h",
}  # fmt: skip
FILES = sorted(CSRC.rglob("*.[ch]"))
CORE = [path for path in FILES if path.parent.name != "python"]
PURE = [path for path in FILES if path.parent.name in ("wire", "engine")]


def name_of(path):
    return str(path.relative_to(CSRC))


def includes(path):
    """Return the headers that a file includes: ours, and others."""
    found = re.findall(
        r'^\s*#\s*include\s+([<"])([^>"]+)', path.read_text(), re.MULTILINE
    )
    return (
        {name for mark, name in found if mark == '"'},
        {name for mark, name in found if mark == "<"},
    )


def including(pattern):
    """Return the files that directly include an external header like that."""
    return {
        name_of(path)
        for path in CORE
        if any(re.fullmatch(pattern, name) for name in includes(path)[1])
    }


def code_of(path):
    return re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)


PURE_BUT = {
    "wire/pages.c": {"sys/mman.h"},
    "wire/srv.c": {"arpa/nameser.h"},  # what reads the compressed names of DNS
}


def test_the_folders_are_the_layers():
    assert {path.parent.name for path in FILES} == LAYERS.keys() | {CSRC.name}
    assert [path.name for path in CSRC.glob("*.[ch]")] == ["jsonrpcc.h"]


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_includes_what_its_layer_may(path):
    layer = path.parent.name
    for name in includes(path)[0]:
        if (name_of(path), name) in EXCEPTIONS:
            continue
        assert (CSRC / name).exists(), f"{name} is not named from csrc"
        if name == "jsonrpcc.h":
            assert layer not in WITHOUT_PUBLIC_HEADER
        else:
            assert Path(name).parent.name in {layer, *LAYERS[layer]}, name


def test_every_exception_is_still_needed():
    for file, name in EXCEPTIONS:
        assert name in includes(CSRC / file)[0]


@pytest.mark.parametrize("path", PURE, ids=name_of)
def test_pure_parts_know_libc_only(path):
    """No socket, no thread, no clock, no library."""
    assert includes(path)[1] <= FREESTANDING | PURE_BUT.get(name_of(path), set())


@pytest.mark.parametrize("path", PURE, ids=name_of)
def test_pure_parts_never_print_or_read_a_clock_or_roll_dice(path):
    banned = (
        r"\b(printf|fprintf|puts|time|clock_gettime|gettimeofday|rand|random|getenv"
        r"|exit|abort)\s*\("
    )
    assert not re.findall(banned, code_of(path))


def test_libevent_is_in_the_loop_only():
    assert including(r"event2?/.*|event\.h|evutil\.h") == {
        "io/event_base.h",
        "io/socket.h",
        "io/transport_tls.c",  # for EV_READ and EV_WRITE, what it waits for
    }
    users = {name_of(p) for p in CORE if "io/socket.h" in includes(p)[0]}
    assert users == {
        "io/attempt.h",
        "io/socket.c",
        "io/sources.h",
        "io/traffic.h",
    }


def test_of_libevent_only_the_core_is_used():
    assert including(r"event2/.*(buffer|dns|http|listener|rpc|tag|thread).*") == set()
    linked = output_of("ldd", _jsonrpcc.__file__)
    assert "libevent_core" in linked
    assert not re.search(r"libevent(_extra|_pthreads)?-", linked)


def test_threads_are_where_they_belong():
    assert including(r"pthread\.h|threads\.h") == {
        "api/queue.h", "client/core.h", "client/fork.c", "io/event_base.c",
        "io/file_watch.c", "io/resolver.c", "io/socket.h", "io/thread.c",
        "io/tls_context.h",
    }  # fmt: skip


def test_sockets_are_in_io_only():
    assert including(r"sys/socket\.h|netinet/.*|arpa/.*") == {
        "io/attempt.c",
        "io/endpoint.h",
        "io/given.c",
        "io/socket.c",
        "io/transport_given.c",
        "io/transport_plain.c",
        "io/transport_tcp.c",
        "io/transport_unix.c",
        "wire/srv.c",  # compressed names of DNS
    }
    assert including(r"netinet/.*") == {"io/transport_tcp.c"}


def test_openssl_is_in_the_files_of_tls_only():
    users = including(r"openssl/.*")
    assert "io/transport_tls.c" in users
    assert all(re.fullmatch(r"io/(tls_\w+|transport_tls)\.c", name) for name in users)


def test_only_one_file_knows_addrinfo():
    users = [name_of(p) for p in CORE if "addrinfo" in code_of(p)]
    assert users == ["io/endpoint.c"]


def test_json_c_is_where_trees_are_made_only():
    assert including(r"json-c/.*") == {"api/tree.c"}


def test_python_is_in_one_folder_only():
    """Even there, the table of functions does not use it."""
    assert including(r"Python\.h") == set()
    table = (CSRC / "python/table.c").read_text()
    assert not re.search(r"\bPy[A-Z_]\w*\(", table)


def test_an_extension_is_built_anew_when_a_header_changes():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for module in project["tool"]["setuptools"]["ext-modules"][1:]:
        needed, left = set(), list(module["sources"])
        while left:
            new = {f"csrc/{name}" for name in includes(ROOT / left.pop())[0]} - needed
            needed |= new
            left += new
        assert set(module["depends"]) == needed, module["name"]


def test_the_public_header_needs_no_other():
    ours, others = includes(CSRC / "jsonrpcc.h")
    assert ours == set()
    assert others == {"stdbool.h", "stddef.h", "stdint.h"}


def test_a_file_is_its_noun_or_the_only_one_of_a_header():
    """A reader of a header knows where to find the code."""
    for path in FILES:
        if path.suffix == ".c" and path.parent.name in OF_ITS_NAME:
            if "PyMODINIT_FUNC" in path.read_text():
                continue  # Python calls it
            if name_of(path) in WITHOUT_HEADER:
                continue
            assert path.with_suffix(".h").exists(), path


def test_dangerous_functions_are_banned():
    banned = (
        r"\b(strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|atol|alloca|signal)\s*\("
    )
    for path in CORE:
        assert not re.findall(banned, code_of(path)), path


def output_of(tool, *args):
    path = shutil.which(tool)
    if path is None:
        pytest.skip(f"{tool} is missing")
    return subprocess.check_output([path, *args], text=True, env=TOOLS)


def symbols(module):
    """Return the exports of a shared object, without those of sanitizers and gcov."""
    lines = output_of("nm", "-D", "--defined-only", "--format=posix", module.__file__)
    names = {line.split()[0] for line in lines.splitlines()}
    gcov = {"mangle_path"}
    return {name for name in names if not name.startswith("__")} - gcov


def test_an_extension_exports_its_way_in_and_nothing_else():
    """Otherwise, another copy of the core in the process might be called instead."""
    assert symbols(_jsonrpcc) - {"_cffi_pypyinit__jsonrpcc"} == {"PyInit__jsonrpcc"}
    assert symbols(_speedups) == {"PyInit__speedups"}
    assert symbols(_capsule) == {"PyInit__capsule"}
