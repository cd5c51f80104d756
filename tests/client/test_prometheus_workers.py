"""The publisher in several processes: they add up to what the server counted."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from children import run_program
from history import until
from peers import needs_module
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector
from time_limits import PATIENCE
from workers import NO_GUNICORN, UWSGI_MODES, WORKERS, get, gunicorn, uwsgi

from jsonrpcc.testing import Error, Server

SLOW = [pytest.mark.slow, pytest.mark.timeout(900)]


def fail():
    raise Error(-32000, "it failed")


METHODS = {"first": lambda value: value, "fail": fail, "note": lambda: None}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The directory of the multiprocess mode."""
    folder = tmp_path / "metrics"
    folder.mkdir()
    return folder


def published(folder):
    """Return the samples of all processes, added up; works at any time."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(folder))
    return {
        (sample.name, sample.labels.get("outcome") or sample.labels.get("le")):
        sample.value for family in registry.collect() for sample in family.samples
    }  # fmt: skip


def counted(server):
    """Return the expected metrics."""
    asked = Counter(request.method for request in server.requests)
    answers = asked["first"] + asked["fail"]
    return {
        ("jsonrpcc_calls_total", "ok"): asked["first"] + asked["note"],
        ("jsonrpcc_calls_total", "remote_errors"): asked["fail"],
        ("jsonrpcc_calls_total", "closed"): 0,
        ("jsonrpcc_calls_total", "timeouts"): 0,
        ("jsonrpcc_call_duration_seconds_count", None): answers,
        ("jsonrpcc_call_duration_seconds_bucket", "+Inf"): answers,
        ("jsonrpcc_attempts_total", None): sum(asked.values()),
        ("jsonrpcc_server_connects_total", None): server.accepted,
    }


def is_right(server, found):
    return counted(server).items() <= found.items()


@NO_GUNICORN
@pytest.mark.parametrize("preload", [(), ("--preload",)], ids=["", "preload"])
@pytest.mark.parametrize("every", [0.02, 3600], ids=["often", "at the end"])
def test_recycled_workers_add_up(tmp_path, folder, preload, every):
    path, log = tmp_path / "sock", tmp_path / "log"
    config = tmp_path / "gunicorn.conf.py"
    config.write_text(
        "from prometheus_client.multiprocess import mark_process_dead\n\n\n"
        "def child_exit(server, worker):\n"
        "    mark_process_dead(worker.pid)\n"
    )
    options = [f"--config={config}", "--max-requests=8", "--max-requests-jitter=8"]
    environment = {"PROMETHEUS_MULTIPROC_DIR": str(folder), "EVERY": str(every)}
    with Server(METHODS) as server:
        with gunicorn(
            server, path, log, *options, *preload, app="wsgi_publishing", **environment
        ):
            with ThreadPoolExecutor(8) as pool:
                pids = set(pool.map(get, [path] * 80))
            assert len(pids) > WORKERS
            if every < 1:  # without waiting for the end
                until(lambda: is_right(server, published(folder)))
                # Of preloaded ones, only those that have used theirs; and the master.
                clients = range(1, WORKERS + 2) if preload else [WORKERS]
                until(
                    lambda: published(folder).get(("jsonrpcc_clients", None)) in clients
                )
        found = published(folder)
        assert counted(server) == {key: found.get(key) for key in counted(server)}
        # Nobody is there any more.
        for name in ("clients", "in_flight", "server_up", "queued_bytes"):
            assert found.get((f"jsonrpcc_{name}", None), 0) == 0


@NO_GUNICORN
@pytest.mark.parametrize("mode", UWSGI_MODES)
def test_workers_forked_in_c_add_up(tmp_path, folder, mode):
    """If Python is not notified, no thread publishes there, but their end does."""
    needs_module("pyuwsgi")
    path, log = tmp_path / "sock", tmp_path / "log"
    # uWSGI must not fork while a thread of the master runs: its worker waits for it.
    every = {"lazy": "0.02", "told": "1"}.get(mode, "3600")
    environment = {"PROMETHEUS_MULTIPROC_DIR": str(folder), "EVERY": every}
    with Server(METHODS) as server:
        with uwsgi(server, path, log, mode, app="wsgi_publishing", **environment):
            if mode == "lazy":  # one that still loads its application ends with a fault
                until(lambda: log.read_text().count("WSGI app 0") == 2)
            with ThreadPoolExecutor(8) as pool:
                assert all(pool.map(get, [path] * 40))
            if mode in {"lazy", "told"}:
                until(lambda: is_right(server, published(folder)))
        found = published(folder)
        assert counted(server) == {key: found.get(key) for key in counted(server)}


@pytest.mark.parametrize("name", ["pid", "its own"])
def test_a_file_is_there_whole_before_it_is_written(folder, name):
    """Otherwise a scrape that comes while it is empty fails with a struct.error."""
    own = [] if name == "pid" else ["worker-7"]
    environment = {"PROMETHEUS_MULTIPROC_DIR": str(folder)}
    with Server(METHODS) as server:
        ended = run_program(
            "publishing_first.py", server.address, *own, env=environment
        )
        made = ended.report()
    assert made["by others"] == []
    ours = own or [str(made["pid"]), str(made["child"])]
    kinds = ("counter", "histogram", "gauge_livesum", "gauge_livemax")
    assert {path.name for path in folder.iterdir()} == {
        f"{kind}_{each}.db" for kind in kinds for each in ours
    }
    assert published(folder)["jsonrpcc_calls_total", "ok"] == 2


@pytest.mark.parametrize("children", [20, pytest.param(500, marks=SLOW)])
def test_forks_do_not_hang_and_add_up(folder, children):
    """Whatever the publisher's thread is doing, and holding, when it happens."""
    environment = {"PROMETHEUS_MULTIPROC_DIR": str(folder)}
    with Server(METHODS) as server:
        ended = run_program(
            "publishing.py",
            server.address,
            children,
            env=environment,
            limit=(30 + children) * PATIENCE,
        )
        assert ended.report() == {"children": children}
        found = published(folder)
        assert counted(server) == {key: found.get(key) for key in counted(server)}
        # One that does not use the client does not connect for the metrics' sake.
        assert server.accepted == 1 + children - len(range(0, children, 3))


def test_a_fork_in_c_while_metrics_are_written_does_not_hang(folder):
    """The child's share is lost; not the parent's."""
    environment = {"PROMETHEUS_MULTIPROC_DIR": str(folder)}
    with Server(METHODS) as server:
        ended = run_program("publishing_c.py", server.address, env=environment)
        assert ended.report() is True
        assert published(folder)["jsonrpcc_calls_total", "ok"] == 1
        assert len(server.requests) == 2
