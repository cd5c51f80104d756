"""
HAProxy: with no backend behind it, at a better priority than a healthy server; and
with several, over which it spreads connections, not calls.
"""

import contextlib
import functools
import socket
import subprocess
import threading
import time
from collections import Counter

import pytest
from children import ServerProcess
from history import LIMIT, METHODS, echo, until, wait_for_state
from peers import program
from snippets import blocks
from time_limits import TOOLS
from tls_peers import nginx_module, running

from jsonrpcc import Client, JsonRpcError
from jsonrpcc.testing import Server

CONFIG = """
global
  maxconn 200
defaults
  mode tcp
  timeout connect 500ms
  timeout client 60s
  timeout server 60s
frontend f
  bind fd@{fd}
  default_backend b
backend b
{servers}
"""
THREADS = 16


@contextlib.contextmanager
def haproxy(directory, *backends):
    """Run HAProxy on a port that the kernel chose; yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        servers = "\n".join(
            f"  server s{n} {address} check inter 100ms rise 1 fall 1"
            for n, address in enumerate(backends)
        )
        listener.set_inheritable(True)
        path = directory / "ha.cfg"
        path.write_text(CONFIG.format(fd=listener.fileno(), servers=servers))
        process = subprocess.Popen(
            [program("haproxy"), "-db", "-f", path],
            env=TOOLS,
            pass_fds=[listener.fileno()],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            process.terminate()
            process.wait()


def call_for(client, seconds, connects, counted="connects"):
    """
    Call from many threads; return what became of the calls.

    It ends once the first server has been connected to often enough as well, which
    random delays may postpone.
    """
    outcomes = Counter()
    end = time.monotonic() + seconds

    def goes_on():
        now = time.monotonic()
        few = getattr(client.servers()[0], counted) <= connects
        return now < end or (few and now < end + LIMIT)

    def run():
        pause = threading.Event()
        while goes_on():
            try:
                client.call("echo", [1])
                outcomes["ok"] += 1
            except JsonRpcError as error:
                outcomes[type(error).__name__, error.fate] += 1
            pause.wait(0.001)

    threads = [threading.Thread(target=run) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def refusing(sock):
    """Bind a socket without listening; return the address."""
    sock.bind(("127.0.0.1", 0))
    return f"127.0.0.1:{sock.getsockname()[1]}"


@pytest.mark.parametrize("seconds", [3, pytest.param(30, marks=pytest.mark.slow)])
def test_a_balancer_without_backends_costs_one_call_per_connection(tmp_path, seconds):
    """Calls in flight on the first connection are lost, then one on each other one."""
    with (
        socket.socket() as nobody,  # no other program gets its port meanwhile
        haproxy(tmp_path, refusing(nobody)) as address,
        Server(METHODS) as healthy,
        Client(
            f"{address},2 {healthy.address},1",
            timeout=3, reconnect_delay=0.2, reconnect_delay_max=0.5,
        ) as client,
    ):  # fmt: skip
        wait_for_state(client, "up", 1)
        outcomes = call_for(client, seconds, 2 * seconds)
        balancer = client.servers()[0]
    lost = sum(count for name, count in outcomes.items() if name != "ok")
    assert balancer.connects > 2 * seconds
    assert lost <= THREADS + balancer.connects - 1, (outcomes, balancer)
    assert outcomes["ok"] > 100 * seconds


def test_a_balancer_gets_its_traffic_back_with_its_backend(tmp_path):
    with Server(METHODS) as backend, Server(METHODS) as healthy:
        backend.stop()
        with (
            haproxy(tmp_path, backend.address) as address,
            Client(
                f"{address},2 {healthy.address},1",
                timeout=3, reconnect_delay=0.1, reconnect_delay_max=0.2,
            ) as client,
        ):  # fmt: skip
            until(lambda: client.servers()[0].losses > 1)
            backend.start()

            def is_back():
                with contextlib.suppress(JsonRpcError):
                    client.call("echo", [1])
                return client.servers()[0].state == "up"

            until(is_back)
            assert client.call("echo", [2]) == [2]
            assert [2] in [each.params for each in backend.requests]


# ---- several backends ------------------------------------------------------------


def test_connections_spread_the_calls_of_a_client_over_backends(tmp_path):
    """With one connection, all calls go to one backend."""
    with (
        Server({"echo": echo}) as one,
        Server({"echo": echo}) as other,
        haproxy(tmp_path, one.address, other.address) as address,
    ):
        with Client(address) as client:
            for n in range(200):
                client.call("echo", [n])
            assert sorted([len(one.requests), len(other.requests)]) == [0, 200]
        one.clear()
        other.clear()
        with Client(address, connections=4) as client:
            until(lambda: client.servers()[0].connected == 4)
            for n in range(1000):
                client.call("echo", [n])
            counts = [len(one.requests), len(other.requests)]
            assert sum(counts) == 1000
            assert all(450 <= count <= 550 for count in counts), counts
            assert one.connections == other.connections == 2


NGINX = """load_module {module}; daemon off; pid {folder}/nginx.pid;
error_log {folder}/nginx.log; events {{ }}
"""


def command_of_the_page(name, folder, backends, port):
    """Return what runs a balancer with the configuration in docs/discovery.md."""
    start = {"haproxy": "defaults\n", "nginx": "stream {\n"}[name]
    texts = [block.values[0] for block in blocks("docs/discovery.md", "text")]
    (text,) = (each for each in texts if each.startswith(start))
    for shown, address in zip(("7", "8"), backends, strict=True):
        assert f"10.0.0.{shown}:9999" in text
        text = text.replace(f"10.0.0.{shown}:9999", address)
    for shown in ("bind :9999", "listen 9999"):
        text = text.replace(shown, f"{shown.split()[0]} 127.0.0.1:{port}")
    path = folder / f"{name}.conf"
    if name == "haproxy":
        # Two of its threads may give connections that come together to one server.
        path.write_text(f"global\n    nbthread 1\n{text}")
        return [program(name), "-db", "-f", path]
    path.write_text(NGINX.format(module=nginx_module(), folder=folder) + text)
    return [program(name), "-c", path]


@pytest.mark.parametrize("name", ["haproxy", "nginx"])
def test_the_configurations_of_the_page_spread_connections(tmp_path, name):
    with Server({"echo": echo}) as one, Server({"echo": echo}) as other:
        command = functools.partial(
            command_of_the_page, name, tmp_path, (one.address, other.address)
        )
        with (
            running(tmp_path, command) as (_, port),
            Client(f"127.0.0.1:{port}", connections=4, hello=PING) as client,
        ):
            until(lambda: client.servers()[0].connected == 4)
            for n in range(400):
                assert client.call("echo", [n]) == [n]
            other.stop()
            for n in range(400):
                assert client.call("echo", [n], idempotent=True) == [n]
        counts = [
            sum(request.method == "echo" for request in each.requests)
            for each in (one, other)
        ]
    assert counts[0] >= 580, counts
    assert 180 <= counts[1] <= 220, counts


def test_a_backend_that_is_added_gets_its_share(tmp_path):
    """Connections that reach their age are spread again, without losing a call."""
    with Server({"echo": echo}) as old, Server({"echo": echo}) as new:
        new.stop()
        with (
            haproxy(tmp_path, old.address, new.address) as address,
            Client(address, connections=4, max_connection_age=1) as client,
        ):
            done, outcomes = threading.Event(), Counter()

            def run():
                while not done.is_set():
                    try:
                        client.call("echo", [1])
                        outcomes["ok"] += 1
                    except JsonRpcError as error:
                        outcomes[type(error).__name__, error.fate] += 1

            threads = [threading.Thread(target=run) for _ in range(4)]
            for thread in threads:
                thread.start()
            until(lambda: len(old.requests) > 200)
            assert not new.requests
            new.start()

            until(lambda: new.requests)
            renewals = client.servers()[0].renewals
            until(lambda: client.servers()[0].renewals >= renewals + 8)
            old.clear()
            new.clear()
            until(lambda: client.servers()[0].renewals >= renewals + 16)
            done.set()
            for thread in threads:
                thread.join()
            share = len(new.requests) / (len(old.requests) + len(new.requests))
            info = client.servers()[0]
    assert set(outcomes) == {"ok"}, outcomes
    assert info.losses == 0
    assert 0.25 < share < 0.75, share


# ---- with a hello ------------------------------------------------------------------

PING = [("rpc.ping", None)]


@pytest.mark.parametrize("seconds", [3, pytest.param(30, marks=pytest.mark.slow)])
def test_with_a_hello_a_balancer_without_backends_costs_nothing(tmp_path, seconds):
    """Not even the calls in flight on the first connection."""
    with (
        socket.socket() as nobody,
        haproxy(tmp_path, refusing(nobody)) as address,
        Server(METHODS) as healthy,
        Client(
            f"{address},2 {healthy.address},1", hello=PING,
            timeout=3, reconnect_delay=0.2, reconnect_delay_max=0.5,
        ) as client,
    ):  # fmt: skip
        outcomes = call_for(client, seconds, 2 * seconds, "attempts_failed")
        balancer = client.servers()[0]
        assert client.stats().hellos_failed > 2 * seconds
    assert set(outcomes) == {"ok"}, (outcomes, balancer)
    assert (balancer.connects, balancer.sent) == (0, 0)
    assert outcomes["ok"] > 100 * seconds


def test_with_a_hello_it_gets_its_traffic_back_as_well(tmp_path):
    with Server(METHODS) as backend, Server(METHODS) as healthy:
        backend.stop()
        with (
            haproxy(tmp_path, backend.address) as address,
            Client(
                f"{address},2 {healthy.address},1", hello=PING,
                timeout=3, reconnect_delay=0.1, reconnect_delay_max=0.2,
            ) as client,
        ):  # fmt: skip
            until(lambda: client.servers()[0].attempts_failed > 1)
            backend.start()
            wait_for_state(client, "up", 0)  # without a call
            assert client.call("echo", [2]) == [2]
            assert [2] in [each.params for each in backend.requests]


def test_a_login_that_the_backend_refuses(tmp_path):
    """Only that server is affected: calls go to the other one."""
    methods = {**METHODS, "login": lambda password: {"right": 1}[password]}
    with (
        Server(methods, hello=["login"]) as backend,
        Server(METHODS | {"login": lambda _: 1}) as healthy,
        haproxy(tmp_path, backend.address) as address,
        Client(
            f"{address},2 {healthy.address},1", hello=[("login", ["wrong"])],
            timeout=3, reconnect_delay=0.1, reconnect_delay_max=0.2,
        ) as client,
    ):  # fmt: skip
        until(lambda: client.servers()[0].attempts_failed > 1)
        assert client.call("echo", [1]) == [1]
        assert "error -32603" in client.servers()[0].last_error
        assert {each.method for each in backend.requests} == {"login"}
        client.set_hello([("login", ["right"])])
        wait_for_state(client, "up", 0)
        client.call("echo", [2])
        assert [2] in [each.params for each in backend.requests]
        assert backend.before_hello == []


def test_a_ping_finds_a_frozen_backend(tmp_path):
    """The balancer does not notice: the kernel accepts its checks."""
    with (
        ServerProcess() as frozen,
        haproxy(tmp_path, frozen.address) as address,
        Server(METHODS) as healthy,
        Client(
            f"{address},2 {healthy.address},1", hello=PING, ping_interval=1,
            connect_timeout=0.3, timeout=LIMIT, reconnect_delay=0.1,
            reconnect_delay_max=0.2,
        ) as client,
    ):  # fmt: skip
        wait_for_state(client, "up", 0, 1)
        frozen.stop()
        until(lambda: client.stats().pings_failed == 1)
        began = time.monotonic()
        assert client.call("echo", [1]) == [1]
        assert time.monotonic() - began < LIMIT / 2
        assert client.servers()[0].sent == 0
        frozen.go_on()
        wait_for_state(client, "up", 0)
