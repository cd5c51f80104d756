"""HAProxy with no backend behind it, at a better priority than a healthy server."""

import contextlib
import socket
import subprocess
import threading
import time
from collections import Counter

import pytest
from history import LIMIT, METHODS, until, wait_for_state
from peers import program

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
            pass_fds=[listener.fileno()],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            process.terminate()
            process.wait()


def call_for(client, seconds, connects):
    """
    Call from many threads; return what became of the calls.

    It ends when the first server was connected to so often as well: with
    random delays that may take longer.
    """
    outcomes = Counter()
    end = time.monotonic() + seconds

    def goes_on():
        now = time.monotonic()
        few = client.servers()[0].connects <= connects
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
    """Bind it, and do not listen; return the address."""
    sock.bind(("127.0.0.1", 0))
    return f"127.0.0.1:{sock.getsockname()[1]}"


@pytest.mark.parametrize("seconds", [3, pytest.param(30, marks=pytest.mark.slow)])
def test_a_balancer_with_nobody_behind_it_costs_one_call_a_connection(
    tmp_path, seconds
):
    """What was in flight on the first connection is lost, then one on each other."""
    with (
        socket.socket() as nobody,  # whose port is no other program's meanwhile
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
