"""fork() while threads submit and the loop is busy: an idle fork would prove little."""

import os
import time

import pytest
from children import run_program
from history import METHODS
from time_limits import PATIENCE

from jsonrpcc.testing import Drop, Server

FORKS = 20  # per action
LONG = 50 * PATIENCE  # seconds: under a sanitizer, each child looks for leaks


def first(value):
    return value


@pytest.fixture
def server():
    methods = {**METHODS, "child": first, "aio": first, "silence": lambda: None}
    with Server(methods, faults={"silence": Drop()}) as server:
        yield server


def check_parent(server, report):
    """All of the parent's calls ran once, on one connection, and were answered."""
    assert report["errors"] == []
    assert report["lost"] == 0
    nonces = [r.params[0] for r in server.requests if r.method == "echo"]
    nonces = [nonce for nonce in nonces if nonce >= 0]
    assert len(nonces) == len(set(nonces))
    assert len(nonces) > FORKS
    assert len(nonces) <= report["calls"]
    assert server.invalid == []  # nobody wrote into another's stream


@pytest.mark.parametrize(
    "action",
    [
        "_exit",
        "exit",
        "use",
        "use_and_close",
        "close",
        "closing",
        "drop",
        "look",
        "new",
        "aio",
        "fork_again",
        "cancel",
        "change",
        "callback",
        "fork",
        "spawn",
        "forkserver",
        "pool",
        "aio_inherited",
        "loop",
    ],
)
def test_fork_under_load(server, action):
    count = {"cancel": 3, "spawn": 4, "forkserver": 6, "pool": 5}.get(action, FORKS)
    report = run_program("forks.py", action, count, server.address, limit=LONG).report()
    assert report["ended"] == {"code 0": count}
    check_parent(server, report)


@pytest.mark.parametrize("action", ["use", "use_and_close", "change", "look"])
def test_fork_with_several_connections(server, action):
    """They are replaced meanwhile."""
    report = run_program(
        "forks.py", action, FORKS, server.address, 3, limit=LONG
    ).report()
    assert report["ended"] == {"code 0": FORKS}
    check_parent(server, report)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("action", ["exit", "use_and_close", "aio", "callback", "loop"])
def test_hundreds_of_forks(server, action):
    count = int(os.environ.get("JSONRPCC_FORKS", "300"))
    report = run_program("forks.py", action, count, server.address, limit=580).report()
    assert report["ended"] == {"code 0": count}
    assert report["errors"] == []
    assert report["lost"] == 0
    assert server.invalid == []


def test_exec_inherits_no_descriptor(server):
    """Only 0, 1, 2 and the one that ls itself uses to read the list."""
    report = run_program("forks.py", "exec", FORKS, server.address).report()
    assert report["ended"] == {"code 0, descriptors ['0', '1', '2', '3']": FORKS}
    check_parent(server, report)


def test_a_preloaded_client_serves_all_workers(server):
    """gunicorn --preload: made before fork(), used in four children and the parent."""
    began = time.monotonic()
    report = run_program("preload.py", server.address).report()
    assert report["ended"] == [0, 0, 0, 0]
    assert report["calls"] == [500] * 5
    assert server.accepted == 5
    assert len(server.requests) == 2500
    assert time.monotonic() - began < 20
