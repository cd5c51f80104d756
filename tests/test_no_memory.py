"""Python out of memory in jsonrpcc._fast: each allocation fails once."""

import importlib.util

import pytest
from firing import METHODS, run_program

from jsonrpcc.testing import Drop, Server


@pytest.mark.skipif(
    importlib.util.find_spec("_testcapi") is None,
    reason="this Python comes without _testcapi, which makes allocations fail",
)
def test_an_allocation_that_fails_is_a_memory_error_and_no_call_is_lost():
    methods = {**METHODS, "silence": print}
    with Server(methods, faults={"silence": Drop()}, keep=1) as server:
        ended = run_program("no_memory.py", server.address)
    report = ended.report()
    for name, each in report.items():
        assert each["failed"] > 0, name
        assert each["fine"] > 0, name
        # Whoever is told MemoryError has no call, and all others have one.
        assert each.get("counted", each["fine"]) == each["fine"], name
