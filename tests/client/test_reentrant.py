"""
A client used while it is in use: by signal handlers, finalizers and threads.

None of them may hang, or come to harm, whenever it comes.
"""

import threading

import pytest
from children import run_program
from helpers import in_threads, until
from history import METHODS

from jsonrpcc import Client
from jsonrpcc._dispatcher import Dispatcher
from jsonrpcc.testing import Server

FAR, NEAR = 600, 1  # seconds until a long run has failed; every single moment


@pytest.fixture
def server():
    with Server(METHODS, keep=0) as server:
        yield server


def check(server, how, kind, number, least, **options):
    args = how, kind, number, server.address
    report = run_program("reentrant.py", *args, **options).report()
    assert report["problems"] == []
    assert report["moments"] >= least


@pytest.mark.parametrize(
    ("how", "kind", "step", "least"),
    [
        ("moments", "construct", 61, 10),
        ("moments", "request", 5, 20),
        ("moments", "submit", 5, 20),
        ("moments", "drain", 7, 10),
        ("moments", "close", 23, 5),
        ("closing", "submit", 17, 5),
        ("child", "request", 97, 3),
        ("collector", "call_unusually", 1, 2),
        ("signals", "request", 100, 100),
    ],
)
def test_a_use_may_be_interrupted_by_others(server, how, kind, step, least):
    check(server, how, kind, step, least)


ALL = ["request", "submit", "call", "call_unusually", "notify", "bulk", "drain",
       "look", "close"]  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(FAR)
@pytest.mark.parametrize(
    ("how", "kind", "number"),
    [
        ("moments", "construct", NEAR),
        *(("moments", kind, NEAR) for kind in ALL),
        *(("closing", kind, NEAR) for kind in ALL),
        *(("child", kind, 3) for kind in ALL),
        *(("collector", kind, NEAR) for kind in ("construct", *ALL)),
        *(("signals", kind, 3000) for kind in ALL if kind != "close"),
    ],
)
def test_a_use_may_be_interrupted_at_any_moment(server, how, kind, number):
    check(server, how, kind, number, 1, limit=FAR)


def test_a_first_use_by_many_threads_is_one(server):
    """A thread that comes too late has done nothing yet: events are reported, once."""
    told = []
    with Client(server.address, on_event=told.append) as client:
        for _ in range(20):
            client._dispatchers.clear()
            client._bind(None, None)
            barrier = threading.Barrier(8)
            found = []

            def use(barrier=barrier, found=found):
                barrier.wait(5)
                found.append(client._open())
                assert client.submit("echo", [1]).result(5) == [1]

            in_threads(*[use] * 8)
            assert len(set(map(id, found))) == 1
            Dispatcher(client._session)  # too late
        until(lambda: any(event.kind == "connected" for event in told))
        before = len(told)
        server.drop_connections()
        until(lambda: any(event.kind == "lost" for event in told[before:]))
