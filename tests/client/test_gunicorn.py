"""gunicorn --preload: one client made in the master, used by all the workers."""

import os
import signal

import pytest
from history import until
from workers import NO_GUNICORN, WORKERS, all_workers, gunicorn

from jsonrpcc.testing import Server


def first(value):
    return value


@pytest.fixture
def server():
    with Server({"first": first}, keep=100) as server:
        yield server


@NO_GUNICORN
@pytest.mark.parametrize(
    ("options", "load"),
    [
        ((), ""),
        ((), "threads"),
        (("--threads=4",), ""),
        (("--threads=4",), "threads"),
    ],
    ids=["sync", "sync, under load", "threads", "threads, under load"],
)
def test_workers_share_a_preloaded_client(server, tmp_path, options, load):
    path, log = tmp_path / "sock", tmp_path / "log"
    with gunicorn(server, path, log, "--preload", *options, LOAD=load) as master:
        pids = all_workers(path, WORKERS)
        assert len(pids) == WORKERS
        assert master.pid not in pids
        # One connection each, the master's included.
        assert server.accepted == WORKERS + 1
        # A worker that is killed is replaced by another fork of the master.
        os.kill(min(pids), signal.SIGTERM)
        everyone = all_workers(path, WORKERS) | pids
        until(
            lambda: (
                everyone.update(all_workers(path, WORKERS)) or len(everyone) > WORKERS
            )
        )
    server.wait_for_connections(0)
    assert server.invalid == []
