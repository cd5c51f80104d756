"""Closing a client, draining it first, and leaving it to the garbage collector."""

import concurrent.futures
import contextlib
import gc
import pickle
import threading
import time

import pytest
from helpers import LIMIT, Told, descriptors, in_threads, threads, until

from jsonrpcc import (
    Client,
    ClientClosed,
)
from jsonrpcc.testing import Delay, Drop


def test_close_ends_pending_calls_and_then_no_callback_runs(serve, client_for):
    server = serve(Drop())
    client = client_for(server)
    told = Told()
    for _ in range(100):
        client.request("echo", [], told.on_result, told.on_error)
    server.wait_for_requests(100)
    client.close()
    assert len(told.outcomes) == 100
    for _, error in told.outcomes:
        assert isinstance(error, ClientClosed)
        assert (error.method, error.fate) == ("echo", "unknown")
    server.wait_for_connections(0)


def test_closing_twice_is_fine_and_use_afterwards_is_refused(serve, client_for):
    client = client_for(serve())
    client.close()
    client.close()
    told = Told()
    for use in (client.notification, client.call, client.submit):
        with pytest.raises(ClientClosed) as caught:
            use("add", [1, 2])
        assert (caught.value.method, caught.value.fate) == ("add", "not_sent")
    with pytest.raises(ClientClosed):
        client.request("add", [1, 2], told.on_result, told.on_error)
    with pytest.raises(ClientClosed):
        list(client.map("add", [[1, 2]]))
    with pytest.raises(ClientClosed):
        client.proxy.add(1, 2)
    assert client.drain(1)
    assert not told.outcomes
    assert client.servers()
    assert client.stats().in_flight == 0
    assert repr(client) == "<Client closed>"


def test_close_from_a_callback_does_not_wait_for_itself(serve, client_for):
    server = serve(faults={"never": Drop()})
    client = client_for(server)
    told = Told()
    closed = threading.Event()
    client.request("never", [], told.on_result, told.on_error)

    def close(_):
        client.close()
        closed.set()

    client.request("echo", [], close)
    assert closed.wait(LIMIT)
    assert isinstance(told.error(), ClientClosed)
    client.close()


def test_close_wakes_waiting_threads(serve, client_for):
    server = serve(Drop())
    client = client_for(server)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(client.call, "echo", timeout=60) for _ in range(2)]
        waiting += [pool.submit(list, client.map("echo", [[]], timeout=60))]
        waiting += [pool.submit(client.drain)]
        client.submit("echo", timeout=60)
        server.wait_for_requests(4)
        client.close()
        for future in waiting[:3]:
            assert isinstance(future.exception(LIMIT), ClientClosed)
        waiting[3].result(LIMIT)


def test_close_sends_the_notifications_it_was_given(serve):
    server = serve()
    with Client(server.address) as client:
        for i in range(100):
            client.notification("note", [i])
    assert len(server.wait_for_requests(100)) == 100


def close_in_a_callback(client):
    client.request("echo", [], lambda _: client.close())
    assert client.drain(LIMIT)


def close_while_others_use_it(client):
    closed = threading.Event()

    def use():
        with contextlib.suppress(ClientClosed):
            while not closed.is_set():
                client.notification("echo")
                client.request("echo", None, str, str)

    def close():
        client.close()
        closed.set()

    in_threads(use, use, close)


@pytest.mark.parametrize(
    "close",
    [Client.close, close_in_a_callback, close_while_others_use_it],
)
def test_close_leaves_no_descriptor_and_no_thread(serve, close):
    """All clients still exist: nothing was left to the garbage collector."""
    server = serve()
    before = threads(), descriptors()
    clients = [Client(server.address) for _ in range(10)]
    for client in clients:
        assert client.call("add", [1, 2]) == 3
        close(client)
        client.close()
    server.wait_for_connections(0)
    until(lambda: threads() <= before[0])
    until(lambda: descriptors() <= before[1])
    assert all(client.servers() and client.stats().ok for client in clients)


def test_leaving_the_with_block_closes(serve):
    server = serve()
    with Client(server.address) as client:
        assert client.call("add", [1, 2]) == 3
    with pytest.raises(ClientClosed):
        client.call("add", [1, 2])


def test_drain_waits_for_all_that_is_in_flight(serve, client_for):
    client = client_for(serve(Delay(0.05)))
    told = Told()
    for _ in range(100):
        client.request("echo", [], told.on_result, told.on_error)
    assert client.drain()
    assert len(told.outcomes) == 100
    assert client.drain()


def test_drain_waits_for_the_callback_that_runs(serve, client_for):
    """The last call is no longer counted then, but its callback has not returned."""
    client = client_for(serve())
    running, release, ended = threading.Event(), threading.Event(), []

    def on_result(_):
        running.set()
        release.wait(LIMIT)
        ended.append(True)

    client.request("echo", None, on_result)
    assert running.wait(LIMIT)
    assert not client.drain(0.25)
    release.set()
    assert client.drain(LIMIT)
    assert ended


def test_drain_gives_up_in_time(serve, client_for):
    server = serve(Drop())
    client = client_for(server)
    client.submit("echo", timeout=60)
    before = time.monotonic()
    assert not client.drain(0.05)
    assert time.monotonic() - before < 1


def test_drain_in_a_callback_is_refused(serve, client_for):
    client = client_for(serve())
    told = Told()

    def drain(_):
        with pytest.raises(RuntimeError, match="wait for itself"):
            client.drain()
        told.on_result("refused")

    client.request("echo", [], drain)
    assert told.result() == "refused"


def test_a_forgotten_client_ends_by_itself(serve):
    server = serve()
    client = Client(server.address)
    assert client.call("add", [1, 2]) == 3
    del client
    gc.collect()
    server.wait_for_connections(0)


def test_a_client_cannot_be_pickled(serve, client_for):
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(client_for(serve()))
