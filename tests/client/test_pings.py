"""Pings: what idle connections say to find out whether their server is alive."""

import itertools
import time

from children import ServerProcess
from greeting import METHODS, kinds
from helpers import QUICK
from history import LIMIT, until, wait_for_state

from jsonrpcc import Client
from jsonrpcc.testing import Delay, Drop, Server

PING = [("rpc.ping", None)]


def pings(server):
    return [each for each in server.requests if each.method == "rpc.ping"]


def test_an_idle_connection_is_pinged(serve):
    server = serve(methods=METHODS)
    with Client(server.address, hello=PING, ping_interval=1, **QUICK) as client:
        wait_for_state(client, "up", 0)
        seen = until(lambda: len(pings(server)) >= 3 and pings(server))
        times = [each.time for each in seen]
        assert all(b - a > 0.85 for a, b in itertools.pairwise(times))
        until(lambda: client.stats().pings >= 2)  # the server knew it first
        stats = client.stats()
        assert stats.hellos == stats.pings + 1
        assert (stats.requests, stats.pings_failed) == (0, 0)
        assert client.servers()[0].connects == 1


def test_a_busy_connection_is_left_alone(serve):
    """With consecutive calls, and with one that takes long."""
    server = serve(methods=METHODS, faults={"subscribe": Delay(2.5)})
    with Client(server.address, hello=PING, ping_interval=1, **QUICK) as client:
        assert client.call("subscribe", []) == []
        end = time.monotonic() + 3
        while time.monotonic() < end:
            client.call("echo", [1])
            time.sleep(0.05)
        assert client.stats().pings == 0
    assert len(pings(server)) == 1  # the hello


def test_a_ping_finds_a_frozen_server_while_idle():
    """SIGSTOP has stopped it: the kernel goes on accepting connections for it."""
    events = []
    with (
        ServerProcess() as frozen,
        Server({"echo": lambda *params: list(params)}) as good,
        Client(
            f"{frozen.address},2 {good.address},1", hello=PING, ping_interval=1,
            connect_timeout=0.3, on_event=events.append, timeout=LIMIT,
            reconnect_delay=0.05, reconnect_delay_max=0.2,
        ) as client,
    ):  # fmt: skip
        wait_for_state(client, "up", 0, 1)
        client.call("echo", [0])
        frozen.stop()
        until(lambda: client.stats().pings_failed, what="a ping without an answer")
        began = time.monotonic()
        assert client.call("echo", [1]) == [1]  # at the other one
        assert time.monotonic() - began < LIMIT / 2
        until(lambda: "lost" in kinds(events))
        lost = [each for each in events if each.kind == "lost"]
        assert [each.reason for each in lost] == ["no response to a ping"]
        until(lambda: client.servers()[0].last_error is not None)
        assert client.servers()[0].state != "up"
        frozen.go_on()
        wait_for_state(client, "up", 0)


def test_a_ping_finds_a_connection_that_went_dead(serve):
    """Something in between drops it silently; the server is fine."""
    server = serve(methods=METHODS)
    events = []
    with Client(
        server.address, hello=PING, ping_interval=1, connect_timeout=0.3,
        on_event=events.append, **QUICK,
    ) as client:  # fmt: skip
        wait_for_state(client, "up", 0)
        server.misbehave(Drop(times=1))
        until(lambda: client.stats().pings_failed == 1)
        assert client.call("echo", [1]) == [1]
        until(lambda: len(events) > 2)
        assert kinds(events) == ["connected", "lost", "connected"]
    assert server.accepted == 2
