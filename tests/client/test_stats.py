"""What a client reports: servers(), stats() and the latency histogram."""

import itertools
import math
import time

import pytest
from helpers import QUICK, until

from jsonrpcc import (
    JsonRpcError,
    Latency,
    QueueFull,
    RemoteError,
    RequestTimeout,
    ServerFailure,
)
from jsonrpcc.testing import Close, Delay, Drop, Payload


def test_servers_show_what_is_known_of_each(serve, client_for):
    server, stopped = serve(), serve()
    stopped.stop()
    began = time.time()
    client = client_for(f"{server.address},2 {stopped.address},1")
    until(lambda: [s.state for s in client.servers()] == ["up", "down"])
    client.call("add", [1, 2])
    with pytest.raises(RemoteError):
        client.call("fail")
    up, down = client.servers()
    assert (up.host, up.port, up.priority) == ("127.0.0.1", server.port, 2)
    assert (up.address, down.address) == (server.address, stopped.address)
    assert (up.sent, up.responses, up.in_flight, up.timeouts) == (2, 2, 0, 0)
    assert (up.connects, up.losses, up.attempts_failed) == (1, 0, 0)
    assert (up.last_error, down.last_error) == (None, "Connection refused")
    assert down.priority == 1
    assert down.attempts_failed >= 1
    assert began - 1 <= up.since <= time.time() + 1
    assert up.bytes_received > 0
    request = server.requests[0].raw
    assert up.bytes_sent > len(request)
    assert repr(client) == f"<Client {up.address} up, {down.address} down>"


def test_every_call_is_counted_in_one_outcome(serve, client_for):
    server = serve(
        faults={
            "never": Drop(),
            "broken": Payload('{"id":$id}'),
            "lost": Close(0),
        }
    )
    client = client_for(server, **QUICK)
    call = client.request("never", timeout=60)
    server.wait_for_requests(1)
    call.cancel()
    client.drain()
    for _ in range(3):
        client.call("echo")
    for method in ("fail", "broken", "lost"):
        with pytest.raises(JsonRpcError):
            client.call(method, wait_for_ready=True)
    with pytest.raises(RequestTimeout):
        client.call("never", timeout=0.01, wait_for_ready=True)
    client.notification("note", wait_for_ready=True)
    client.call("echo", wait_for_ready=True)
    server.refuse()
    server.drop_connections()
    until(lambda: client.servers()[0].state == "down")
    with pytest.raises(ServerFailure):
        client.call("echo")
    client.close()
    stats = client.stats()
    outcomes = {
        "ok": 5,  # with the notification
        "remote_errors": 1,
        "timeouts": 1,
        "failures": 1,
        "connections_lost": 1,
        "invalid_responses": 1,
        "cancelled": 1,
        "closed": 0,
        "out_of_memory": 0,
    }
    assert {name: getattr(stats, name) for name in outcomes} == outcomes
    assert stats.requests + stats.notifications == sum(outcomes.values())
    assert stats.notifications == 1
    assert (stats.in_flight, stats.queued_bytes, stats.undelivered_bytes) == (0, 0, 0)
    assert stats.turns > 0


def test_calls_that_closing_ended_are_counted(serve, client_for):
    server = serve(Drop())
    client = client_for(server)
    futures = [client.submit("echo") for _ in range(3)]
    server.wait_for_requests(3)
    assert client.stats().in_flight == 3
    # The server may have them before the thread that sent them counts them.
    until(lambda: client.servers()[0].in_flight == 3)
    client.close()
    assert all(future.done() for future in futures)
    assert client.stats().closed == 3


def test_refused_calls_are_counted_apart(serve, client_for):
    client = client_for(serve(Drop()), max_in_flight=1)
    client.submit("echo")
    with pytest.raises(QueueFull):
        client.call("echo", timeout=0.01)
    stats = client.stats()
    assert stats.requests == 1
    assert stats.refused_full >= 1


def test_refusals_of_the_queue_are_counted_too(serve, client_for):
    """The queue of outcomes has the same bound, and is asked first."""
    client = client_for(serve(Drop()), max_in_flight=2)
    for _ in range(2):
        client.submit("never", timeout=30)
    for refusals in range(1, 4):
        with pytest.raises(QueueFull):
            client.request("never", block=False)
        assert client.stats().refused_full >= refusals


def test_latency_is_that_of_the_answers(serve, client_for):
    server = serve(faults={"slow": Delay(0.1), "never": Drop()})
    client = client_for(server)
    for _ in range(9):
        client.call("echo")
    with pytest.raises(RemoteError):
        client.call("slow")
    with pytest.raises(RequestTimeout):
        client.call("never", timeout=0.3)
    client.notification("note")
    latency = client.stats().latency
    assert latency.count == 10
    assert 0 < latency.percentile(50) < 0.1
    assert 0.1 <= latency.percentile(99) < 0.3
    assert latency.percentile(100) == latency.percentile(99)
    buckets = zip(latency.counts, latency.bounds(), strict=True)
    assert 0.1 <= latency.sum < sum(n * bound for n, bound in buckets if n)


def test_buckets_grow_by_a_quarter_at_most():
    bounds = Latency.bounds()
    assert len(bounds) == 128
    assert bounds[-1] == math.inf
    assert bounds[0] == 1e-6
    assert bounds[-2] > 60 * 60
    for low, high in itertools.pairwise(bounds[3:-1]):
        assert low < high <= low * 1.25 + 1e-12


def test_percentiles_are_upper_bounds_of_buckets():
    counts = [0] * 128
    assert Latency(tuple(counts)).percentile(50) == 0
    counts[4], counts[9], counts[127] = 50, 49, 1
    latency = Latency(tuple(counts))
    bounds = latency.bounds()
    for percent, bucket in [(0, 4), (50, 4), (50.1, 9), (99, 9), (99.1, 127)]:
        assert latency.percentile(percent) == bounds[bucket]
    for percent in (-1, 101, math.nan):
        with pytest.raises(ValueError, match="percent"):
            latency.percentile(percent)
