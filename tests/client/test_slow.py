"""The log of slow calls: a line for each, in every style, without its params."""

import asyncio
import logging
import re
import threading
import types

import pytest
from helpers import LIMIT

import jsonrpcc
from jsonrpcc import AsyncClient, Client, _slow
from jsonrpcc.testing import Close, Delay, Drop, Error, Server

SLOW = 0.05
SECRET = "s3cret-and-long"  # noqa: S105 - as params may be


def fail(*_):
    raise Error(7, SECRET)


@pytest.fixture
def server():
    """Methods that take longer than SLOW, and `quick`, which does not by itself."""
    methods = {"echo": lambda *args: list(args), "fail": fail}
    slow = Delay(2 * SLOW)
    with Server({**methods, "quick": int}, faults=dict.fromkeys(methods, slow)) as each:
        yield each


@pytest.fixture
def lines(caplog):
    """Return the lines of the log so far."""
    caplog.set_level(logging.WARNING, "jsonrpcc")

    def lines():
        return [each for each in caplog.records if each.name == "jsonrpcc.slow"]

    return lines


def result_of_call(client):
    assert client.call("echo", [SECRET]) == [SECRET]


def result_of_text(client):
    assert client.call("echo", f'["{SECRET}"]') == [SECRET]


def result_of_request(client):
    done = threading.Event()
    client.request("echo", [SECRET], lambda _: done.set())
    assert done.wait(LIMIT)


def result_of_request_that_nobody_hears(client):
    client.request("echo", [SECRET])
    assert client.drain(LIMIT)


def result_of_submit(client):
    assert client.submit("echo", [SECRET]).result(LIMIT) == [SECRET]


def result_of_map(client):
    assert list(client.map("echo", [[SECRET]])) == [[SECRET]]


def result_of_a_type(client):
    assert client.call("echo", [SECRET], result_type=list[str]) == [SECRET]


SYNC = [
    result_of_call, result_of_text, result_of_request, result_of_submit,
    result_of_request_that_nobody_hears, result_of_map, result_of_a_type,
]  # fmt: skip


async def result_of_await(client):
    assert await client.call("echo", [SECRET]) == [SECRET]


async def result_of_async_text(client):
    assert await client.call("echo", f'["{SECRET}"]') == [SECRET]


async def result_of_task(client):
    assert await asyncio.create_task(client.call("echo", [SECRET])) == [SECRET]


async def result_of_async_request(client):
    done = asyncio.Event()
    await client.request("echo", [SECRET], lambda _: done.set())
    await asyncio.wait_for(done.wait(), LIMIT)


async def result_of_async_map(client):
    assert [each async for each in client.map("echo", [[SECRET]])] == [[SECRET]]


ASYNC = [result_of_await, result_of_async_text, result_of_task,
         result_of_async_request, result_of_async_map]  # fmt: skip


def check(record, server, *, method="echo", outcome="ok", attempts=1, least=SLOW):
    facts = record.slow_call
    assert record.levelno == logging.WARNING
    assert (facts["method"], facts["outcome"]) == (method, outcome)
    assert facts["server"] == server
    assert facts["attempts"] == attempts
    assert facts["elapsed"] >= least
    assert 0 <= facts["waited"] + facts["answered"] <= facts["elapsed"] + 1e-6
    text = record.getMessage()
    assert SECRET not in text + repr(facts)
    at = "" if server is None else f" at {re.escape(server)}"
    pattern = (
        rf"slow: {method}{at}, [\d.]+ ms: waited [\d.]+ ms, answered in [\d.]+ ms,"
        rf" attempts {attempts}, {facts['size']} bytes, {outcome}"
    )
    assert re.fullmatch(pattern, text), text


@pytest.mark.parametrize("codec", ["msgspec", "json"])
@pytest.mark.parametrize("style", SYNC)
def test_a_slow_result_is_logged(server, lines, style, codec):
    with Client(server.address, slow_call=SLOW, codec=codec) as client:
        style(client)
    (record,) = lines()
    check(record, server.address)
    facts = record.slow_call
    assert facts["size"] == len(f'["{SECRET}"]')
    assert facts["answered"] >= SLOW


@pytest.mark.parametrize("style", ASYNC)
def test_a_slow_result_of_an_async_client_is_logged(server, lines, style):
    async def main():
        async with AsyncClient(server.address, slow_call=SLOW) as client:
            await style(client)

    asyncio.run(main())
    (record,) = lines()
    check(record, server.address)


@pytest.mark.parametrize("how", ["call", "request", "submit", "map"])
@pytest.mark.parametrize(
    ("method", "outcome", "faults", "size"),
    [
        ("fail", "RemoteError 7", [Delay(2 * SLOW)], True),
        ("echo", "RequestTimeout", [Drop()], False),
        ("echo", "ConnectionLost", [Delay(2 * SLOW), Close()], False),
    ],
)
def test_a_slow_failure_is_logged(server, lines, how, method, outcome, faults, size):
    server.misbehave(*faults, method=method)
    timeout = 5 * SLOW if outcome == "RequestTimeout" else LIMIT
    with Client(server.address, slow_call=SLOW, timeout=timeout) as client:
        if how == "call":
            with pytest.raises(jsonrpcc.JsonRpcError):
                client.call(method, [SECRET])
        elif how == "request":
            client.request(method, [SECRET], None, lambda _: None)
            assert client.drain(LIMIT)
        elif how == "submit":
            assert client.submit(method, [SECRET]).exception(LIMIT)
        else:
            (error,) = client.map(method, [[SECRET]], return_exceptions=True)
            assert isinstance(error, jsonrpcc.JsonRpcError)
    (record,) = lines()
    check(record, server.address, method=method, outcome=outcome)
    assert (record.slow_call["size"] > 0) == size


def test_a_call_that_waits_for_a_server_is_slow(lines):
    with Server() as nowhere:
        nowhere.stop()
        with (
            Client(nowhere.address, slow_call=SLOW, timeout=2 * SLOW) as client,
            pytest.raises(jsonrpcc.RequestTimeout),
        ):
            client.call("echo", wait_for_ready=True)
    (record,) = lines()
    check(record, None, outcome="RequestTimeout", attempts=0)
    assert record.slow_call["waited"] >= SLOW


def test_an_awaited_failure_is_logged(server, lines):
    async def main():
        async with AsyncClient(server.address, slow_call=SLOW) as client:
            with pytest.raises(jsonrpcc.RemoteError):
                await client.call("fail", [SECRET])

    asyncio.run(main())
    (record,) = lines()
    check(record, server.address, method="fail", outcome="RemoteError 7")


def test_a_result_that_cannot_be_decoded_is_logged_too(server, lines):
    with Client(server.address, slow_call=SLOW) as client:
        with pytest.raises(jsonrpcc.InvalidResponse):
            client.call("echo", [SECRET], result_type=dict)
        with pytest.raises(jsonrpcc.InvalidResponse):
            client.submit("echo", [SECRET], result_type=dict).result(LIMIT)
    assert len(lines()) == 2


def test_quick_calls_are_not_logged(server, lines):
    with Client(server.address, slow_call=60) as client:
        assert client.call("quick") == 0
        assert client.submit("quick").result(LIMIT) == 0
        assert list(client.map("quick", [None] * 5)) == [0] * 5
        client.call("echo", [1])
    assert lines() == []


def test_only_the_slow_calls_of_a_fetch_are_logged(server, lines):
    with Client(server.address, slow_call=SLOW) as client:
        server.misbehave(lambda request: Delay(2 * SLOW), method="quick")
        futures = [client.submit("quick") for _ in range(3)]
        futures += [client.submit("none") for _ in range(3)]
        for future in futures:
            future.exception(LIMIT)
    assert {record.slow_call["method"] for record in lines()} >= {"quick"}
    slow = [r for r in lines() if r.slow_call["method"] == "quick"]
    assert len(slow) == 3


def test_nothing_is_logged_without_the_option(server, lines):
    with Client(server.address) as client:
        client.call("echo", [1])
        client.submit("echo", [1]).result(LIMIT)
    assert lines() == []


def test_lines_begin_with_the_name_of_the_client(server, lines):
    with Client(server.address, slow_call=SLOW, name="users") as client:
        client.call("echo", [1])
    assert (
        lines()[0].getMessage().startswith(f"users: slow: echo at {server.address}, ")
    )


def test_at_most_ten_lines_a_second_and_the_rest_is_counted(server, lines, monkeypatch):
    clock = [100.0]
    frozen = types.SimpleNamespace(monotonic=lambda: clock[0])
    monkeypatch.setattr(_slow, "time", frozen)
    with Client(server.address, slow_call=0.001) as client:
        log = client._session.slow
        monkeypatch.setattr(log, "us", 0)
        for future in [client.submit("echo", [i]) for i in range(42)]:
            future.result(LIMIT)
        assert len(lines()) == 10
        assert not any("more" in record.getMessage() for record in lines())
        clock[0] += 1.5
        client.call("echo", [1])
        assert lines()[-1].getMessage().endswith(", ok, and 32 more")
        for future in [client.submit("echo", [i]) for i in range(12)]:
            future.result(LIMIT)
    assert lines()[-1].getMessage() == "slow: 3 more"


def test_a_thread_that_finds_it_in_use_does_not_wait(server, lines):
    with Client(server.address, slow_call=SLOW) as client:
        log = client._session.slow
        with log._lock:
            client.call("echo", [1])
        assert lines() == []
        client.call("echo", [1])
        assert lines()[-1].getMessage().endswith(", and 1 more")


class Caller(logging.Handler):
    """A handler that makes calls with the client whose line it gets."""

    def __init__(self, client):
        super().__init__()
        self.client, self.seen = client, 0

    def emit(self, record):
        self.seen += 1
        if self.client is None:
            raise RuntimeError("on purpose")
        self.client.call("echo", [1])


@pytest.fixture
def handler():
    logger = logging.getLogger("jsonrpcc.slow")
    handlers = []

    def add(client):
        handlers.append(Caller(client))
        logger.addHandler(handlers[0])
        return handlers[0]

    yield add
    for each in handlers:
        logger.removeHandler(each)


def test_what_a_handler_calls_causes_no_more_lines(server, lines, handler):
    with Client(server.address, slow_call=SLOW) as client:
        caller = handler(client)
        assert client.call("echo", [1]) == [1]
    assert caller.seen == len(lines()) == 1


def test_a_handler_that_raises_costs_no_result(server, handler, capsys):
    caller = handler(None)
    with Client(server.address, slow_call=SLOW) as client:
        assert client.call("echo", [1]) == [1]
        assert client.submit("echo", [2]).result(LIMIT) == [2]
        assert list(client.map("echo", [[3]])) == [[3]]

        async def main():
            async with AsyncClient(server.address, slow_call=SLOW) as other:
                assert await other.call("echo", [4]) == [4]

        asyncio.run(main())
    assert caller.seen == 4
    assert "on purpose" in capsys.readouterr().err
