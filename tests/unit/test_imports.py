"""Which modules of the package may import which."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import jsonrpcc

PACKAGE = Path(jsonrpcc.__file__).parent

# Modules of the package that a module may import when it is loaded.
IMPORTS = {
    "_errors": set(),
    "_codec": {"_speedups"},
    "_types": set(),
    "_protocol": {"_types"},
    "_proxy": set(),
    "_hints": {"_records"},
    "_durations": set(),
    "_tls": {"_durations", "_jsonrpcc"},
    "_sockets": set(),
    "_hello": {"_errors", "_jsonrpcc"},
    "_options": {"_durations", "_errors", "_hello", "_hints", "_jsonrpcc", "_tls"},
    "_stats": {"_jsonrpcc", "_records", "_tls"},
    "_records": {"_jsonrpcc", "_tls"},
    "_refusals": {"_errors", "_jsonrpcc"},
    "_snapshots": {"_jsonrpcc", "_records", "_tls"},
    "_outcomes": {
        "_durations", "_errors", "_jsonrpcc", "_records", "_snapshots", "_speedups",
        "_tls",
    },
    "_log": {"_errors", "_speedups"},
    "_worker": set(),
    "testing._netstring": set(),
    "testing._sockets": set(),
    "testing._certificates": set(),
    "testing._tls": set(),
    "testing._faults": {"testing._netstring"},
    "testing._connection_faults": {"testing._faults"},
    "testing._owner": {"testing._faults"},
    "testing._schedule": {"testing._faults"},
    "testing._methods": {"testing._faults"},
    "testing._hello": {"testing._methods"},
    "testing._connection": {
        "testing._faults", "testing._methods", "testing._netstring",
        "testing._sockets",
    },
    "testing._service": {
        "testing._certificates", "testing._connection", "testing._faults",
        "testing._hello", "testing._methods", "testing._records",
        "testing._schedule", "testing._sockets", "testing._tls",
    },
    "testing._loop_thread": set(),
    "testing._place": {"testing._sockets"},
    "testing._records": {"testing._faults"},
    "testing._server": {
        "testing._certificates", "testing._faults", "testing._hello",
        "testing._loop_thread", "testing._methods", "testing._netstring",
        "testing._place", "testing._records", "testing._schedule",
        "testing._service",
    },
    "testing._mock": {
        "testing._faults", "testing._methods", "testing._schedule", "testing._server",
    },
    "testing.__init__": {
        "testing._certificates", "testing._connection_faults", "testing._faults",
        "testing._loop_thread", "testing._methods", "testing._mock",
        "testing._netstring", "testing._schedule", "testing._server",
    },
}  # fmt: skip
CLIENT = {
    "_async_base", "_async_map", "_base", "_blocking", "_channel", "_codec", "_crew",
    "_delivery", "_dispatcher", "_durations", "_errors", "_future", "_hello",
    "_hints", "_host", "_jsonrpcc", "_lazy", "_log", "_map", "_options", "_outcomes",
    "_params", "_protocol", "_proxy", "_pump", "_records", "_refusals", "_session",
    "_slow", "_snapshots", "_sockets", "_speedups", "_stats", "_submit", "_tls",
    "_types", "_waits", "_worker",
}  # fmt: skip
SERVER = [name for name in IMPORTS if name.startswith("testing.")]
IMPORTS["_host"] = set()
IMPORTS["_lazy"] = set()
IMPORTS["_slow"] = {"_durations", "_errors", "_jsonrpcc", "_log", "_snapshots"}
IMPORTS["_crew"] = {"_delivery", "_errors", "_jsonrpcc", "_speedups", "_worker"}
IMPORTS["capi"] = {"_base", "_capsule", "_jsonrpcc"}
IMPORTS |= dict.fromkeys(
    [
        "_base",
        "_session",
        "_blocking",
        "_map",
        "_dispatcher",
        "_client",
        "_submit",
        "_channel",
        "_async_base",
        "aio",
        "anyio",
    ],
    CLIENT,
)
IMPORTS["otel"] = {"_base", "_errors", "_otel_clients", "_otel_map", "_params"}
IMPORTS["_otel_clients"] = {"_errors", "_otel_map"}
IMPORTS["_otel_map"] = {"_errors"}
IMPORTS["_pump"] = set()
IMPORTS["_waits"] = {"_lazy"}
IMPORTS["_delivery"] = {"_jsonrpcc", "_session", "_speedups"}
IMPORTS["_multiprocess"] = set()
IMPORTS["_metrics"] = {"_records", "_stats"}
IMPORTS["prometheus"] = {
    "_base", "_client", "_durations", "_jsonrpcc", "_log", "_metrics",
    "_multiprocess", "_options", "_records", "_snapshots", "_stats",
}  # fmt: skip
IMPORTS["_params"] = {
    "_codec",
    "_durations",
    "_jsonrpcc",
    "_options",
    "_speedups",
    "_types",
}
FOREIGN = {"socket", "ssl", "select", "selectors", "json", "random", "struct"}


def imports(module):
    """Return the modules that a module imports, except those only for types."""
    tree = ast.parse((PACKAGE / f"{module.replace('.', '/')}.py").read_text())
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
    [
        "_client",
        "_dispatcher",
        "_blocking",
        "_map",
        "_base",
        "_session",
        "_submit",
        "_channel",
        "_async_base",
        "_pump",
        "_waits",
        "aio",
        "anyio",
    ],
)
def test_the_client_leaves_protocol_and_sockets_to_the_core(module):
    assert not imports(module)[1] & FOREIGN


def test_the_server_for_tests_stands_alone():
    """A broken client must not break the server that it is tested with."""
    for module in SERVER:
        assert not imports(module)[0] & (CLIENT | {"_client", "aio"}), module


def test_the_package_re_exports_and_no_more():
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    assert not any(
        isinstance(node, ast.FunctionDef | ast.ClassDef | ast.If) for node in tree.body
    )
    public = {name for name in vars(jsonrpcc) if not name.startswith("_")}
    modules = {"aio", "anyio", "capi", "otel", "prometheus", "testing"}
    assert set(jsonrpcc.__all__) - {"__version__"} == public - modules


def test_what_is_not_asked_for_is_not_imported():
    code = (
        "import sys, jsonrpcc.testing, jsonrpcc.__main__\n"
        "unwanted = ('prometheus_client', 'anyio', 'opentelemetry')\n"
        "print([m for m in sys.modules if m.startswith(unwanted)])"
    )
    command = [sys.executable, "-c", code]
    assert subprocess.check_output(command, text=True) == "[]\n"
