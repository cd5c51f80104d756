"""examples/discovery with Debian's etcd: servers come and go while calls are made."""

import base64
import contextlib
import importlib.util
import itertools
import json
import signal
import subprocess
import threading
import urllib.request

import peers
import pytest
from history import LIMIT, METHODS, History, until
from snippets import ROOT
from time_limits import TOOLS

from jsonrpcc.testing import Server
from jsonrpcc.testing._sockets import bound

EXAMPLE = ROOT / "examples" / "discovery" / "etcd_servers.py"
THREADS = 4


class Etcd:
    """An etcd of one member, which may be killed and started again."""

    def __init__(self, folder, client_port, peer_port):
        self.url = f"http://127.0.0.1:{client_port}"
        self.log = folder / "etcd.log"
        peer = f"http://127.0.0.1:{peer_port}"
        self._command = [
            peers.program("etcd"), f"--data-dir={folder}/data",
            f"--listen-client-urls={self.url}", f"--advertise-client-urls={self.url}",
            f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}", "--logger=zap",
        ]  # fmt: skip
        self._process = None

    def start(self):
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                self._command, env=TOOLS, stdout=log, stderr=log
            )
        until(self._answers, 3 * LIMIT, "etcd")

    def _answers(self):
        assert self._process.poll() is None, self.log.read_text()
        with contextlib.suppress(OSError):
            return self.ask("kv/range", key="/")
        return None

    def kill(self):
        self._process.kill()
        self._process.wait()

    def stop(self):
        self._process.terminate()
        assert self._process.wait(LIMIT) in (0, -signal.SIGTERM)

    def ask(self, path, **question):
        coded = {
            name: base64.b64encode(text.encode()).decode()
            for name, text in question.items()
        }
        text = json.dumps(coded).encode()
        url = f"{self.url}/v3/{path}"
        with urllib.request.urlopen(url, text, timeout=LIMIT) as answer:  # noqa: S310
            return json.load(answer)

    def register(self, name, entry):
        self.ask("kv/put", key=f"/services/users/{name}", value=entry)

    def remove(self, name):
        self.ask("kv/deleterange", key=f"/services/users/{name}")


@pytest.fixture
def etcd(tmp_path):
    # Bound but not listening, they keep others from taking the ports.
    with bound("127.0.0.1", 0) as one, bound("127.0.0.1", 0) as other:
        etcd = Etcd(tmp_path, *(each.getsockname()[1] for each in (one, other)))
        etcd.start()
        yield etcd
        etcd.kill()


@pytest.fixture
def example(etcd, monkeypatch):
    monkeypatch.setenv("ETCD", etcd.url)
    spec = importlib.util.spec_from_file_location("etcd_servers", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def servers():
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Server(METHODS)) for _ in range(3)]


@contextlib.contextmanager
def following(example, etcd):
    """The client of the example; its thread ends with the next change."""
    client = example.make_client()
    (thread,) = (each for each in threading.enumerate() if each.name == "etcd")
    with client:
        yield client
    numbers = itertools.count()

    def is_over():
        etcd.register("last", f"127.0.0.1:{next(numbers) % 9 + 1}")
        thread.join(0.5)
        return not thread.is_alive()

    until(is_over, what="the end of the thread")


@contextlib.contextmanager
def calling(client):
    """Call from several threads meanwhile; no call may fail."""
    history, over = History(), threading.Event()

    def run():
        while not over.wait(0.001):
            history.call(client)

    threads = [threading.Thread(target=run) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    try:
        yield history
    finally:
        over.set()
        for thread in threads:
            thread.join()


def await_list(client, *servers):
    wanted = {server.address for server in servers}
    until(lambda: {server.address for server in client.servers()} == wanted)


def await_calls(*servers):
    before = [len(server.requests) for server in servers]
    until(lambda: all(
        len(server.requests) > count + 5
        for server, count in zip(servers, before, strict=True)
    ))  # fmt: skip


def test_servers_come_and_go_and_no_call_is_lost(etcd, example, servers):
    one, two, three = servers
    etcd.register("one", one.address)
    etcd.register("two", two.address)
    with following(example, etcd) as client, calling(client) as history:
        await_list(client, one, two)
        for _ in range(3):
            etcd.register("three", three.address)
            await_list(client, one, two, three)
            await_calls(one, two, three)
            etcd.remove("one")
            etcd.remove("two")
            await_list(client, three)
            etcd.register("one", one.address)
            etcd.register("two", two.address)
            await_list(client, one, two, three)
            etcd.remove("three")
            await_list(client, one, two)
    assert len(history.entries) > 100
    assert history.errors() == []
    history.check(*servers)


def test_while_etcd_is_down_the_list_stays(etcd, example, servers):
    one, two, three = servers
    etcd.register("one", one.address)
    etcd.register("two", two.address)
    with following(example, etcd) as client, calling(client) as history:
        for end in (etcd.kill, etcd.stop):
            await_list(client, one, two)
            changes = client.stats().list_changes
            end()
            for _ in range(5):
                await_calls(one, two)
            assert client.stats().list_changes == changes
            etcd.start()
            etcd.register("three", three.address)
            await_list(client, one, two, three)
            etcd.remove("three")
    assert history.errors() == []
    history.check(*servers)


def test_what_is_not_a_list_changes_nothing(etcd, example, servers, caplog):
    one, two, _ = servers
    etcd.register("one", one.address)
    with following(example, etcd) as client:
        etcd.register("two", "tcp://two:1")
        until(lambda: "no scheme is expected" in caplog.text)
        await_list(client, one)
        etcd.register("two", two.address)
        await_list(client, one, two)
        etcd.remove("one")
        etcd.remove("two")
        until(lambda: "kvs" not in etcd.ask("kv/range", key="/services/users/two"))
        etcd.register("one", "nonsense")  # the next that it hears of
        until(lambda: caplog.text.count("WARNING") == 2)
        assert client.servers()
        assert client.call("echo", [1]) == [1]
        etcd.register("one", one.address)
        etcd.remove("two")
        await_list(client, one)


def test_a_change_between_the_list_and_the_watch_is_not_missed(
    etcd, example, servers, monkeypatch
):
    one, two, _ = servers
    ask = example.ask

    def ask_late(path, question):
        if path == "watch":
            etcd.register("two", two.address)
        return ask(path, question)

    monkeypatch.setattr(example, "ask", ask_late)
    etcd.register("one", one.address)
    with following(example, etcd) as client:
        await_list(client, one, two)
        monkeypatch.undo()
