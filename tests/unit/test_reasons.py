"""The lists of what the C tests leave out, and why: all that they name exists."""

import importlib
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LISTS = ROOT / "tests" / "c"


@pytest.fixture(scope="module")
def script():
    """Import a module of scripts/."""
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        yield importlib.import_module
    finally:
        sys.path.remove(str(ROOT / "scripts"))


def test_every_survivor_is_a_current_mutant(script):
    mutate, mutants = script("mutate"), script("mutants")
    known = mutate.known_survivors()
    names = {m.name() for file in mutate.FILES for m in mutants.mutants_of(file)}
    assert len(known) >= 100
    assert known <= names


def test_every_survivor_has_a_reason():
    text = (LISTS / "survivors.txt").read_text().split("\n\n", 1)[1]
    assert re.fullmatch(r"((\S.* => .*\n)+( {4}\S.*\n)+)+", text)


def test_every_uncovered_function_exists(script):
    known = script("coverage").reasons()
    assert len(known) >= 100
    for file, function in known:
        text = (ROOT / "csrc" / file).read_text()
        # A definition begins its line, with its type or with its name.
        found = re.search(rf"^(\w[^;\n]*[ *])?{function}\(", text, re.MULTILINE)
        assert found, f"{file} {function}"
