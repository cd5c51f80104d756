"""Signals reach the program as if the client were not there."""

import asyncio
import sys

import pytest
from children import CHILD_LIMIT, run_program
from history import METHODS
from time_limits import PATIENCE, THREADS_OF_TSAN

from jsonrpcc import AsyncClient, Client
from jsonrpcc.testing import Drop, NeverRead, Server


def fail(*_):
    raise ValueError


@pytest.fixture
def server():
    methods = {
        **METHODS,
        "silence": lambda: None,
        "fail": fail,
        "first": lambda *params, n=None: params[0] if params else n,
        "stop_reading": lambda: server.misbehave(NeverRead()),
    }
    with Server(methods, faults={"silence": Drop()}, keep=10) as server:
        yield server


def test_interrupted_system_calls_are_invisible(server):
    """1000 signals a second without SA_RESTART disturb no call."""
    report = run_program("signals.py", "timer", server.address).report()
    assert report["ticks"] > 500
    assert report["calls"] > 100
    assert report["errors"] == []


def test_no_signal_finds_what_waits_for_a_call_without_an_owner(server):
    """Handlers run where Python code goes on: none may raise there and leak it."""
    seen = set()

    def note(frame, event, function):
        if event == "c_return":
            seen.add(function.__name__)

    with Client(server.address) as client:
        sys.setprofile(note)
        try:
            assert client.call("echo", [1]) == [1]
        finally:
            sys.setprofile(None)
    assert "jsonrpcc_client_new" not in seen, "only the call is looked at"
    assert "cast" in seen, "the call made what waits for it, by Python code"
    assert "jsonrpcc_sync_new" not in seen


@pytest.mark.parametrize("own", [0, 99])
@pytest.mark.parametrize(("use", "step"), [("create", 41), ("close", 13), ("drop", 7)])
def test_what_is_interrupted_leaves_nothing_behind(server, use, step, own):
    check_interrupted(server, use, own, step)


@pytest.mark.parametrize(("use", "step"), [("open", 5), ("close", 2), ("drop", 5)])
def test_what_is_interrupted_in_an_event_loop_leaves_nothing_behind(server, use, step):
    check_interrupted_async(server, use, step)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("use", ["open", "close", "drop"])
def test_whatever_is_interrupted_in_an_event_loop_leaves_nothing_behind(server, use):
    check_interrupted_async(server, use, 1, limit=300)


def check_interrupted_async(server, use, step, **options):
    arguments = use, step, server.address
    report = run_program("interrupted_async.py", *arguments, **options).report()
    assert report["problems"] == []
    assert report["moments"] > 10


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("own", [0, 99])
@pytest.mark.parametrize("use", ["create", "close", "drop"])
def test_what_is_interrupted_at_any_moment_leaves_nothing_behind(server, use, own):
    check_interrupted(server, use, own, 1, limit=300)


def check_interrupted(server, use, own, step, **options):
    arguments = use, own, step, server.address
    report = run_program("interrupted.py", *arguments, **options).report()
    assert report["problems"] == []
    assert report["moments"] > 10


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_no_signal_finds_a_client_without_an_owner(server, kind):
    seen = set()

    def note(frame, event, function):
        if event == "c_return":
            seen.add(function.__name__)

    sys.setprofile(note)
    try:
        client = kind(server.address)
    finally:
        sys.setprofile(None)
    if kind is Client:
        client.close()
    else:
        asyncio.run(client.close())
    assert "new" in seen, "the options were made, by Python code"
    assert "jsonrpcc_client_new" not in seen


def test_ctrl_c_ends_a_blocking_call_within_200_ms(server):
    """The call is abandoned; the client goes on."""
    report = run_program("signals.py", "interrupt", server.address).report()
    assert report["interrupts"] == 40
    assert report["longest"] < 0.2 * PATIENCE


BLOCKING = [
    "call",
    "call waiting for a server",
    "proxy",
    "map",
    "drain",
    "drain with a limit",
    "future",
    "future with a limit",
    "close",
    "close lingers",
    "full: call",
    "full: request",
    "full: submit",
    "full: notification",
    "full: map",
    "asyncio.run",
]


@pytest.mark.parametrize("kind", BLOCKING)
def test_ctrl_c_ends_whatever_blocks(server, kind):
    """Within 200 ms, five times; and the client can be used afterwards."""
    report = run_program("signals.py", kind, server.address).report()
    assert report["longest"] < 0.2 * PATIENCE


def test_a_handler_that_raises_in_request_hurts_no_other_call(server):
    report = run_program("signals.py", "raise", server.address).report()
    assert report["raised"] > 30
    assert report["accepted"] > 1000


STYLES = ["request", "submit", "call", "notification", "map", "await"]


def check_raising(server, how, style, seconds):
    limit = float(seconds) + CHILD_LIMIT
    arguments = how, style, server.address, seconds
    report = run_program("raising.py", *arguments, limit=limit).report()
    assert report["raised"] > 3
    assert report["wrong"] == report["twice"] == report["lost"] == []
    return report


@pytest.mark.parametrize("style", STYLES)
def test_whatever_is_raised_no_call_gets_the_answer_of_another(server, style):
    """In every way of making a call, and while waiting for room."""
    check_raising(server, "signal", style, "1")


def check_values(server, style, seconds):
    report = check_raising(server, "value", style, seconds)
    assert report["swallowed"] == 0


@pytest.mark.parametrize("style", STYLES[:-1])
def test_what_a_handler_raises_is_never_taken_for_bad_params(server, style):
    """Although it is a ValueError, it reaches the caller unchanged."""
    check_values(server, style, "1")


@pytest.mark.parametrize("style", STYLES[:-1])
def test_an_exception_set_from_another_thread_hurts_no_other_call(server, style):
    check_raising(server, "thread", style, "0.5")


def check_killing(server, seconds):
    limit = float(seconds) + CHILD_LIMIT
    report = run_program("killing.py", server.address, seconds, limit=limit).report()
    assert report["hits"]["first step"] == report["clients"] > 3
    assert report["hits"]["any step"] > 30
    assert report["kinds"] == ["Outside"], "the hits did nothing, or something else"
    assert report["wrong"] == []


def test_no_exception_set_from_outside_ends_the_callbacks(server):
    """Neither one before the first step of their thread, nor one between two calls."""
    check_killing(server, "1")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_exception_set_from_outside_ends_the_callbacks_for_long(server):
    check_killing(server, "30")


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("style", STYLES)
def test_whatever_is_raised_for_long(server, style):
    check_raising(server, "signal", style, "20")
    if style != "await":
        check_values(server, style, "20")
    if style != "await":
        check_raising(server, "thread", style, "20")


def test_sigpipe_and_all_dispositions_are_untouched(server):
    """Writing to connections that the server closes raises no signal."""

    def close():
        server.drop_connections(reset=True)

    server._core.methods["close"] = type(next(iter(server._core.methods.values())))(
        close
    )
    report = run_program("signals.py", "pipe", server.address).report()
    # The event thread blocks all of them.
    assert report["blocking"] == 1 + THREADS_OF_TSAN
