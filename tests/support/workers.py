"""Prefork servers that run programs/wsgi.py and the like, and their workers."""

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
from children import PROGRAMS, SUPPORT
from history import LIMIT, until
from time_limits import ASAN, TSAN

# TSan puts a signal off until its thread does what TSan knows to block.  ASan's
# malloc() keeps a lock that another thread held at a fork: the child waits for ever.
NO_GUNICORN = pytest.mark.skipif(
    ASAN or TSAN,
    reason="gunicorn's workers do not see SIGTERM under TSan, client or not"
    if TSAN
    else "a worker may hang in ASan's malloc(), whose locks are not made for fork()",
)

WORKERS = 3  # of gunicorn


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("workers", timeout=LIMIT)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(LIMIT)
        self.sock.connect(self.path)


def listens(path):
    """Return whether somebody listens: the file exists a moment earlier."""
    with contextlib.closing(UnixConnection(path)) as connection:
        try:
            connection.connect()
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        return True


@contextlib.contextmanager
def master_of(command, server, path, log, environment, *, limit=LIMIT):
    """The master process; it ends on TERM, within the limit and without output."""
    environment = {
        **os.environ, "PYTHONPATH": f"{PROGRAMS}:{SUPPORT}",
        "JSONRPC_SERVER": server.address,
        "HOME": str(path.parent), **environment,
    }  # fmt: skip
    with log.open("w") as file:
        master = subprocess.Popen(command, env=environment, stderr=file, stdout=file)
        try:
            until(lambda: listens(path), what="the master")
            yield master
            master.send_signal(signal.SIGTERM)
            assert master.wait(limit) == 0
        finally:
            if master.poll() is None:
                master.kill()
                master.wait()
    text = log.read_text()
    assert "Traceback" not in text, text
    assert "WORKER TIMEOUT" not in text, text
    assert "KILL" not in text, text  # no process had to be killed


def gunicorn(server, path, log, *options, app="wsgi", **environment):
    """The master process of gunicorn, see `master_of`."""
    command = [
        sys.executable, "-m", "gunicorn", f"--workers={WORKERS}",
        f"--bind=unix:{path}", f"--graceful-timeout={LIMIT:.0f}", *options, app,
    ]  # fmt: skip
    return master_of(command, server, path, log, environment, limit=2 * LIMIT)


UWSGI = "import sys, pyuwsgi; pyuwsgi.run(sys.argv[1:])"
UWSGI_MODES = {
    "default": (),
    "threads": ("--enable-threads",),
    "lazy": ("--enable-threads", "--lazy-apps"),
    "told": ("--enable-threads", "--py-call-osafterfork"),
}


def uwsgi(server, path, log, mode, *, app="wsgi", **environment):
    """The master process of uWSGI, see `master_of`."""
    command = [
        sys.executable, "-c", UWSGI, "--http-socket", path, "--master",
        "--processes", "2", "--need-app", "--die-on-term",
        "--worker-reload-mercy", "5", "--module", app, *UWSGI_MODES[mode],
    ]  # fmt: skip
    return master_of(command, server, path, log, environment)


def get(path):
    with contextlib.closing(UnixConnection(path)) as connection:
        connection.request("GET", "/")
        answer = json.loads(connection.getresponse().read())
    assert answer["right"], answer
    return answer["pid"]


def all_workers(path, count):
    """Ask, many at once, until so many workers have answered."""
    pids = set()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:

        def more():
            pids.update(pool.map(get, [path] * 24))
            return len(pids) >= count

        until(more, what=f"{count} workers")
    return pids
