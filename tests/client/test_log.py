"""What the log says, for those who have nothing else to look at."""

import contextlib
import logging
import re
import socket

import pytest
from helpers import LIMIT, until, until_then
from hypothesis import given
from hypothesis import strategies as st

import jsonrpcc
from jsonrpcc import _log
from jsonrpcc._log import BURST
from jsonrpcc.testing import Drop, Error, Server


def fail():
    raise Error(5, "no", {"password": "secret"})


def test_an_unhandled_error_is_logged_with_its_method(caplog):
    """A server's message does not say where it is from, and data may be secret."""
    with Server({"fail": fail}) as server, jsonrpcc.Client(server.address) as client:
        client.request("fail")
        client.drain(5)
    (line,) = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    for part in ("no on_error was given", "'fail'", "5", "'no'", server.address):
        assert part in line
    assert "secret" not in line


def test_each_line_begins_with_the_name_of_the_client(caplog, run):
    """Of several clients in a program; a % in it is not a format."""
    caplog.set_level(logging.INFO, "jsonrpcc")

    async def main(address):
        async with jsonrpcc.AsyncClient(address, name="bulk") as client:
            await client.call("x")

    with Server({"x": lambda: 1, "fail": fail}) as server:
        with jsonrpcc.Client(server.address, name="50%s users") as client:
            client.request("fail")
            client.request("x", on_result=lambda _: 1 / 0)
            client.drain(5)
        run(main(server.address))
    lines = [record.getMessage() for record in caplog.records]
    assert f"50%s users: {server.address} connected" in lines
    assert "50%s users: callback of 'x' failed" in lines
    assert any(line.startswith("50%s users: RemoteError") for line in lines)
    assert f"bulk: {server.address} connected" in lines
    assert all(line.startswith(("50%s users: ", "bulk: ")) for line in lines)


# ---- limited, and counted ---------------------------------------------------------


@pytest.fixture
def lines(caplog):
    """Return the texts that have been logged."""
    caplog.set_level(logging.INFO, "jsonrpcc")
    return lambda: [record.getMessage() for record in caplog.records]


def counted(line):
    found = re.search(r", and ([\d,]+) more$", line)
    return 1 + int(found[1].replace(",", "")) if found else 1


def test_a_flood_is_some_lines_and_a_number(lines):
    server = Server({"x": lambda: 1}, fault=Drop(), keep=0)
    with server, jsonrpcc.Client(server.address, timeout=30) as client:
        for _ in range(2000):
            client.request("x")
        until(lambda: client.servers()[0].sent == 2000)
        server.drop_connections()
        client.drain(5)
    failed = [line for line in lines() if "no on_error" in line]
    assert len(failed) == BURST + 1
    assert sum(map(counted, failed)) == 2000
    assert failed[-1].endswith(f"(no on_error was given), and {1999 - BURST:,} more")


def test_each_kind_has_its_own_share(lines):
    """Methods, classes of errors, servers and kinds of events."""

    def fail():
        raise ZeroDivisionError

    with (
        Server({"a": fail, "b": fail}) as server,
        jsonrpcc.Client(server.address) as client,
    ):
        for _ in range(20):
            client.request("a")
            client.request("b", timeout=0.001, on_result=print)
            client.request("c", on_error=lambda _: 1 / 0)
        client.drain(5)
    for part in ("'a'", "b", "callback of 'c' failed"):
        found = [line for line in lines() if part in line]
        assert sum(map(counted, found)) >= 20


def test_what_is_held_back_is_logged_in_time(lines, monkeypatch):
    """It causes no further record and does not end the client."""
    monkeypatch.setattr(_log, "PERIOD", 0.05)
    monkeypatch.setattr(_log, "LOOK_MS", 10)
    with Server({"fail": fail}) as server, jsonrpcc.Client(server.address) as client:
        for _ in range(100):
            client.request("fail")
        until(lambda: sum(counted(x) for x in lines() if "no on_error" in x) == 100)
        # And when it has been quiet there are single ones again.
        until(lambda: not client._dispatcher._log._kinds or client.request("fail"))


def test_an_async_client_logs_in_time(lines, monkeypatch, run):
    monkeypatch.setattr(_log, "PERIOD", 0.05)
    monkeypatch.setattr(_log, "LOOK_MS", 10)

    def broken(event):
        raise ZeroDivisionError(event)

    async def main(server):
        options = {"reconnect_delay": 0.001, "reconnect_delay_max": 0.001}
        async with jsonrpcc.AsyncClient(server.address, on_event=broken, **options):
            await until_then(
                lambda: server.drop_connections() or " more" in "".join(lines())
            )

    with Server({}) as server:
        run(main(server))
    assert any(line.startswith("on_event") for line in lines())


kinds = st.sampled_from("abc")
steps = st.lists(st.tuples(kinds, st.sampled_from([0.0, 0.1, 4.0, 11.0])), max_size=80)


@given(steps)
def test_no_record_is_lost_and_no_period_has_more_than_its_share(steps):
    now = 0.0
    written = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_log.time, "monotonic", lambda: now)
        patch.setattr(_log, "_emit", lambda _, text, args, *rest: written.append(
            (now, (text % args) if args else text)))  # fmt: skip
        log = _log.Log()
        for kind, pause in steps:
            log.write(logging.ERROR, kind, kind)
            now += pause
            if log.wait_ms > 0:
                log.flush()
        log.flush(everything=True)
        assert log.wait_ms == -1
    for kind in "abc":
        mine = [(at, text) for at, text in written if text[0] == kind]
        assert sum(counted(text) for _, text in mine) == sum(
            k == kind for k, _ in steps
        )
        for at, _ in mine[:-1]:
            period = [t for t, _ in mine[:-1] if at <= t < at + _log.PERIOD]
            assert len(period) <= 2 * BURST


def test_only_a_limited_number_of_kinds_is_kept_apart(lines):
    log = _log.Log()
    for i in range(3 * _log.MOST_KINDS):
        log.write(logging.ERROR, i, "%s", i)
    assert len(lines()) == 3 * _log.MOST_KINDS
    assert len(log._kinds) <= _log.MOST_KINDS


# ---- handlers that use clients, or fail --------------------------------------------


class Sending(logging.Handler):
    """Sends each record through a client, in some style; the server is not there."""

    def __init__(self, client, use):
        super().__init__()
        self.client, self.use, self.seen = client, use, []

    def emit(self, record):
        self.seen.append(record.getMessage())
        with contextlib.suppress(jsonrpcc.JsonRpcError):
            self.use(self.client, record.getMessage())


def broken(_):
    raise ZeroDivisionError


STYLES_OF_HANDLERS = {
    "request": lambda client, text: client.request("log", [text]),
    "request of something else": lambda client, text: client.request("log", '["x"]'),
    "request with a broken callback": lambda client, text: client.request(
        "log", [text], broken, broken
    ),
    "request in a callback": lambda client, text: client.request(
        "log", [text], None, lambda _: client.request("log", [text])
    ),
    "submit": lambda client, text: client.submit("log", [text]),
    "submit with a broken callback": lambda client, text: client.submit(
        "log", [text]
    ).add_done_callback(lambda future: client.request("log")),
    "notification": lambda client, text: client.notification("log", [text]),
    "call": lambda client, text: client.call("log", [text], timeout=0.2),
    "map": lambda client, text: list(client.map("log", [[text]] * 3)),
}


@pytest.mark.parametrize("how", STYLES_OF_HANDLERS)
@pytest.mark.parametrize("clients", [1, 2])
def test_a_handler_that_uses_a_client_causes_no_endless_log(how, clients):
    """A record may cause one more, by the handler's call, but no others."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0)))
                   for _ in range(clients)]  # fmt: skip
        addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
        for each in sockets:
            each.close()  # nobody listens
        all_clients = [
            stack.enter_context(
                jsonrpcc.Client(address, timeout=1, max_conn_attempts=0)
            )
            for address in addresses
        ]
        first, last = all_clients[0], all_clients[-1]
        for client in (first, last):
            until(lambda client=client: client.servers()[0].attempts_failed)
            client.drain(LIMIT)
        handler = Sending(last, STYLES_OF_HANDLERS[how])
        root = logging.getLogger()
        root.addHandler(handler)
        stack.callback(root.removeHandler, handler)
        first.request("x")
        for _ in range(20):
            for client in (first, last):
                assert client.drain(LIMIT)
        ours = [text for text in handler.seen if "no on_error" in text]
        assert len(ours) == 1
        assert len([text for text in handler.seen if "all down" not in text]) <= 3
        # And it is over: what others do is logged again.
        first.request("y")
        assert first.drain(LIMIT)
        assert sum("y at" in text or ": y" in text for text in handler.seen) == 1


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_a_handler_that_raises_ends_nothing(error, capsys):
    class Raising(logging.Handler):
        def emit(self, record):
            raise error("in the handler")

    logger = logging.getLogger("jsonrpcc")
    handler = Raising()
    logger.addHandler(handler)
    try:
        with Server({"fail": fail, "add": lambda a, b: a + b}) as server:
            client = jsonrpcc.Client(server.address)
            client.request("fail")
            client.request("add", [1, 2], lambda result: 1 / 0)
            assert client.drain(LIMIT)
            assert client.submit("add", [1, 2]).result(LIMIT) == 3
            client.close()
    finally:
        logger.removeHandler(handler)
    assert "in the handler" in capsys.readouterr().err
