"""Cancelling a call in time, in a race, and too late: there is always one outcome."""

from helpers import LIMIT, Told, until

from jsonrpcc import (
    Cancelled,
)
from jsonrpcc.testing import Delay, Drop


def test_a_cancelled_call_ends_with_cancelled(serve, client_for):
    server = serve(Drop())
    client = client_for(server)
    told = Told()
    call = client.request("echo", [], told.on_result, told.on_error, timeout=60)
    server.wait_for_requests(1)
    call.cancel()
    call.cancel()
    error = told.error()
    assert isinstance(error, Cancelled)
    assert (error.method, error.fate) == ("echo", "unknown")
    call.cancel()
    client.close()
    assert len(told.outcomes) == 1
    assert client.stats().cancelled == 1


def test_a_call_cancelled_before_it_is_sent_is_not_sent(serve, client_for):
    server = serve()
    server.blackhole()
    client = client_for(server, connect_timeout=30)
    told = Told()
    call = client.request("echo", [], told.on_result, told.on_error)
    call.cancel()
    assert told.error().fate == "not_sent"
    server.accept()
    until(lambda: client.servers()[0].state == "up")
    assert client.call("add", [1, 2]) == 3
    assert [request.method for request in server.requests] == ["add"]


def test_cancelling_after_the_end_does_nothing(serve, client_for):
    client = client_for(serve())
    told = Told()
    call = client.request("add", [1, 2], told.on_result, told.on_error)
    assert told.result() == 3
    call.cancel()
    assert client.call("add", [1, 2]) == 3
    assert client.stats().cancelled == 0
    assert len(told.outcomes) == 1


def test_a_late_response_to_a_cancelled_call_is_ignored(serve, client_for):
    server = serve(faults={"echo": Delay(0.05)})
    client = client_for(server)
    told = Told()
    call = client.request("echo", [], told.on_result, told.on_error)
    server.wait_for_requests(1)
    call.cancel()
    assert isinstance(told.error(), Cancelled)
    until(lambda: client.stats().unmatched == 1)
    assert len(told.outcomes) == 1


def test_cancel_races_with_the_answer_and_there_is_one_outcome(serve, client_for):
    client = client_for(serve())
    told = [Told() for _ in range(2000)]
    for i, each in enumerate(told):
        call = client.request("first", [i], each.on_result, each.on_error)
        if i % 3:
            client.call("echo")
        call.cancel()
    client.drain(LIMIT)
    kinds = set()
    for i, each in enumerate(told):
        [(kind, value)] = each.outcomes
        assert value == i if kind == "result" else isinstance(value, Cancelled)
        kinds.add(kind)
    assert kinds == {"result", "error"}


def test_cancel_works_from_a_callback(serve, client_for):
    client = client_for(serve(faults={"never": Drop()}))
    told = Told()
    call = client.request("never", [], told.on_result, told.on_error, timeout=60)
    client.request("echo", [], lambda _: call.cancel())
    assert isinstance(told.error(), Cancelled)
