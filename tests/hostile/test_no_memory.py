"""Python out of memory: a call that raises MemoryError is not made; none is lost."""

import importlib.util

import pytest
from children import run_program
from history import METHODS

from jsonrpcc.testing import Delay, Drop, Payload, Server

pytestmark = pytest.mark.skipif(
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
        # Those that raised MemoryError made no call, and all others made one.
        assert each.get("counted", each["fine"]) == each["fine"], name


def test_no_memory_for_an_outcome_delays_it():
    """The codec is Python's own, as msgspec crashes where there is no memory."""
    methods = {**METHODS, "slow": int, "odd": int, "silence": int}
    late = Delay(0.01)
    # More digits than Python converts to an int.
    odd = Payload('{"jsonrpc":"2.0","id":$id,"result":%s}' % ("1" * 5000))
    faults = {"slow": late, "odd": [late, odd], "silence": Drop()}
    with Server(methods, faults=faults, keep=1) as server:
        ended = run_program("no_memory_to_tell.py", server.address)
    for each in ended.report():
        assert each["told_once"] == each["calls"]
        assert each["wrong"] == 0
