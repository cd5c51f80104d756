"""Whom a file needs, in C and in Python: the ways go down, and never in a circle."""

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
# types too.  `testing` is another program, and stands on nothing of this.
TIERS = [
    {"_jsonrpcc", "_capsule", "_speedups"},
    {"_errors", "_codec", "_durations", "_host", "_proxy", "_types", "_worker"},
    {"_protocol", "_tls"},
    {"_records"},
    {"_hints", "_stats"},
    {"_options"},
    {"_params"},
    {"_metrics"},
    {"_log", "_session"},
    {"_base", "_delivery", "_map", "_submit"},
    {"_blocking", "_channel", "_dispatcher"},
    {"_async_map"},
    {"_client", "aio", "capi"},
    {"jsonrpcc", "prometheus"},  # the first is its __init__
    {"_commands"},
    {"_serve"},
    {"__main__"},
]


def nouns_of_c():
    """A noun is x.h with its x.c: what its parts include together."""
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
    """What a module imports anywhere in it, for types too; by full names."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are by full names"
            names = [f"{node.module}.{each.name}" for each in node.names]
            # Either it is a module, or something in one.
            yield from (name if name in MODULES else node.module for name in names)


def modules_of_python():
    """What our modules import of each other, and those that help the tests."""
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
    """For one that is empty has no circles either."""
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
