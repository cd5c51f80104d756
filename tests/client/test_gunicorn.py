"""gunicorn --preload: one client made in the master, used by all the workers."""

import concurrent.futures
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys

import pytest
from children import NO_GUNICORN, PROGRAMS
from history import LIMIT, until

from jsonrpcc.testing import Server

WORKERS = 3


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("gunicorn", timeout=LIMIT)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(LIMIT)
        self.sock.connect(self.path)


def listens(path):
    """The file is there a moment before anybody listens."""
    with contextlib.closing(UnixConnection(path)) as connection:
        try:
            connection.connect()
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        return True


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


def get(path):
    with contextlib.closing(UnixConnection(path)) as connection:
        connection.request("GET", "/")
        answer = json.loads(connection.getresponse().read())
    assert answer["right"], answer
    return answer["pid"]


def all_workers(path, count=WORKERS):
    """Ask, many at once, until so many workers have answered."""
    pids = set()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:

        def more():
            pids.update(pool.map(get, [path] * 24))
            return len(pids) >= count

        until(more, what=f"{count} workers")
    return pids


@NO_GUNICORN
@pytest.mark.parametrize(
    ("options", "load"),
    [((), ""), ((), "yes"), (("--threads=4",), ""), (("--threads=4",), "yes")],
    ids=["sync", "sync, under load", "threads", "threads, under load"],
)
def test_workers_share_a_preloaded_client(server, tmp_path, options, load):
    path, log = tmp_path / "sock", tmp_path / "log"
    with gunicorn(server, path, log, *options, load=load) as master:
        pids = all_workers(path)
        assert len(pids) == WORKERS
        assert master.pid not in pids
        # One connection each, the master's included.
        assert server.accepted == WORKERS + 1
        # A worker that is killed is replaced by another fork of the master.
        os.kill(min(pids), signal.SIGTERM)
        everyone = all_workers(path) | pids
        until(lambda: everyone.update(all_workers(path)) or len(everyone) > WORKERS)
    server.wait_for_connections(0)
    assert server.invalid == []
