"""uWSGI: its master forks in C, in most modes without telling Python."""

import os
import signal

import pytest
from history import until
from peers import needs_module
from workers import NO_GUNICORN, UWSGI_MODES, all_workers, uwsgi

from jsonrpcc.testing import Server

WORKERS = 2


def first(value):
    return value


@pytest.fixture
def server():
    with Server({"first": first}, keep=100) as server:
        yield server


@NO_GUNICORN
@pytest.mark.parametrize("mode", UWSGI_MODES)
def test_every_style_of_call_works_in_the_workers(server, tmp_path, mode):
    """
    The client is in use when its process is forked, or when the worker has it.

    A Python thread that waits for the GIL at a fork without hooks hangs the child,
    client or not; so it is the event thread that is at work in a master.
    """
    needs_module("pyuwsgi")
    path, log = tmp_path / "sock", tmp_path / "log"
    load = "threads" if mode == "lazy" else "flood"
    with uwsgi(server, path, log, mode, LOAD=load) as master:
        pids = all_workers(path, WORKERS)
        assert master.pid not in pids
        # A worker that is killed is replaced by another fork of the master.
        os.kill(min(pids), signal.SIGKILL)
        everyone = set(pids)
        until(lambda: everyone.update(all_workers(path, 1)) or len(everyone) > WORKERS)
    server.wait_for_connections(0)
    assert server.invalid == []
