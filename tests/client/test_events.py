"""The option on_event, and what the log says about the same changes."""

import asyncio
import itertools
import time

import pytest
from helpers import LIMIT, QUICK, Told, until, until_then

import jsonrpcc
from jsonrpcc import (
    AsyncClient,
    Client,
    ConnectionLost,
    RequestTimeout,
    ServerFailure,
)
from jsonrpcc.testing import Drop


def test_on_event_reports_connected_lost_failed_over_back(serve, client_for):
    best, other = serve(), serve()
    events = Told()
    client = client_for(
        f"{best.address},2 {other.address},1",
        on_event=events.on_result,
        reconnect_delay=0.01,
        reconnect_delay_max=0.02,
    )
    first = {events.result() for _ in range(2)}
    assert {(e.kind, e.server, e.reason) for e in first} == {
        ("connected", best.address, ""),
        ("connected", other.address, ""),
    }
    assert all(abs(event.time - time.time()) < LIMIT for event in first)
    client.call("echo")
    best.stop()
    lost = events.result()
    assert (lost.kind, lost.server) == ("lost", best.address)
    assert lost.reason
    client.call("echo")
    told = [events.result(), events.result()]
    kinds = {event.kind: event for event in told}
    assert kinds["failed_over"].server == other.address
    assert kinds["unreachable"].server == best.address
    assert "refused" in kinds["unreachable"].reason
    best.start()
    assert events.result().kind == "connected"
    client.call("echo")  # it proves itself
    client.call("echo")
    back = events.result()
    assert (back.kind, back.server) == ("back", best.address)
    assert events.threads == {"jsonrpcc"}
    kinds = dict(client.stats().events)
    assert kinds == {
        "connected": 3, "lost": 1, "unreachable": 1, "suspect": 0, "trusted": 0,
        "failed_over": 1, "back": 1, "rejected": 0, "all_down": 0, "available": 0,
        "certificates": 0, "added": 0, "leaving": 0, "gone": 0, "list_refused": 0,
        "resolved": 0, "resolve_failed": 0, "list_cut": 0, "renewed": 0,
    }  # fmt: skip


def test_on_event_reports_all_down_and_available(serve, client_for, caplog):
    servers = serve(), serve()
    for each in servers:
        each.stop()
    events = Told()
    client = client_for(*servers, on_event=events.on_result, **QUICK)
    told = [events.result() for _ in range(3)]
    assert [event.kind for event in told] == ["unreachable", "unreachable", "all_down"]
    down = told[-1]
    assert down.server == ""
    for each in servers:
        assert f"{each.address} Connection refused" in down.reason
    assert f"all down: {down.reason}" in caplog.messages
    with pytest.raises(ServerFailure):
        client.call("echo")
    servers[1].start()
    assert events.result().kind == "connected"
    client.call("echo")  # it proves itself
    available = events.result()
    assert (available.kind, available.server) == ("available", servers[1].address)
    assert f"{servers[1].address} available" in caplog.messages
    levels = {record.message: record.levelname for record in caplog.records}
    assert levels[f"all down: {down.reason}"] == "ERROR"
    servers[1].stop()
    assert [events.result().kind for _ in range(2)] == ["lost", "all_down"]


def test_while_all_are_down_the_log_says_so_again(serve, monkeypatch, caplog):
    monkeypatch.setattr(jsonrpcc._log, "REMIND_FIRST", 0.05)
    server = serve()
    server.stop()
    with Client(server.address, name="users", **QUICK) as client:
        until(lambda: sum("still all down" in text for text in caplog.messages) == 3)
        times = [
            record.created
            for record in caplog.records
            if record.message.startswith("users: still all down: 127.0.0.1:")
        ]
        assert times[2] - times[1] > 1.5 * 0.05  # each time twice as long
        server.start()
        until(lambda: client.wait_ready(LIMIT) and client.call("echo") == [])
        until(lambda: any("available" in text for text in caplog.messages))
        log = client._dispatcher._log
        until(lambda: log.wait_ms == -1)  # no more of them will come


def test_while_all_are_down_the_log_of_an_async_client_says_so_again(
    serve, monkeypatch, caplog
):
    monkeypatch.setattr(jsonrpcc._log, "REMIND_FIRST", 0.05)
    server = serve()
    server.stop()

    async def main():
        async with AsyncClient(server.address, **QUICK) as client:
            await until_then(
                lambda: sum("still all down" in text for text in caplog.messages) == 2
            )
            server.start()
            assert await client.wait_ready(LIMIT)
            await client.call("echo")
        handles = asyncio.get_running_loop()._scheduled
        assert all(handle.cancelled() for handle in handles)

    asyncio.run(main())


def test_on_event_reports_suspect_and_trusted(serve, client_for):
    server = serve(Drop())
    events = Told()
    client = client_for(server, on_event=events.on_result)
    assert events.result().kind == "connected"
    for _ in range(5):
        with pytest.raises(RequestTimeout):
            client.call("echo", timeout=0.02)
    assert events.result().kind == "suspect"
    assert client.servers()[0].state == "suspect"
    server.behave()
    assert client.call("echo") == []
    assert events.result().kind == "trusted"
    assert client.servers()[0].state == "up"


def test_a_listener_that_raises_harms_nobody(serve, client_for, caplog):
    server = serve()
    calls = itertools.count()

    def on_event(event):
        next(calls)
        raise KeyError(event.kind)

    client = client_for(server, on_event=on_event, reconnect_delay=0.01)
    client.call("echo")
    server.drop_connections()
    assert client.call("echo", wait_for_ready=True, idempotent=True) == []
    client.close()
    assert next(calls) >= 2
    assert "on_event" in caplog.text


def test_no_memory_for_an_event_ends_nothing(serve, client_for, monkeypatch):
    """Nor to log that it could not be reported: the callbacks' thread goes on."""

    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(jsonrpcc._log.logger, "log", fail)
    server = serve()
    client = client_for(server, on_event=fail, reconnect_delay=0.01)
    told = Told()
    client.request("first", [1], told.on_result, told.on_error)
    assert told.result() == 1
    server.drop_connections()
    options = {"wait_for_ready": True, "idempotent": True}  # it may be on its way
    client.request("first", [2], told.on_result, told.on_error, **options)
    assert told.result() == 2


def test_state_changes_are_logged_one_line_each(serve, client_for, caplog):
    caplog.set_level("INFO", "jsonrpcc")
    server = serve()
    client = client_for(server, reconnect_delay=0.01)
    client.call("echo", ["a secret"])
    server.drop_connections()
    until(lambda: client.servers()[0].connects == 2)
    client.close()
    lines = [r.getMessage() for r in caplog.records if r.name == "jsonrpcc"]
    assert lines[0] == f"{server.address} connected"
    assert lines[1].startswith(f"{server.address} lost: ")
    assert lines[2].startswith(f"all down: {server.address} closed by the server")
    assert lines[3] == f"{server.address} connected"
    assert "secret" not in caplog.text


def test_a_lost_connection_is_reported_before_the_next_one(serve, client_for):
    server = serve()
    client = client_for(server, reconnect_delay=0.01)
    client.call("echo")
    server.misbehave(Drop())
    future = client.submit("echo")
    server.wait_for_requests(2)
    server.drop_connections(reset=True)
    assert isinstance(future.exception(LIMIT), ConnectionLost)
    assert "reset" in client.servers()[0].last_error


def test_a_short_lived_client_reports_all_before_close_returns(serve):
    """Even if its thread has not started listening yet."""
    server = serve()
    for n in range(300):
        events = []
        with Client(server.address, on_event=events.append) as client:
            (client.call if n % 2 else client.notification)("echo")
        assert [event.kind for event in events] == ["connected"]


def test_a_short_lived_async_client_reports_all_before_close_returns(serve):
    server = serve()

    async def main():
        for n in range(300):
            events = []
            async with AsyncClient(server.address, on_event=events.append) as client:
                await (client.call if n % 2 else client.notification)("echo")
            assert [event.kind for event in events] == ["connected"]

    asyncio.run(main())
