"""gunicorn --preload: one client made in the master, used by all the workers."""

import contextlib
import os
import signal
import subprocess
import sys

import pytest
from children import NO_GUNICORN, PROGRAMS
from history import LIMIT, until
from workers import all_workers, listens

from jsonrpcc.testing import Server

WORKERS = 3


def first(value):
    return value


@pytest.fixture
def server():
    with Server({"first": first}, keep=100) as server:
        yield server


@contextlib.contextmanager
def gunicorn(server, path, log, *options, load=""):
    """The master process; it ends with TERM, within the limit and without a word."""
    environment = {
        **os.environ, "PYTHONPATH": str(PROGRAMS), "JSONRPC_SERVER": server.address,
        "LOAD": load, "HOME": str(path.parent),
    }  # fmt: skip
    with log.open("w") as file:
        master = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "--preload", f"--workers={WORKERS}",
             f"--bind=unix:{path}", "--graceful-timeout=5", *options, "wsgi"],
            env=environment, stderr=file, stdout=file,
        )  # fmt: skip
        try:
            until(lambda: listens(path), what="gunicorn")
            yield master
            master.send_signal(signal.SIGTERM)
            assert master.wait(LIMIT) == 0
        finally:
            if master.poll() is None:
                master.kill()
                master.wait()
    text = log.read_text()
    assert "Traceback" not in text, text
    assert "WORKER TIMEOUT" not in text, text
    assert "SIGKILL" not in text, text  # nobody had to be killed


@NO_GUNICORN
@pytest.mark.parametrize(
    ("options", "load"),
    [((), ""), ((), "yes"), (("--threads=4",), ""), (("--threads=4",), "yes")],
    ids=["sync", "sync, under load", "threads", "threads, under load"],
)
def test_workers_share_a_preloaded_client(server, tmp_path, options, load):
    path, log = tmp_path / "sock", tmp_path / "log"
    with gunicorn(server, path, log, *options, load=load) as master:
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
