"""The options of a client: what each one does, and which values are refused."""

import re
import time

import pytest
from helpers import until

from jsonrpcc import (
    AsyncClient,
    Client,
    RequestTimeout,
    ServerFailure,
)
from jsonrpcc.testing import Drop, Reject

BOTH = pytest.mark.parametrize("cls", [Client, AsyncClient])

# ---- what is refused ----------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    ("option", "value", "error"),
    [
        ("timeout", 0, ValueError),
        ("timeout", -1, ValueError),
        ("timeout", float("inf"), ValueError),
        ("timeout", float("nan"), ValueError),
        ("timeout", 2**31 / 1000, ValueError),
        ("timeout", None, TypeError),
        ("timeout", "5", TypeError),
        ("timeout", True, TypeError),
        ("connect_timeout", 0, ValueError),
        ("connect_timeout", None, TypeError),
        ("reconnect_delay", 0, ValueError),
        ("reconnect_delay", "1", TypeError),
        ("reconnect_delay", 11, ValueError),  # above reconnect_delay_max
        ("reconnect_delay_max", 0.5, ValueError),  # below reconnect_delay
        ("reconnect_delay_max", [], TypeError),
        ("max_conn_attempts", -2, ValueError),
        ("max_conn_attempts", 2**31, ValueError),
        ("max_conn_attempts", 1.0, TypeError),
        ("max_conn_attempts", False, TypeError),
        ("max_response", 63, ValueError),
        ("max_response", 2**31, ValueError),
        ("max_request", 63, ValueError),
        ("max_depth", 0, ValueError),
        ("max_depth", 4097, ValueError),
        ("max_in_flight", 0, ValueError),
        ("connections", 0, ValueError),
        ("connections", 17, ValueError),
        ("connections", 2.0, TypeError),
        ("max_connection_age", 0.999, ValueError),
        ("max_connection_age", -1, ValueError),
        ("max_connection_age", None, TypeError),
        ("max_connection_age", False, TypeError),
        ("max_in_flight", 2**24 + 1, ValueError),
        ("max_queued_bytes", 0, ValueError),
        ("max_queued_bytes", 2**63, ValueError),
        ("max_undelivered_bytes", 0, ValueError),
        ("max_undelivered_bytes", "64 MiB", TypeError),
        ("slow_call", 0, ValueError),
        ("slow_call", -1, ValueError),
        ("slow_call", float("nan"), ValueError),
        ("slow_call", True, TypeError),
        ("slow_call", "0.2", TypeError),
        ("name", "", ValueError),
        ("name", "x" * 65, ValueError),
        ("name", "a\nb", ValueError),
        ("name", "\x1b[2J", ValueError),
        ("name", b"users", TypeError),
        ("codec", "yaml", TypeError),
        ("codec", 7, TypeError),
        ("codec", object(), TypeError),
        ("on_event", 7, TypeError),
    ],
)
def test_a_wrong_option_is_refused_by_its_name(cls, option, value, error):
    with pytest.raises(error, match=option):
        cls("127.0.0.1:1", **{option: value})


@BOTH
def test_an_unknown_option_is_refused_by_its_name(cls):
    with pytest.raises(TypeError, match=r"unknown option 'time_out'"):
        cls("127.0.0.1:1", time_out=1)


@BOTH
@pytest.mark.parametrize("name", ["the users", None])
def test_the_name_is_seen(cls, name, run):
    client = cls("127.0.0.1:1", name=name)
    shown = repr(client)
    if cls is AsyncClient:
        run(client.close())
    else:
        client.close()
    assert client.name == name
    what = cls.__name__ if name is None else f"{cls.__name__} 'the users'"
    assert re.fullmatch(rf"<{what} 127.0.0.1:1 \w+>", shown)
    assert repr(client) == f"<{what} closed>"


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": 0.0001, "connect_timeout": 2_000_000},
        {"timeout": 2_147_483},
        {"reconnect_delay": 10, "reconnect_delay_max": 10},
        {"max_conn_attempts": 2**31 - 1, "max_depth": 4096, "max_response": 2**31 - 1},
        {"max_depth": 1, "max_request": 64, "max_response": 64, "max_in_flight": 1},
        {"max_queued_bytes": 2**63 - 1, "max_undelivered_bytes": 1},
        {"connections": 16, "max_connection_age": 1},
        {"max_connection_age": 2_147_483},
        {"max_connection_age": 0},
        {"slow_call": None},
        {"slow_call": 0.000001},
        {"name": None},
        {"name": "x" * 64},
    ],
)
def test_the_bounds_of_options_are_fine(options):
    with Client("127.0.0.1:1", **options):
        pass


@BOTH
@pytest.mark.parametrize(
    ("servers", "rule", "offset"),
    [
        ("", "a server is expected", 0),
        ("  \t\n", "a server is expected", 4),
        (":9999", "a host is expected", 0),
        ("h:1 ,1", "a host is expected", 4),
        ("h", "':' and a port are expected", 1),
        ("h1:1,1 h2 h3:1", "':' and a port are expected", 9),
        ("h/x:1", "':' and a port are expected", 1),
        ("h:", "a port from 1 to 65535 is expected", 2),
        ("h:0", "a port from 1 to 65535 is expected", 2),
        ("h:65536", "a port from 1 to 65535 is expected", 2),
        ("h:-1", "a port from 1 to 65535 is expected", 2),
        ("h:99999999999999999999", "a port from 1 to 65535 is expected", 2),
        ("h:http", "a port from 1 to 65535 is expected", 2),
        ("h:1x", "',' or a space is expected", 3),
        ("h:1;h:2", "a space is expected between two of them", 3),
        ("h:1,", "a priority (an integer) is expected", 4),
        ("h:1,x", "a priority (an integer) is expected", 4),
        ("h:1,1.5", "',' or a space is expected", 5),
        ("h:1,99999999999", "a priority (an integer) is expected", 4),
        ("h:1,2,0", "a weight from 1 to 65535 is expected", 6),
        ("h:1,2,3,4", "',' or a space is expected", 7),
        ("::1:9999", "a host is expected", 0),
        ("fe80::1:9999", "a port from 1 to 65535 is expected", 5),
        ("[::1:9999", "']' is expected", 9),
        ("[::1]", "':' and a port are expected", 5),
        ("[]:1", "a host is expected", 0),
        ("[::1]9999", "':' and a port are expected", 5),
        ("h" * 254 + ":1", "a host is longer than 253 bytes", 0),
    ],
)
def test_a_malformed_servers_string_says_what_and_where(cls, servers, rule, offset):
    with pytest.raises(ValueError, match=re.escape(rule)) as caught:
        cls(servers)
    assert f" at offset {offset}: " in str(caught.value)
    assert str(caught.value).startswith("servers: ")


@BOTH
@pytest.mark.parametrize("servers", [None, 7, b"h:1", ["h:1"], ("h", 1)])
def test_servers_is_a_str(cls, servers):
    with pytest.raises(TypeError, match="servers must be a str"):
        cls(servers)


@BOTH
def test_odd_characters_in_servers_are_refused(cls):
    with pytest.raises(ValueError, match="NUL at offset 3"):
        cls("h:1\0")
    with pytest.raises(ValueError, match="servers: invalid UTF-8 at offset 1"):
        cls("h\ud800:1")


@pytest.mark.parametrize(
    ("servers", "read"),
    [
        ("h:1", [("h", 1, 1)]),
        ("h:65535,7", [("h", 65535, 7)]),
        ("h:1,-5", [("h", 1, -5)]),
        ("h:1,0", [("h", 1, 0)]),
        (" a:1,2\t\nb:3  ", [("a", 1, 2), ("b", 3, 1)]),
        ("[::1]:9,2 [fe80::1%lo]:9", [("::1", 9, 2), ("fe80::1%lo", 9, 1)]),
        ("a-b.c_d:1 h:1 h:2", [("a-b.c_d", 1, 1), ("h", 1, 1), ("h", 2, 1)]),
    ],
)
def test_servers_are_read_as_written(servers, read):
    with Client(servers) as client:
        assert [(s.host, s.port, s.priority) for s in client.servers()] == read


# ---- timeouts, reconnecting ---------------------------------------------------------


def test_timeout_is_that_of_calls_without_one(serve, ask):
    server = serve(Drop())
    with pytest.raises(RequestTimeout) as caught:
        ask(server.address, "echo", None, timeout=0.08)
    assert 0.08 <= caught.value.elapsed < 2


def test_a_calls_own_timeout_takes_precedence(serve, client_for):
    client = client_for(serve(Drop()), timeout=60)
    with pytest.raises(RequestTimeout) as caught:
        client.call("echo", timeout=0.05)
    assert 0.05 <= caught.value.elapsed < 2
    [error] = client.map("echo", [[]], timeout=0.05, return_exceptions=True)
    assert 0.05 <= error.elapsed < 2


@pytest.mark.parametrize("timeout", [0.05, 0.3])
def test_connect_timeout_bounds_an_attempt(serve, client_for, timeout):
    server = serve()
    server.blackhole()
    began = time.monotonic()
    client = client_for(server, connect_timeout=timeout)
    with pytest.raises(ServerFailure, match="connect timeout"):
        client.call("echo", timeout=30)
    assert timeout <= time.monotonic() - began < timeout + 2


@pytest.mark.parametrize("attempts", [0, 1, 3])
def test_max_conn_attempts_bounds_reconnecting(serve, client_for, attempts):
    server = serve()
    server.stop()
    client = client_for(
        server, max_conn_attempts=attempts, reconnect_delay=0.005, timeout=30
    )
    with pytest.raises(ServerFailure):  # at once when the last attempt has failed
        client.call("echo", wait_for_ready=True)
    assert client.servers()[0].attempts_failed == attempts + 1
    server.start()
    with pytest.raises(ServerFailure):
        client.call("echo", wait_for_ready=True)
    assert server.accepted == 0


def test_max_conn_attempts_counts_a_row(serve, client_for):
    """An answer resets the count of a server's failures."""
    server = serve()
    client = client_for(server, max_conn_attempts=1, reconnect_delay=0.005)
    for i in range(1, 5):
        assert client.call("echo", wait_for_ready=True) == []
        server.drop_connections()
        until(lambda i=i: client.servers()[0].losses == i)
    assert client.call("echo", wait_for_ready=True) == []
    assert server.accepted == 5


def test_without_a_bound_it_reconnects_for_ever(serve, client_for):
    server = serve()
    server.stop()
    client = client_for(server, reconnect_delay=0.001, reconnect_delay_max=0.002)
    until(lambda: client.servers()[0].attempts_failed > 50)
    server.start()
    assert client.call("echo", wait_for_ready=True) == []


def test_reconnect_delays_bound_the_waits(serve, client_for):
    """Each wait is anything up to its bound, which doubles up to the maximum."""
    server = serve(Reject())
    client = client_for(server, reconnect_delay=0.01, reconnect_delay_max=0.04)
    began = time.monotonic()
    server.wait_for_accepted(30)
    assert time.monotonic() - began < 30 * 0.04 + 1
    slow = client_for(server, reconnect_delay=60, reconnect_delay_max=60)
    until(lambda: slow.servers()[0].losses + slow.servers()[0].attempts_failed == 1)
    before = slow.servers()[0].connects
    assert client.servers()[0].connects > before
