"""The house of DESIGN §2: who may include and import whom, and what is exported."""

import ast
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from patience import TOOLS

import jsonrpcc
from jsonrpcc import _capsule, _fast, _jsonrpcc

ROOT = Path(__file__).resolve().parent.parent
CSRC = ROOT / "csrc"
PACKAGE = Path(jsonrpcc.__file__).parent

FREESTANDING = {
    "assert.h", "emmintrin.h", "errno.h", "limits.h", "stdatomic.h", "stdbool.h",
    "stddef.h", "stdint.h", "stdio.h", "stdlib.h", "string.h", "sys/types.h",
}  # fmt: skip

# Our own headers that a part may see, by whatever way.
PURE = {
    "options": {"options", "jsonrpcc"},
    "netstring": {"netstring", "decimal"},
    "json_text": {"json_text", "json_scan"},
    "json_string": {"json_string", "json_text", "json_scan"},
    "json_scan": {"json_scan", "json_string", "json_text"},
    "json_recover": {"json_scan", "json_text"},
    "request": {"request", "decimal", "json_scan", "netstring"},
    "response": {"response", "json_scan"},
    "servers": {"servers"},
    "servers_parse": {"servers"},
    "call_table": {"call_table", "jsonrpcc"},
    "outbox": {"outbox"},
    "inbox": {"inbox", "netstring", "decimal"},
    "completions": {"completions", "jsonrpcc"},
    "bulk": {"bulk", "jsonrpcc", "json_scan"},
    "counters": {"counters", "jsonrpcc"},
    "engine": {
        "call_table", "counters", "engine", "outbox", "inbox", "jsonrpcc", "dispatch",
        "servers",
    },
    "dispatch": {
        "call_table", "counters", "engine", "outbox", "inbox", "jsonrpcc", "dispatch",
        "servers",
    },
    "connection": {
        "call_table", "counters", "decimal", "engine", "outbox", "inbox", "jsonrpcc",
        "netstring", "response", "dispatch", "servers",
    },
}  # fmt: skip


# All files of the core by name, which differ in any folder.
FILES = {
    path.name: path for path in CSRC.rglob("*.[ch]") if path.parent.name != "python"
}


def includes(path):
    """The headers that a file includes; ours without their folder."""
    found = re.findall(
        r'^\s*#\s*include\s+([<"])([^>"]+)', path.read_text(), re.MULTILINE
    )
    return [Path(name).name if mark == '"' else name for mark, name in found]


def all_includes(part):
    """What csrc/part.c and part.h include, directly and by headers of ours."""
    pending = [FILES[name] for name in (f"{part}.c", f"{part}.h") if name in FILES]
    assert pending, f"there is no {part}.c"
    found = set()
    while pending:
        for name in includes(pending.pop()):
            if name not in found:
                found.add(name)
                if name in FILES:
                    pending.append(FILES[name])
    return found


def including(pattern):
    """The files that include such a header themselves."""
    return {
        path.name
        for path in FILES.values()
        if any(re.fullmatch(pattern, name) for name in includes(path))
    }


@pytest.mark.parametrize("part", PURE)
def test_pure_parts_know_libc_only(part):
    """No socket, no thread, no clock, no library; and nobody who has them."""
    allowed = FREESTANDING | {f"{name}.h" for name in PURE[part]}
    assert all_includes(part) <= allowed


@pytest.mark.parametrize("part", PURE)
def test_pure_parts_never_print_or_read_a_clock_or_roll_dice(part):
    banned = (
        r"\b(printf|fprintf|puts|time|clock_gettime|gettimeofday|rand|random|getenv"
        r"|exit|abort)\s*\("
    )
    for path in (FILES[n] for n in (f"{part}.c", f"{part}.h") if n in FILES):
        code = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
        assert not re.findall(banned, code), path.name


def test_libevent_is_in_the_loop_only():
    assert including(r"event2?/.*|event\.h|evutil\.h") == {"socket.h"}
    assert including(r"socket\.h") == {"loop.c", "socket.c"}


def test_of_libevent_only_the_core_is_used():
    assert including(r"event2/.*(buffer|dns|http|listener|rpc|tag|thread).*") == set()
    linked = output_of("ldd", _jsonrpcc.__file__)
    assert "libevent_core" in linked
    assert not re.search(r"libevent(_extra|_pthreads)?-", linked)


def test_threads_are_where_they_belong():
    assert including(r"pthread\.h|threads\.h") == {
        "core.h", "queue.h", "resolver.c", "socket.h",
    }  # fmt: skip


def test_sockets_are_in_the_loop_only():
    assert including(r"sys/socket\.h|netinet/.*|arpa/.*") == {"socket.c"}


def test_json_c_is_where_trees_are_made_only():
    assert including(r"json-c/.*") == {"tree.c"}


def test_python_is_in_one_folder_only():
    """And there only where it must be: the table of functions does not use it."""
    assert including(r"Python\.h") == set()
    table = (CSRC / "python/table.c").read_text()
    assert not re.search(r"\bPy[A-Z_]\w*\(", table)


def test_who_stands_on_the_public_header_includes_nothing_deeper():
    for part in ("sync", "queue", "queue_submit", "bulk", "tree"):
        ours = {name for name in all_includes(part) if name in FILES}
        known = {"jsonrpcc.h", "queue.h", "completions.h", "bulk.h", "json_scan.h"}
        assert ours <= known, part


def test_the_public_header_needs_no_other():
    assert set(includes(CSRC / "jsonrpcc.h")) == {"stdbool.h", "stddef.h", "stdint.h"}


def test_no_file_includes_its_way_in_a_circle():
    def visit(name, way):
        assert name not in way, " -> ".join([*way, name])
        for each in includes(FILES[name]):
            if each in FILES:
                visit(each, [*way, name])

    for name in FILES:
        visit(name, [])


def test_dangerous_functions_are_banned():
    banned = (
        r"\b(strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|atol|alloca|signal)\s*\("
    )
    for path in FILES.values():
        code = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
        assert not re.findall(banned, code), path.name


def output_of(tool, *args):
    path = shutil.which(tool)
    if path is None:
        pytest.skip(f"{tool} is missing")
    return subprocess.check_output([path, *args], text=True, env=TOOLS)


def symbols(module):
    """What a shared object exports; what sanitizers and gcov add is left out."""
    lines = output_of("nm", "-D", "--defined-only", "--format=posix", module.__file__)
    names = {line.split()[0] for line in lines.splitlines()}
    gcov = {"mangle_path"}
    return {name for name in names if not name.startswith("__")} - gcov


def test_a_shared_object_exports_only_what_is_public():
    public = re.compile(r"jsonrpcc_[a-z_]+|PyInit__jsonrpcc|_cffi_pypyinit__jsonrpcc")
    assert {name for name in symbols(_jsonrpcc) if not public.fullmatch(name)} == set()
    assert symbols(_fast) == {"PyInit__fast"}
    assert symbols(_capsule) == {"PyInit__capsule"}


def test_each_public_function_is_exported():
    header = (CSRC / "jsonrpcc.h").read_text()
    code = re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)
    declared = set(re.findall(r"^[a-z].*?\b(jsonrpcc_[a-z_]+)\(", code, re.MULTILINE))
    exported = {name for name in symbols(_jsonrpcc) if name.startswith("jsonrpcc_")}
    assert declared == exported


# ---- Python ---------------------------------------------------------------------

# Modules of the package that a module may import when it is loaded.
IMPORTS = {
    "_errors": set(),
    "_codec": set(),
    "_proxy": set(),
    "_netstring": set(),
    "_sockets": set(),
    "_options": {"_jsonrpcc"},
    "_stats": {"_jsonrpcc"},
    "_outcome": {"_errors", "_jsonrpcc"},
    "_faults": {"_netstring"},
    "_connection_faults": {"_faults"},
    "_plan": {"_faults"},
    "_methods": {"_faults"},
    "_connection": {"_faults", "_methods", "_netstring", "_sockets"},
    "_serving": {"_connection", "_faults", "_methods", "_plan", "_sockets"},
    "_loop_thread": set(),
    "_server": {
        "_faults", "_loop_thread", "_netstring", "_plan", "_serving", "_sockets",
    },
    "testing": {
        "_connection_faults", "_faults", "_loop_thread", "_methods", "_netstring",
        "_plan", "_server",
    },
}  # fmt: skip
CLIENT = {
    "_base", "_blocking", "_bulk", "_codec", "_dispatcher", "_errors", "_fast",
    "_jsonrpcc", "_options", "_outcome", "_proxy", "_rest", "_stats", "_submit",
    "_texts",
}  # fmt: skip
SERVER = {
    "_connection", "_connection_faults", "_faults", "_loop_thread", "_methods",
    "_netstring", "_plan", "_server", "_serving", "_sockets", "testing",
}  # fmt: skip
IMPORTS["capi"] = {"_base", "_capsule", "_jsonrpcc"}
IMPORTS |= dict.fromkeys(
    ["_base", "_blocking", "_bulk", "_dispatcher", "_client", "_submit", "aio"], CLIENT
)
IMPORTS["_rest"] = {"_base"}
IMPORTS["_texts"] = {"_codec", "_jsonrpcc", "_options"}
FOREIGN = {"socket", "ssl", "select", "selectors", "json", "random", "struct"}


def imports(module):
    """Names of modules that a module imports; those for types alone are left out."""
    tree = ast.parse((PACKAGE / f"{module}.py").read_text())
    ours, others = set(), set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            others |= {each.name.split(".")[0] for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "jsonrpcc":
            ours |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module.startswith("jsonrpcc."):
            ours.add(node.module.removeprefix("jsonrpcc."))
        elif isinstance(node, ast.ImportFrom):
            others.add(node.module.split(".")[0])
    return ours, others


@pytest.mark.parametrize("module", IMPORTS)
def test_a_module_imports_what_it_may(module):
    assert imports(module)[0] <= IMPORTS[module]


@pytest.mark.parametrize(
    "module",
    ["_client", "_dispatcher", "_blocking", "_bulk", "_base", "_submit", "aio"],
)
def test_the_client_leaves_protocol_and_sockets_to_the_core(module):
    assert not imports(module)[1] & FOREIGN


def test_the_server_for_tests_stands_alone():
    """A broken client must not break what it is tested with."""
    for module in SERVER:
        assert not imports(module)[0] & (CLIENT | {"_client", "aio"}), module


def test_the_package_re_exports_and_no_more():
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    assert not any(
        isinstance(node, ast.FunctionDef | ast.ClassDef | ast.If) for node in tree.body
    )
    public = {name for name in vars(jsonrpcc) if not name.startswith("_")}
    modules = {"aio", "capi", "testing"}
    assert set(jsonrpcc.__all__) - {"__version__"} == public - modules
