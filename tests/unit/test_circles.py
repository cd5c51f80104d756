"""What files include and import, in C and Python: only downwards, never in circles."""

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import jsonrpcc

ROOT = Path(__file__).resolve().parents[2]
CSRC = ROOT / "csrc"
SUPPORT = ROOT / "tests" / "support"
PACKAGE = Path(jsonrpcc.__file__).parent

# The modules of the client from the ground up: each may import those below it, for
# types too.  `testing` is another program, which uses none of them.
TIERS = [
    {"_jsonrpcc", "_capsule", "_speedups"},
    {"_errors", "_codec", "_durations", "_host", "_lazy", "_proxy", "_sockets"},
    {"_pump", "_types", "_waits", "_worker"},
    {"_protocol", "_tls"},
    {"_records", "_refusals"},
    {"_hints", "_snapshots", "_stats"},
    {"_outcomes", "_params"},
    {"_hello"},
    {"_options"},
    {"_metrics", "_multiprocess"},
    {"_log"},
    {"_slow"},
    {"_session"},
    {"_base", "_delivery", "_map", "_submit"},
    {"_blocking", "_channel", "_crew"},
    {"_dispatcher"},
    {"_async_map", "_future"},
    {"_async_base"},
    {"_client", "aio", "anyio", "capi"},
    {"jsonrpcc"},  # its __init__
    {"_otel_map"},
    {"_otel_clients"},
    {"otel", "prometheus"},
    {"_cli", "_cli.colours", "_cli.connecting", "_cli.exits"},
    {"_cli.output"},
    {"_cli.arguments", "_cli.bench_plan", "_cli.client_options", "_cli.lines",
     "_cli.notify", "_cli.probe", "_cli.serve", "_cli.watch"},
    {"_cli.bench_options", "_cli.bench_worker"},
    {"_cli.bench_report", "_cli.call", "_cli.checks", "_cli.parser", "_cli.servers",
     "_cli.top"},
    {"_cli.bench", "_cli.completion", "_cli.doctor", "_cli.main", "_cli.shell"},
    {"__main__"},
]  # fmt: skip


def nouns_of_c():
    """Return what each noun includes: x.h together with its x.c."""
    needs = {}
    for path in CSRC.rglob("*.[ch]"):
        noun = str(path.relative_to(CSRC).with_suffix(""))
        found = re.findall(
            r'^\s*#\s*include\s+"([^"]+)', path.read_text(), re.MULTILINE
        )
        theirs = {str(Path(name).with_suffix("")) for name in found}
        needs.setdefault(noun, set()).update(theirs - {noun})
    return needs


def imported(path):
    """Yield the full names of all that a module imports, even for types only."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are by full names"
            names = [f"{node.module}.{each.name}" for each in node.names]
            # Either it is a module, or something in one.
            yield from (name if name in MODULES else node.module for name in names)


def modules_of_python():
    """Return what modules import from each other, including the tests' helpers."""
    needs = {}
    for name, paths in MODULES.items():
        found = {each for path in paths for each in imported(path)}
        needs[name] = (found & MODULES.keys()) - {name}
    return needs


def named_modules():
    modules = {}
    for path in [*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.pyi")]:
        parts = ("jsonrpcc", *path.relative_to(PACKAGE).with_suffix("").parts)
        name = ".".join(part for part in parts if part != "__init__")
        modules.setdefault(name, []).append(path)
    return modules | {path.stem: [path] for path in SUPPORT.glob("*.py")}


MODULES = named_modules()
GRAPHS = {"C": nouns_of_c(), "Python": modules_of_python()}


@pytest.mark.parametrize("language", GRAPHS)
def test_nothing_needs_itself_in_a_circle(language):
    try:
        TopologicalSorter(GRAPHS[language]).prepare()
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


def test_the_graphs_are_drawn():
    """An empty graph would have no circles either."""
    assert "io/loop" in GRAPHS["C"]["client/core"]
    assert "jsonrpcc._session" in GRAPHS["Python"]["jsonrpcc._map"]  # for types alone
    assert "jsonrpcc.testing._faults" in GRAPHS["Python"]["jsonrpcc.testing._owner"]
    assert "time_limits" in GRAPHS["Python"]["helpers"]


def test_a_module_imports_from_below():
    tiers = {name: n for n, tier in enumerate(TIERS) for name in tier}
    of_the_client = {
        name: name.removeprefix("jsonrpcc.")
        for name in MODULES
        if name.partition(".")[0] == "jsonrpcc" and ".testing" not in name
    }
    assert tiers.keys() == set(of_the_client.values())
    for name, short in of_the_client.items():
        for each in GRAPHS["Python"][name] & of_the_client.keys():
            assert tiers[of_the_client[each]] < tiers[short], f"{name} imports {each}"
