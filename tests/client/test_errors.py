"""What an error says: method, server, time, fate and class; and that it is pickled."""

import copy
import inspect
import pickle
import re
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
from helpers import QUICK, until

import jsonrpcc
from jsonrpcc import (
    Cancelled,
    Client,
    ClientClosed,
    ConnectionLost,
    InvalidResponse,
    JsonRpcError,
    QueueFull,
    RemoteError,
    RequestTimeout,
    ServerFailure,
)
from jsonrpcc.testing import Close, Delay, Drop, NeverRead, Payload, Server

CLASSES = [
    each
    for each in vars(jsonrpcc).values()
    if inspect.isclass(each) and issubclass(each, JsonRpcError)
]


def test_the_tree_of_errors():
    assert {
        each.__name__: [b.__name__ for b in each.__bases__] for each in CLASSES
    } == {
        "JsonRpcError": ["Exception"],
        "RemoteError": ["JsonRpcError"],
        "RequestTimeout": ["JsonRpcError", "TimeoutError"],
        "ServerFailure": ["JsonRpcError", "ConnectionError"],
        "ConnectionLost": ["ServerFailure"],
        "InvalidResponse": ["JsonRpcError"],
        "Cancelled": ["JsonRpcError"],
        "ClientClosed": ["JsonRpcError"],
        "QueueFull": ["JsonRpcError"],
    }


def test_a_timeout(serve, ask):
    server = serve(Drop())
    with pytest.raises(TimeoutError) as caught:
        ask(server.address, "get_user", None, timeout=0.05)
    error = caught.value
    assert isinstance(error, RequestTimeout)
    # On a busy machine it is not sent at once.
    wait = r"(, \d+ of them waiting for a connection)?"
    room = r"(, \d+( of them waiting)? for room in the socket)?"
    spent = rf"\d+ ms{wait}{room}"
    where = re.escape(server.address)
    assert re.fullmatch(rf"timeout: get_user at {where}, {spent}", str(error))
    assert (error.method, error.server, error.fate) == (
        "get_user", server.address, "unknown",
    )  # fmt: skip
    assert 0.05 <= error.elapsed < 1


def milliseconds(error, pattern):
    """The milliseconds that *pattern* finds in an error's text."""
    found = re.search(pattern, str(error))
    assert found is not None, str(error)
    return [int(number) for number in found.groups()]


def test_a_timeout_that_was_waiting_for_a_connection(serve, ask):
    server = serve()
    server.blackhole()
    with pytest.raises(RequestTimeout) as caught:
        ask(server.address, "get_user", None, timeout=0.2, connect_timeout=9)
    error = caught.value
    [ms] = milliseconds(
        error,
        r"^timeout: get_user, (\d+) ms, all of them waiting for a connection "
        r"\(not sent\)$",
    )
    assert ms == round(error.elapsed * 1000) >= 200
    assert (error.waited, error.answered, error.attempts) == (error.elapsed, None, 0)
    assert (error.server, error.fate) == (None, "not_sent")


def test_a_timeout_that_was_waiting_for_a_connection_at_first(serve, client_for):
    server = serve(Drop())
    server.stop()
    client = client_for(server, **QUICK)
    until(lambda: client.servers()[0].attempts_failed)
    started = []

    def start():
        started.append(time.monotonic())
        server.start()

    later = threading.Timer(0.2, start)
    later.start()
    with pytest.raises(RequestTimeout) as caught:
        client.call("get_user", timeout=1, wait_for_ready=True)
    ended = time.monotonic()
    later.join()
    error = caught.value
    # Of the 0.2 s, less than that if one of the threads was late.
    down = int((started[0] - (ended - error.elapsed)) * 1000)
    ms, waiting = milliseconds(
        error,
        rf"^timeout: get_user at {re.escape(server.address)}, (\d+) ms, "
        # On a busy machine, it is not sent at once.
        r"(\d+) of them waiting for a connection(?:, \d+ for room in the socket)?$",
    )
    assert down - 1 <= waiting < 1000 <= ms
    assert waiting <= round(error.waited * 1000) <= waiting + 20
    assert (error.answered, error.attempts, error.fate) == (None, 1, "unknown")


def test_a_timeout_that_was_waiting_for_room_in_the_socket(serve, client_for):
    server = serve(NeverRead())
    client = client_for(server)
    until(lambda: client.servers()[0].state == "up")
    client.request("echo", ["x" * 2**23], print, lambda _: None, timeout=9)
    with pytest.raises(RequestTimeout) as caught:
        client.call("get_user", timeout=0.2)
    error = caught.value
    # On a busy machine, it is not given to the connection within a millisecond.
    [ms] = milliseconds(
        error,
        rf"^timeout: get_user at {re.escape(server.address)}, (\d+) ms, "
        r"(?:all|\d+) of them waiting (?:for a connection, \d+ )?"
        r"for room in the socket \(not sent\)$",
    )
    assert ms >= 200
    assert error.waited == error.elapsed


def test_an_error_of_the_server_says_where_the_time_went(serve, ask):
    server = serve(Delay(0.1))
    with pytest.raises(RemoteError) as caught:
        ask(server.address, "fail", [1])
    error = caught.value
    assert 0.1 <= error.answered <= error.elapsed
    assert error.waited + error.answered == pytest.approx(error.elapsed, abs=1e-6)
    assert error.attempts == 1


def test_an_error_of_a_request_that_was_sent_twice(serve, client_for):
    servers = serve(Close(0)), serve(Drop())
    client = client_for(*servers)
    until(lambda: all(each.state == "up" for each in client.servers()))
    with pytest.raises(RequestTimeout) as caught:  # by way of the first one
        client.call("get_user", timeout=0.3, idempotent=True)
    assert (caught.value.server, caught.value.attempts) == (servers[1].address, 2)


def test_a_failure(serve, ask):
    server = serve()
    server.stop()
    with pytest.raises(ConnectionError) as caught:
        ask(server.address, "get_user", None)
    error = caught.value
    assert type(error) is ServerFailure
    assert re.fullmatch(
        r"failure: no server can be reached: get_user, [\d.]+ ms"
        r"(, all of them waiting for a connection)? \(not sent\): "
        rf"{re.escape(server.address)} Connection refused \(just now\)",
        str(error),
    )
    assert (error.method, error.server, error.fate) == ("get_user", None, "not_sent")
    assert 0 <= error.elapsed < 5


def test_a_lost_connection(serve, ask):
    server = serve(Close(0))
    with pytest.raises(ConnectionError) as caught:
        ask(server.address, "get_user", None)
    error = caught.value
    assert isinstance(error, ConnectionLost)
    assert isinstance(error, ServerFailure)
    assert str(error).startswith(
        f"failure: connection lost: closed by the server: get_user at {server.address}"
    )
    assert (error.method, error.server, error.fate) == (
        "get_user", server.address, "unknown",
    )  # fmt: skip


def test_a_remote_error(serve, ask):
    server = serve()
    with pytest.raises(RemoteError) as caught:
        ask(server.address, "fail", [-32001, "no such user", {"key": "secret"}])
    error = caught.value
    assert str(error) == f"fail at {server.address}: -32001 no such user"
    assert error.message == "no such user"
    assert (error.code, error.data) == (-32001, {"key": "secret"})
    assert (error.method, error.server, error.fate) == (
        "fail", server.address, "answered",
    )  # fmt: skip
    assert 0 < error.elapsed < 5
    assert not isinstance(error, (TimeoutError, OSError))
    assert "secret" not in repr(error)


def test_the_reason_of_a_broken_frame(serve, client_for):
    server = serve()
    client = client_for(server, **QUICK)
    server.wait_for_connections(1)
    server.send(b"no netstring")
    until(lambda: client.servers()[0].losses == 1)
    assert client.servers()[0].last_error == "bad netstring from the server"


def test_a_server_that_cannot_be_reached_in_time(serve, client_for):
    server = serve()
    server.blackhole()
    client = client_for(server, connect_timeout=0.05)
    with pytest.raises(ServerFailure, match="connect timeout"):
        client.call("echo", timeout=5)


def some_errors():
    details = {
        "method": "get_user", "server": "h:1", "elapsed": 0.5, "fate": "unknown",
    }  # fmt: skip
    for cls in CLASSES:
        if cls is RemoteError:
            yield RemoteError(-32000, "no", {"a": [1]}, **details)
            yield RemoteError()
        else:
            yield cls("timeout: it took too long", **details)
            yield cls("plain")


@pytest.mark.parametrize("error", [*some_errors()], ids=repr)
def test_repr_shows_every_attribute_but_data(error):
    assert repr(error).startswith(f"{type(error).__name__}(")
    for name, value in vars(error).items():
        if value is not None:
            assert (f"{name}={value!r}" in repr(error)) == (name != "data")


@pytest.mark.parametrize("error", [*some_errors()], ids=repr)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_errors_survive_pickling(error, protocol):
    travelled = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301
    for copied in (travelled, copy.copy(error)):
        assert type(copied) is type(error)
        assert str(copied) == str(error)
        assert repr(copied) == repr(error)
        assert copied.args == error.args
        assert vars(copied) == vars(error)


def call_from_a_worker(address, method, timeout):
    with Client(address, timeout=timeout) as client:
        return client.call(method)


@pytest.mark.parametrize(
    ("method", "cls", "fate"),
    [
        ("never", RequestTimeout, "unknown"),
        ("lost", ConnectionLost, "unknown"),
        ("invalid", InvalidResponse, "answered"),
        ("nothing", RemoteError, "answered"),
    ],
)
def test_a_worker_process_sends_its_error_home(method, cls, fate):
    faults = {"never": Drop(), "lost": Close(0), "invalid": Payload('{"id":$id}')}
    with (
        Server(faults=faults) as server,
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool,
    ):
        future = pool.submit(call_from_a_worker, server.address, method, 0.2)
        error = future.exception(30)
    assert type(error) is cls
    assert (error.method, error.server, error.fate) == (method, server.address, fate)
    assert error.elapsed > 0


def test_errors_without_a_call_say_nothing():
    for cls in (Cancelled, ClientClosed, QueueFull, RequestTimeout, ServerFailure):
        error = cls("m")
        assert (error.method, error.server, error.elapsed, error.fate) == (None,) * 4
        assert repr(error) == f"{cls.__name__}('m')"
