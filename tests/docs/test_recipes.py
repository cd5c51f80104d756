"""The recipes of docs/recipes.md, with the frameworks that they are for."""

import importlib.util
import io
import json
import os
import re
import subprocess
import sys
import wsgiref.util

import peers
import pytest
from history import LIMIT, until
from snippets import ROOT, read

from jsonrpcc.testing import Delay, Error, Server

RECIPES = ROOT / "examples" / "recipes"


def add(a, b):
    if b == 0:
        raise Error(5, "no zero")
    return a + b


@pytest.fixture
def server():
    with Server({"add": add}) as server:
        yield server


@pytest.fixture
def load(server, monkeypatch):
    """Import a recipe, for the server of the test; its client is closed afterwards."""
    modules = []

    def load(name):
        monkeypatch.setenv("JSONRPCC_SERVERS", server.address)
        spec = importlib.util.spec_from_file_location(name, RECIPES / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        modules.append(module)
        return module

    yield load
    for module in modules:
        if hasattr(module, "client"):
            module.client.close()


def get(app, path):
    """Ask a WSGI application."""
    environ, found = {"PATH_INFO": path, "wsgi.input": io.BytesIO()}, []
    wsgiref.util.setup_testing_defaults(environ)
    body = b"".join(app(environ, lambda status, _: found.append(status)))
    return int(found[0].split()[0]), json.loads(body)


@pytest.mark.parametrize("framework", ["flask", "django"])
def test_web_frameworks(framework, load, server):
    peers.needs_module(framework)
    module = load(f"{framework}_app")
    app = module.app if framework == "flask" else module.application
    assert get(app, "/sum/1/2") == (200, {"sum": 3})
    assert get(app, "/sum/1/0") == (502, {"error": "no zero"})
    if framework == "flask":
        server.misbehave(Delay(5))
        assert get(app, "/sum/1/2") == (504, {"error": "timeout"})
    server.stop()
    until(lambda: get(app, "/sum/1/2") == (503, {"error": "no server"}))


@pytest.fixture
def broker(tmp_path):
    """A Redis of its own: kombu's broker in files reads what is half written."""
    socket = tmp_path / "redis"
    command = [
        peers.program("redis-server"), "--port", "0", "--unixsocket", socket,
        "--save", "", "--dir", tmp_path,
    ]  # fmt: skip
    with (tmp_path / "redis.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        until(socket.exists, LIMIT)
        yield f"redis+socket://{socket}"
    finally:
        process.terminate()
        process.wait(LIMIT)


@pytest.mark.timeout(120)
def test_celery(server, broker, tmp_path):
    """In a pool of two processes; while there is no server, nothing is lost."""
    peers.needs_module("celery")
    peers.needs_module("redis")
    env = {
        **os.environ, "BROKER": broker, "JSONRPCC_SERVERS": server.address,
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT, RECIPES))),
    }  # fmt: skip
    worker = [
        sys.executable, "-m", "celery", "-A", "celery_tasks",
        "--result-backend", broker,
        "worker", "--loglevel=INFO", "--concurrency=2", "--without-gossip",
        "--without-mingle",
    ]  # fmt: skip
    ask = (
        "from celery_tasks import add, app, client\n"
        f"app.conf.result_backend = {broker!r}\n"
        "client.close()\n"
        "results = [add.delay(n, 1) for n in range(20)]\n"
        f"print([result.get(timeout={6 * LIMIT}) for result in results])\n"
    )
    server.stop()
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            worker, cwd=tmp_path, env=env, stdout=log, stderr=log
        )  # fmt: skip
    try:
        asking = subprocess.Popen(
            [sys.executable, "-c", ask], env=env, stdout=subprocess.PIPE, text=True
        )
        until(lambda: "Retry in 0.5s" in (tmp_path / "log").read_text(), 4 * LIMIT)
        server.start()
        printed, _ = asking.communicate(timeout=6 * LIMIT)
        assert printed == f"{[n + 1 for n in range(20)]}\n"
        assert sorted(request.params[0] for request in server.requests) == [*range(20)]
    finally:
        process.terminate()
        process.wait(4 * LIMIT)
        print((tmp_path / "log").read_text())


def test_each_recipe_says_whether_the_tests_run_it():
    """And the recipes that they run are shown as they are run."""
    page = read("docs/recipes.md")
    sections = re.split(r"^## ", page, flags=re.MULTILINE)[1:]
    assert len(sections) >= 8
    for section in sections:
        said = re.findall(
            r"^\*(Run by the tests|Not run)\b.*\*$", section, re.MULTILINE
        )
        assert len(said) == 1, section.partition("\n")[0]
        files = re.findall(r"literalinclude\} \.\./(\S+)", section)
        assert all((ROOT / name).is_file() for name in files)
        if said == ["Not run"]:
            assert not files
    shown = re.findall(r"literalinclude\} \.\./examples/(\S+)", page)
    written = {
        str(path.relative_to(ROOT / "examples")) for path in RECIPES.glob("*.py")
    }
    assert written <= set(shown)


def test_trio(server, load):
    trio = peers.module("trio")
    peers.needs_module("anyio")
    server.add_method("slow", lambda: None)
    server.misbehave(Delay(LIMIT), method="slow")
    results, was_cancelled, total = trio.run(load("trio_program").main)
    assert results == {n: 2 * n for n in range(1, 10)}
    assert was_cancelled
    assert total == 10


@pytest.mark.parametrize("source", [
    "### Kubernetes: a ConfigMap", "### consul-template and confd", "## Kubernetes",
    "## Consul", "## etcd", "HAProxy (", "nginx (",
])  # fmt: skip
def test_each_source_of_servers_says_whether_it_was_run(source):
    said = r"\s*\*(its stream module, )?([Nn]ot run|[Rr]un)\b"
    page = read("docs/discovery.md")
    assert re.search(f"^{re.escape(source)}{said}", page, re.MULTILINE)
