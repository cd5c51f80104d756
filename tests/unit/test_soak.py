"""The soak's own tools: what it adds up, what it takes for ours, what it reports."""

import importlib
import json
import re
import sys
import tomllib
from pathlib import Path

import pytest
from children import CHILD_LIMIT, run_program

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests" / "soak"


@pytest.fixture(scope="module")
def soak():
    """The package; tests/ is no package for pytest, but for "python -m" it is."""
    sys.path.insert(0, str(ROOT))
    try:
        yield lambda name: importlib.import_module(f"tests.soak.{name}")
    finally:
        sys.path.remove(str(ROOT))


def test_every_bug_names_a_test_that_exists():
    bugs = tomllib.loads((FOLDER / "bugs.toml").read_text())["bug"]
    assert len(bugs) >= 20
    for bug in bugs:
        assert bug.keys() == {"what", "found_by", "cause", "fix", "test"}
        path, _, name = bug["test"].partition("::")
        text = (ROOT / path).read_text()
        assert re.search(rf"(def|void) {name}\(", text), bug["test"]


def test_rounds_are_added_up(soak):
    run = soak("run")
    total = run.Result(3, "calls", 0, {"latest": 0.5, "faults": {"a": 1}}, ["no nft"])
    total.add(run.Result(4, "calls", 1, {"latest": 0.2, "faults": {"a": 2, "b": 1}},
                         ["no nft"]))  # fmt: skip
    assert total == run.Result(
        7, "calls", 1, {"latest": 0.5, "faults": {"a": 3, "b": 1}}, ["no nft"]
    )


LEAKS = """
=================================================================
==1==ERROR: LeakSanitizer: detected memory leaks

Direct leak of 8 byte(s) in 1 object(s) allocated from:
    #0 0x1 in malloc
    #1 0x2 in PyMem_RawMalloc (/usr/lib/libpython3.so)

Direct leak of 64 byte(s) in 1 object(s) allocated from:
    #0 0x1 in malloc
    #1 0x2 in jsonrpcc_queue_new (/x/jsonrpcc/_jsonrpcc.abi3.so+0x1)
    #2 0x3 in PyObject_Call (/usr/lib/libpython3.so)

Indirect leak of 9 byte(s) in 1 object(s) allocated from:
    #0 0x1 in strdup
    #1 0x2 in jsonrpcc_client_new /x/csrc/client/client.c:5
"""


def test_leaks_with_a_frame_of_ours_count(soak):
    ours = soak("sanitizers").reports_of_ours(LEAKS)
    assert len(ours) == 2
    assert "queue_new" in ours[0]
    assert "client_new" in ours[1]
    assert soak("sanitizers").reports_of_ours(LEAKS.replace("_jsonrpcc", "other")
                                        .replace("/csrc/", "/")) == []  # fmt: skip


OBJECT = """
Direct leak of 48 byte(s) in 1 object(s) allocated from:
    #0 0x1 in malloc
    #1 0x2 in _PyObject_New Objects/object.c:176
    #2 0x3 in request csrc/python/callbacks.c:29
"""
ENDED = """
Direct leak of 32 byte(s) in 1 object(s) allocated from:
    #0 0x1 in malloc
    #1 0x2 in thread_PyThread_start_new_thread Modules/_threadmodule.c:1184
"""


def test_leaks_of_threads_that_the_interpreter_ended_do_not_count(soak):
    ours = soak("sanitizers").reports_of_ours
    assert len(ours(LEAKS + OBJECT)) == 3
    assert len(ours(LEAKS + OBJECT + ENDED)) == 2


CRASH = """
AddressSanitizer:DEADLYSIGNAL
=================================================================
==7==ERROR: AddressSanitizer: SEGV on unknown address 0x0 (pc 0x0 bp 0x0 sp 0x0 T0)
    #0 0x1 in PyObject_Call (/usr/lib/libpython3.so)
"""


def test_an_error_counts_without_a_frame_of_ours(soak):
    others = soak("sanitizers").errors_of_others
    assert others(LEAKS) == []
    (error,) = others(CRASH + LEAKS)
    assert "SEGV" in error
    through_us = CRASH + "    #1 0x2 in call csrc/python/blocking.c:9\n"
    assert others(through_us) == []
    assert len(soak("sanitizers").reports_of_ours(through_us)) == 1


FRAMES = """
Direct leak of 64 byte(s) in 1 object(s) allocated from:
    #0 0x1 in malloc
    #1 0x2 in {} csrc/{}.c:37
"""
PYTHON = """
Direct leak of 3027 byte(s) in 3 object(s) allocated from:
    #0 0x1 in malloc
    #1 0x2  (/lib/x86_64-linux-gnu/libffi.so.8+0x6f79)
"""
PLANTED = [("jsonrpcc_sync_new", "sync"), ("spd_request", "python/callbacks")]


def test_what_is_planted_goes_through_functions_of_today(soak):
    for frame in soak("sanitizers").PLANTED.values():
        name, _, path = frame.removeprefix("in ").partition(" ")
        files = [ROOT / path] if path else (ROOT / "csrc").rglob("*.c")
        assert any(
            re.search(rf"^(\w.*[ *])?{name}\(", file.read_text(), re.MULTILINE)
            for file in files
        ), frame


def test_planted_leaks_have_to_be_found_but_not_those_of_python(soak):
    missed = soak("sanitizers").missed_of_planted
    ours = [FRAMES.format(*each) for each in PLANTED]
    assert missed(["".join(ours) + PYTHON]) == []
    assert missed([*ours, PYTHON]) == []
    assert missed([*ours[1:], PYTHON]) == ["the core"]
    assert missed([*ours[:1], PYTHON]) == ["_speedups"]
    # LSan has to have seen it, so that it is our judgement that it is silent.
    assert missed(ours) == ["Python"]
    through_us = PYTHON + "    #2 0x3 in call csrc/python/blocking.c:9\n"
    assert missed([*ours, through_us]) == ["Python"]


@pytest.mark.parametrize(
    ("runs", "kinds"),
    [
        ([[0, 0, 0], [2, 3, 1], [-2, 1, 0], [5, 1, 0], [1, 1, 0]], []),
        ([[1, 0, 0]] * 5, ["references"]),
        ([[1, 0, 0]] * 4 + [[0, 0, 0]], []),
        ([[0, 10, 0]] * 5, ["blocks of memory"]),
        ([[0, 9, 0]] * 5, []),  # for reuse, but not for every call
        ([[10, 10, 1]] * 5, ["references", "blocks of memory", "descriptors"]),
        ([[-2, 0, 0]] * 5, []),
        ([[-10, 0, 0]] * 5, ["references given back twice"]),
    ],
)
def test_what_grows_in_every_run_is_a_leak(soak, runs, kinds):
    assert soak("sanitizers").kept({"times": 50, "runs": runs}) == kinds


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_entry_points_leave_nothing_behind(soak):
    """In any build of Python, which counts no references, but blocks of memory."""
    kept = soak("sanitizers").kept
    report = run_program("references.py", 20, limit=8 * CHILD_LIMIT).report()
    assert "blocks of memory" in kept(report.pop("planted"))
    found = {name: kept(each) for name, each in report.items()}
    assert not {name: kinds for name, kinds in found.items() if kinds}


def test_files_left_out_by_the_sanitizers_exist(soak):
    sanitizers = soak("sanitizers")
    names = {path.stem for path in (ROOT / "tests").glob("*/test_*.py")}
    assert sanitizers.LEFT_OUT.keys() < names
    assert set(sanitizers.MEMCHECKED) < names


def test_errors_in_our_code_count(soak):
    error = (
        "==1==ERROR: AddressSanitizer: heap-use-after-free on address 0x1\n"
        "    #0 0x1 in publish /x/csrc/api/queue.c:120\n"
    )
    undefined = "csrc/engine/engine.c:9:3: runtime error: signed integer overflow\n"
    assert len(soak("sanitizers").reports_of_ours(error)) == 1
    assert len(soak("sanitizers").reports_of_ours(undefined)) == 1


def test_a_stage_that_does_not_finish_has_failed(soak, tmp_path, monkeypatch):
    run = soak("run")
    monkeypatch.setattr(run, "OUT", tmp_path)
    stage = run.Stage("x", 1)
    bad = tmp_path / "test_bad.py"
    bad.write_text("def test_one():\n    assert True\n\ndef test_two():\n    exit(9)\n")
    result = stage.pytest(bad, "-p", "no:randomly")
    assert result.failures >= 1
    # By exitcode=0, a process that ASan ends looks like one that came to its end.
    bad.write_text("import os\n\ndef test_one():\n    os._exit(0)\n")
    assert stage.pytest(bad).failures == 1
    bad.write_text("import pytest\npytest.skip('no', allow_module_level=True)\n")
    assert stage.pytest(bad).failures == 0
    bad.write_text("def test_one():\n    assert True\n")
    result = stage.pytest(bad)
    assert (result.trials, result.failures) == (1, 0)


def test_the_report_has_its_n_with_every_zero(soak, tmp_path):
    report = soak("report")
    record = {
        "trials": 3000,
        "unit": "calls",
        "failures": 0,
        "figures": {"faults": {"a": 2}},
        "notes": ["no nft"],
        "stage": "chaos",
        "seconds": 60.0,
        "commit": "abc",
        "date": "2026-01-01 00:00 UTC",
    }
    (tmp_path / "chaos.json").write_text(json.dumps(record))
    report.write(tmp_path / "out.md", tmp_path, list(soak("stages").STAGES))
    text = (tmp_path / "out.md").read_text()
    assert "0 failures in 3,000 calls (less than 1 in 1,000)" in text
    assert "no nft" in text
    assert "### fuzz" in text
    assert all(f"| P{n} |" in text for n in range(1, 16))


def test_every_stage_is_described_and_every_promise_has_one(soak):
    report, stages = soak("report"), soak("stages").STAGES
    assert report.STAGES.keys() == stages.keys()
    tried = {stage for each in report.PROMISES.values() for stage in each["tried"]}
    # Mutants prove no promise: they prove the tests.
    assert tried | {"mutants", "site"} == stages.keys()
