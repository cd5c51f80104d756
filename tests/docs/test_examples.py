"""The examples run as they are, and the demo shows what it promises."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from jsonrpcc.testing import Server

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
LIMIT = 50.0  # time limit of an example, in seconds


def run(name, *args):
    return subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / name, *args],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )


@pytest.fixture
def demo():
    spec = importlib.util.spec_from_file_location("demo", EXAMPLES / "demo.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def in_order(text, *wanted):
    at = 0
    for each in wanted:
        at = text.index(each, at) + len(each)


@pytest.mark.timeout(60)
def test_demo_shows_failover_and_the_way_back():
    done = run("demo.py")
    assert (done.returncode, done.stderr) == (0, "")
    in_order(
        done.stdout,
        "both primaries share the traffic",
        "the primary 1",
        "lost the primary 1",
        "all traffic goes to the other primary",
        "lost the primary 2",
        "failed over to the backup",
        "back to the primary 1",
        "connected to the primary 2",
        "both primaries share the traffic again",
        "exactly one outcome",
        "\nserver ",
        "requests: ",
    )


def test_demo_fails_when_a_promise_is_broken(demo, monkeypatch, capsys):
    """The demo reports it when a kill does not work, or a failover does not happen."""
    monkeypatch.setattr(demo, "PHASE", 100)
    monkeypatch.setattr(demo, "LIMIT", 3.0)
    monkeypatch.setattr(demo.Server, "kill", lambda self: None)
    assert demo.main() == 1
    assert "demo: FAILED: not within 3 s: lost primary 1" in capsys.readouterr().err


def test_demo_leaves_no_process_behind(demo, monkeypatch):
    monkeypatch.setattr(demo, "PHASE", 100)
    started = []
    start = demo.Server.start

    def noting(server):
        start(server)
        started.append(server.process)

    monkeypatch.setattr(demo.Server, "start", noting)
    assert demo.main() == 0
    assert len(started) == 5
    assert all(process.returncode is not None for process in started)


def test_calls():
    own = run("calls.py")
    assert (own.returncode, own.stderr) == (0, "")
    assert own.stdout.splitlines() == [
        "callback: 3",
        "blocking: 3",
        "by proxy: 3",
        "raised: -32601 Method not found",
        "futures: [0, 2, 4, 6, 8]",
        "map: 50005000",
        "await: 3",
        "gather: [0, 2, 4, 6, 8]",
    ]
    with Server({"add": lambda a, b: a + b}) as server:
        yours = run("calls.py", server.address)
        assert yours.stdout == own.stdout
        methods = [r.method for r in server.requests if r.notification]
        assert methods == ["log", "log"]


def test_faults():
    done = run("faults.py")
    assert done.returncode == 0
    assert done.stdout == "[[1], [2], [3], [4]]\n"
