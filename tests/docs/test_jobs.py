"""The examples for each job: a web service, a pool, a test suite, a notebook."""

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import peers
import pytest
from history import LIMIT, until
from workers import NO_GUNICORN

from jsonrpcc.testing import Delay, Error, Server

EXAMPLES = Path(__file__).parents[2] / "examples"
WORKERS = 2


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@contextlib.contextmanager
def two_servers(methods=None):
    """The better one and the other, and how an example learns of them."""
    methods = methods or {"add": lambda a, b: a + b}
    with Server(methods) as best, Server(methods) as other:
        yield best, other, f"{best.address},2 {other.address},1"


@contextlib.contextmanager
def running(command, log, **options):
    """Run a program; SIGTERM ends it without a traceback."""
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, **options)
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(2 * LIMIT) in (0, -signal.SIGTERM), log.read_text()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert "Traceback" not in log.read_text(), log.read_text()


class Web:
    def __init__(self, port):
        self.port = port

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT)
        with contextlib.closing(connection):
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode(), response.headers

    def is_there(self):
        with contextlib.suppress(OSError):
            return self.get("/")
        return None

    def sum(self):
        status, body, _ = self.get("/sum/1/2")
        assert status == 200, body
        answer = json.loads(body)
        assert answer["sum"] == 3
        return answer["worker"]


# ---- web ---------------------------------------------------------------------------


@pytest.fixture
def fastapi(tmp_path):
    for module in ("fastapi", "uvicorn"):
        peers.needs_module(module)
    web = Web(free_port())
    with two_servers({"add": lambda a, b: a + b if b else fail()}) as servers:
        command = [
            sys.executable, "-W", "error::ResourceWarning", "-m", "uvicorn",
            "--app-dir", EXAMPLES / "web", f"--workers={WORKERS}",
            f"--port={web.port}", "app:app",
        ]  # fmt: skip
        env = {**os.environ, "JSONRPCC_SERVERS": servers[2]}
        with running(command, tmp_path / "log", env=env):
            until(web.is_there, 3 * LIMIT, what="uvicorn")
            yield web, *servers[:2]


def fail():
    raise Error(5, "no zero")


@pytest.mark.timeout(180)
def test_web(fastapi):
    web, best, other = fastapi
    found = set()

    def all_workers():
        found.add(web.sum())
        return len(found) == WORKERS

    until(all_workers, what="both workers")
    assert other.requests == []
    # One client a worker, whatever the number of requests.
    assert best.accepted == WORKERS

    status, body, headers = web.get("/sum/1/0")
    assert (status, json.loads(body)) == (502, {"error": "no zero"})
    assert "Retry-After" not in headers

    best.misbehave(Delay(5))
    status, body, _ = web.get("/sum/1/2")
    assert (status, json.loads(body)) == (504, {"error": "timeout"})
    best.behave()

    stop = threading.Event()
    faults = []

    def ask():
        while not stop.is_set():
            try:
                web.sum()
            except Exception as error:
                faults.append(error)
                raise

    with contextlib.ExitStack() as stack:
        for _ in range(2):
            thread = threading.Thread(target=ask)
            thread.start()
            stack.callback(thread.join)
        stack.callback(stop.set)
        best.wait_for_requests(len(best.requests) + 20)
        best.stop()  # under load: the calls are idempotent, so none fails
        other.wait_for_requests(20)
    assert faults == []

    status, body, _ = web.get("/ready")
    states = json.loads(body)
    assert (status, states[other.address]) == (200, "up")
    other.stop()

    def unavailable():
        status, _, headers = web.get("/sum/1/2")
        return status == 503 and headers["Retry-After"] == "1"

    until(unavailable, what="503")
    assert web.get("/ready")[0] == 503


# ---- prefork -----------------------------------------------------------------------


@NO_GUNICORN
@pytest.mark.timeout(180)
def test_prefork(tmp_path):
    peers.needs_module("gunicorn")
    web = Web(free_port())
    with two_servers() as (best, _, servers):
        command = [
            sys.executable, "-m", "gunicorn", f"--bind=127.0.0.1:{web.port}",
            "--max-requests=20", "--max-requests-jitter=5", "app:app",
        ]  # fmt: skip
        metrics = tmp_path / "metrics"
        metrics.mkdir()
        env = {
            **os.environ, "JSONRPCC_SERVERS": servers,
            "PROMETHEUS_MULTIPROC_DIR": str(metrics), "HOME": str(tmp_path),
        }  # fmt: skip
        with running(command, tmp_path / "log", env=env, cwd=EXAMPLES / "prefork"):
            until(web.is_there, 3 * LIMIT, what="gunicorn")
            found = set()
            for n in range(150):
                status, body, _ = web.get(f"/sum?a={n}&b=1")
                answer = json.loads(body)
                assert (status, answer["sum"]) == (200, n + 1)
                found.add(answer["worker"])
            assert len(found) > 3  # recycled
            assert web.get("/sum?a=x")[0] == 400

            def counted():
                text = web.get("/metrics")[1]
                line = r'^jsonrpcc_calls_total{client="prefork",outcome="ok"} (\S+)$'
                match = re.search(line, text, re.MULTILINE)
                return match and float(match[1]) == len(best.requests) == 150

            until(counted, what="each call in the metrics")


# ---- worker ------------------------------------------------------------------------


def pool(servers, jobs):
    return subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / "worker" / "pool.py", servers],
        input="\n".join(map(str, jobs)), capture_output=True, text=True,
        timeout=4 * LIMIT, check=False,
    )  # fmt: skip


@pytest.mark.timeout(120)
def test_worker():
    """A server dies while the pool works, and no job is lost."""
    with two_servers() as (best, other, servers):

        def kill():
            best.wait_for_requests(100, timeout=4 * LIMIT)
            best.stop()

        killer = threading.Thread(target=kill)
        killer.start()
        done = pool(servers, range(2000))
        killer.join()
        assert other.requests
    assert done.returncode == 0
    log = done.stderr.splitlines()  # of the clients
    assert all(line.startswith("pool: ") for line in log), done.stderr
    assert any(line.endswith(" failed over") for line in log)
    assert sorted(done.stdout.splitlines()) == sorted(
        f"{n}: {n + 1}" for n in range(2000)
    )


@pytest.mark.timeout(120)
def test_worker_says_what_to_do_with_a_job_that_failed():
    with two_servers({"add": lambda a, b: a + b if a else fail()}) as (*_, servers):
        done = pool(servers, [0, 1])
    assert (done.returncode, done.stderr) == (1, "")
    lines = sorted(done.stdout.splitlines())
    assert lines[0].startswith("0: failed, ask first: add at 127.0.0.1:")
    assert lines[1] == "1: 2"


# ---- tests -------------------------------------------------------------------------


def run_tests(folder):
    env = {**os.environ, "PYTHONPATH": str(EXAMPLES.parent)}
    env.pop("PYTEST_ADDOPTS", None)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
         f"--rootdir={folder}", "-c", os.devnull, folder],
        capture_output=True, text=True, env=env, timeout=4 * LIMIT, check=False,
    )  # fmt: skip


def test_tests():
    done = run_tests(EXAMPLES / "tests")
    assert done.returncode == 0, done.stdout
    assert "7 passed" in done.stdout


@pytest.mark.parametrize(
    ("given", "wanted", "failed"),
    [
        (
            "idempotent=True", "idempotent=False",
            ["test_balance_survives_a_lost_connection"],
        ),
        (
            '"transfer", params',
            '"transfer", params, idempotent=True, wait_for_ready=True',
            ["test_a_transfer_is_never_repeated[lost]"],
        ),
        ('== "not_sent"', '!= "not_sent"', ["test_a_transfer_without_a_server"]),
        ("error.code == ", "error.code != ", ["test_transfer_of_too_much"]),
    ],
)  # fmt: skip
def test_tests_notice_a_fault(tmp_path, given, wanted, failed):
    folder = shutil.copytree(EXAMPLES / "tests", tmp_path / "tests")
    program = folder / "accounts.py"
    text = program.read_text()
    assert given in text
    program.write_text(text.replace(given, wanted))
    done = run_tests(folder)
    assert done.returncode == 1, done.stdout
    for name in failed:
        assert re.search(rf"^FAILED .*{re.escape(name)}", done.stdout, re.MULTILINE)


# ---- notebook ----------------------------------------------------------------------


@pytest.mark.timeout(180)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Jupyter's
def test_notebook(tmp_path):
    nbclient, nbformat = peers.module("nbclient"), peers.module("nbformat")
    peers.needs_module("ipykernel")
    notebook = nbformat.read(EXAMPLES / "notebook" / "calls.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    client = nbclient.NotebookClient(
        notebook, timeout=3 * LIMIT, resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    printed = [
        output["text"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output["output_type"] == "stream"
    ]
    squares = sum(n * n for n in range(10_000))
    assert printed[:4] == [
        "144\n", "-32603 answered\n", f"{squares}\n", "[0, 1, 4, 9, 16]\n"
    ]  # fmt: skip
    assert printed[4].startswith("10002 answers\n")
