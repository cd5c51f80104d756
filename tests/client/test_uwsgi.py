"""uWSGI: its master forks in C, in most modes without a word to Python."""

import contextlib
import os
import signal
import subprocess
import sys

import pytest
from children import NO_GUNICORN, PROGRAMS
from history import LIMIT, until
from peers import needs_module
from workers import all_workers, listens

from jsonrpcc.testing import Server

WORKERS = 2
UWSGI = "import sys, pyuwsgi; pyuwsgi.run(sys.argv[1:])"


def first(value):
    return value


@pytest.fixture
def server():
    with Server({"first": first}, keep=100) as server:
        yield server


@contextlib.contextmanager
def uwsgi(server, path, log, *options, load=""):
    """The master process; it ends with TERM, within the limit and without a word."""
    environment = {
        **os.environ, "PYTHONPATH": str(PROGRAMS), "JSONRPC_SERVER": server.address,
        "LOAD": load, "HOME": str(path.parent),
    }  # fmt: skip
    with log.open("w") as file:
        master = subprocess.Popen(
            [sys.executable, "-c", UWSGI, "--http-socket", path, "--master",
             "--processes", str(WORKERS), "--need-app", "--die-on-term",
             "--worker-reload-mercy", "5", "--module", "wsgi", *options],
            env=environment, stderr=file, stdout=file,
        )  # fmt: skip
        try:
            until(lambda: listens(path), what="uWSGI")
            yield master
            master.send_signal(signal.SIGTERM)
            assert master.wait(LIMIT) == 0
        finally:
            if master.poll() is None:
                master.kill()
                master.wait()
    text = log.read_text()
    assert "Traceback" not in text, text
    assert "KILL" not in text, text  # nobody had to be killed


MODES = {
    "default": (),
    "threads": ("--enable-threads",),
    "lazy": ("--enable-threads", "--lazy-apps"),
    "told": ("--enable-threads", "--py-call-osafterfork"),
}


@NO_GUNICORN
@pytest.mark.parametrize("mode", MODES)
def test_every_style_of_call_works_in_the_workers(server, tmp_path, mode):
    """Threads of the master, or of the lazy worker, call all the time."""
    needs_module("pyuwsgi")
    path, log = tmp_path / "sock", tmp_path / "log"
    with uwsgi(server, path, log, *MODES[mode], load="yes") as master:
        pids = all_workers(path, WORKERS)
        assert master.pid not in pids
        # A worker that is killed is replaced by another fork of the master.
        os.kill(min(pids), signal.SIGKILL)
        everyone = set(pids)
        until(lambda: everyone.update(all_workers(path, 1)) or len(everyone) > WORKERS)
    server.wait_for_connections(0)
    assert server.invalid == []
