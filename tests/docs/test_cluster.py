"""examples/cluster: its judge finds each fault; "make soak" runs the show itself."""

import importlib.util
import os
import socket
import subprocess
import sys

import pytest
from compiling import CC, ROOT, link_flags
from history import until
from time_limits import TOOLS

from jsonrpcc import Client

CLUSTER = ROOT / "examples" / "cluster"


def load(name):
    spec = importlib.util.spec_from_file_location(
        f"cluster_{name}", CLUSTER / f"{name}.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ledger = load("ledger")


@pytest.fixture
def book(tmp_path):
    """A ledger without faults: eight calls, each run once and answered once."""
    book = ledger.Ledger(tmp_path / "ledger", 8)
    for call in range(8):
        run(book, call)
        book.note(call, "answered")
    return book


def run(book, call, times=1):
    with book.path.open("r+b") as file:
        file.seek(ledger.LIVES * ledger.LIFE.size + call)
        file.write(bytes([times]))


def found(book):
    return {what: count for what, count in ledger.faults(book).items() if count}


def test_nothing_is_wrong(book):
    assert ledger.faults(book)
    assert not found(book)
    book.note(2, "unknown")  # one more than there should be
    assert found(book) == {"with more than one outcome": 1}


@pytest.mark.parametrize(("call", "runs", "fate", "what"), [
    (1, 2, "answered", None),  # it may be sent again
    (2, 1, "unknown", None),
    (2, 0, "not_sent", None),
    (1, 1, None, "without an outcome"),
    (1, 1, "unknown", "idempotent, and failed"),
    (2, 2, "answered", "not idempotent, and run twice"),
    (2, 1, "not_sent", "not sent, and run"),
    (2, 0, "answered", "answered, and not run"),
])  # fmt: skip
def test_each_fault_is_found(tmp_path, book, call, runs, fate, what):
    other = ledger.Ledger(tmp_path / "other", 8)
    for each in range(8):
        run(other, each, 1 if each != call else runs)
        if each != call:
            other.note(each, "answered")
        elif fate:
            other.note(each, fate)
    assert found(other) == ({what: 1} if what else {})


def test_the_server_counts_what_it_runs_and_remembers_it(tmp_path):
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        free_port = sock.getsockname()[1]
    program, book = tmp_path / "witness", ledger.Ledger(tmp_path / "ledger", 8)
    subprocess.run(
        [CC, "-std=gnu11", CLUSTER / "witness.c", "-o", program, *link_flags()],
        check=True,
    )
    command = [program, book.path, "8", "3", "127.0.0.1", str(free_port), "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout.readline() == "ready\n"
        with Client(f"127.0.0.1:{free_port}") as client:
            assert [client.call("work", [n]) for n in (0, 5, 5, 7)] == [0, 5, 5, 7]
            server.kill()
            until(lambda: client.servers()[0].losses)
    assert list(book.runs) == [1, 0, 0, 0, 0, 2, 0, 1]
    assert book.life(3) == (4, 1)


def test_where_namespaces_are_not_permitted_it_says_so(tmp_path):
    unshare = tmp_path / "unshare"
    unshare.write_text(
        "#!/bin/sh\necho 'unshare: Operation not permitted' >&2; exit 1\n"
    )
    unshare.chmod(0o755)
    done = subprocess.run(
        [sys.executable, CLUSTER], capture_output=True, text=True, check=False,
        env={**TOOLS, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == "no namespaces here: unshare: Operation not permitted\n"
