"""What connections say first: logins and probes that are refused, silent or changed."""

import asyncio
import dataclasses
import json
import logging
import socket
import threading
import time
from collections import Counter

import msgspec
import pytest
from forked import check_in_child
from greeting import LOGIN, METHODS, NOT_GREETED, WORDS, kinds, said
from helpers import QUICK
from history import LIMIT, until
from peer import shared_tls

from jsonrpcc import AsyncClient, Client, JsonRpcError, ServerFailure, Tls
from jsonrpcc.testing import (
    Around,
    Delay,
    Drop,
    Duplicate,
    Payload,
    Raw,
    WrongId,
    netstring,
)


@pytest.fixture
def guarded(serve):
    """A server that requires a login and a subscription."""
    return serve(methods=METHODS, hello=["login", "subscribe"])


# ---- the way in --------------------------------------------------------------------


def test_a_connection_says_its_hello_before_calls(guarded):
    hello = [*LOGIN, ("subscribe", ["a", "b"]), ("rpc.ping", None)]
    with Client(guarded.address, hello=hello, **QUICK) as client:
        futures = [client.submit("echo", [n]) for n in range(50)]
        assert [future.result() for future in futures] == [[n] for n in range(50)]
        stats = client.stats()
    assert said(guarded) == [["login", "subscribe", "rpc.ping"] + 50 * ["echo"]]
    assert guarded.before_hello == []
    assert stats.requests == 50
    assert (stats.hellos, stats.hellos_failed) == (3, 0)


def test_each_connection_says_its_hello(guarded):
    hello = [*LOGIN, ("subscribe", ["a"])]
    with Client(guarded.address, hello=hello, **QUICK) as client:
        for n in range(5):
            assert client.call("echo", [n], wait_for_ready=True) == [n]
            connects = client.servers()[0].connects
            guarded.drop_connections()
            until(lambda: client.servers()[0].connects > connects)  # noqa: B023
    assert all(each[:2] == ["login", "subscribe"] for each in said(guarded))
    assert guarded.before_hello == []


def test_without_a_hello_that_server_refuses_calls(guarded, caplog):
    caplog.set_level(logging.INFO, logger="jsonrpcc.testing")
    with Client(guarded.address, **QUICK) as client:
        with pytest.raises(JsonRpcError, match="login") as refused:
            client.call("echo", [1])
        assert refused.value.code == NOT_GREETED
        assert client.call("login", ["bob", WORDS]) == {"user": "bob"}
        with pytest.raises(JsonRpcError, match="subscribe"):
            client.call("login", ["bob", WORDS])
        assert client.call("subscribe", []) == []
        assert client.call("echo", [2]) == [2]
    assert [each.method for each in guarded.before_hello] == ["echo", "login"]
    log = caplog.text
    assert "connection 1: 'echo' came before the hello" in log
    assert "connection 1: hello subscribe answered, 2 of 2" in log


def test_by_the_async_client(guarded):
    async def main():
        hello = [*LOGIN, ("subscribe", ["a"])]
        lost = asyncio.Event()

        def on_event(event):
            if event.kind == "lost":
                lost.set()

        options = {"hello": hello, "on_event": on_event, **QUICK}
        async with AsyncClient(guarded.address, **options) as client:
            assert await client.call("echo", [1]) == [1]
            client.set_hello([])
            guarded.drop_connections()
            await asyncio.wait_for(lost.wait(), LIMIT)
            with pytest.raises(JsonRpcError, match="login"):
                await client.call("echo", [2], wait_for_ready=True)

    asyncio.run(main())


class Login(msgspec.Struct):
    user: str
    password: str


@dataclasses.dataclass
class Plain:
    user: str
    password: str


@pytest.mark.parametrize(
    "params",
    [
        ["bob", WORDS],
        ("bob", WORDS),
        {"user": "bob", "password": WORDS},
        Login("bob", WORDS),
        Plain("bob", WORDS),
        f"['bob', '{WORDS}']",
        b'{"user": "bob", "password": "%b"}' % WORDS.encode(),
    ],
    ids=lambda params: type(params).__name__,
)
def test_params_of_any_kind(serve, params):
    server = serve(methods=METHODS, hello=["login"])
    with Client(server.address, hello=(("login", params),), **QUICK) as client:
        assert client.call("echo", [1]) == [1]
        client.set_hello([("login", params)])


def test_inside_tls(serve):
    certificates = shared_tls()
    server = serve(methods=METHODS, hello=["login"], tls=certificates)
    tls = Tls(**certificates.client)
    with Client(server.address, hello=LOGIN, tls=tls, **QUICK) as client:
        assert client.call("echo", [1]) == [1]
        assert client.servers()[0].state == "up"
    assert said(server) == [["login", "echo"]]


def test_a_child_says_its_own_hello(guarded):
    hello = [*LOGIN, ("subscribe", ["a"])]
    with Client(guarded.address, hello=hello, **QUICK) as client:
        assert client.call("echo", [1]) == [1]

        def check():
            assert client.call("echo", [2]) == [2]
            assert client.stats().hellos == 2

        check_in_child(check)
        assert client.call("echo", [3]) == [3]
        assert client.stats().hellos == 2
    assert said(guarded) == [
        ["login", "subscribe", "echo", "echo"],
        ["login", "subscribe", "echo"],
    ]


# ---- refused and silent ------------------------------------------------------------


def test_a_login_that_is_refused_is_a_failed_attempt(serve):
    server = serve(methods=METHODS, hello=["login"])
    events = []
    wrong = [("login", ["bob", "wrong"])]
    with Client(server.address, hello=wrong, on_event=events.append, **QUICK) as client:
        with pytest.raises(ServerFailure, match="answered with error 401") as failed:
            client.call("echo", [1])
        until(lambda: client.servers()[0].attempts_failed > 2)
        info = client.servers()[0]
        assert info.state in {"down", "connecting", "proving"}
        assert info.last_error == "the hello was answered with error 401"
        assert info.connects == 0
        client.set_hello([("login", ["bob", WORDS])])
        assert client.call("echo", [2], wait_for_ready=True) == [2]
    assert failed.value.fate == "not_sent"
    assert kinds(events)[:2] == ["unreachable", "all_down"]
    assert events[0].reason == "the hello was answered with error 401"
    assert kinds(events).count("unreachable") == 1
    assert "connected" in kinds(events)


def test_other_servers_take_the_calls(serve):
    refusing = serve(methods=METHODS, hello=["login"])
    silent = serve(methods=METHODS, faults={"login": Drop()})
    good = serve(methods=METHODS)
    servers = f"{refusing.address},3 {silent.address},2 {good.address},1"
    wrong = [("login", ["bob", "wrong"])]
    with Client(
        servers, hello=wrong, hello_errors=None, connect_timeout=0.2, **QUICK
    ) as client:
        good.add_method("login", lambda *_: 1)
        for n in range(200):
            assert client.call("echo", [n], wait_for_ready=True) == [n]
    assert not [each for each in refusing.requests if each.method == "echo"]
    assert not [each for each in silent.requests if each.method == "echo"]


@pytest.mark.parametrize(
    ("errors", "method", "works"),
    [
        (None, "rpc.ping", True),
        (None, "ping", False),
        ("accept", "ping", True),
        ("refuse", "rpc.ping", False),
    ],
)
def test_what_an_error_means(serve, errors, method, works):
    server = serve(methods={"echo": lambda *params: list(params)})
    with Client(
        server.address, hello=[(method, None)], hello_errors=errors, **QUICK
    ) as client:
        if works:
            assert client.call("echo", [1]) == [1]
        else:
            with pytest.raises(ServerFailure, match="error -32601"):
                client.call("echo", [1])


def test_a_hello_that_never_ends(serve):
    """Calls wait as for connecting; the reason is reported, and others are tried."""
    server = serve(methods=METHODS, faults={"login": Drop()})
    events = []
    with Client(
        server.address, hello=LOGIN, connect_timeout=0.3, timeout=5,
        on_event=events.append, reconnect_delay=0.01, reconnect_delay_max=0.05,
    ) as client:  # fmt: skip
        until(lambda: client.servers()[0].state == "proving")
        assert client.servers()[0].awaits_hello
        assert not client.wait_ready(0.01)
        began = time.monotonic()
        with pytest.raises(ServerFailure, match="hello was not answered in time"):
            client.call("echo", [1])
        assert time.monotonic() - began < LIMIT
        server.behave()
        assert client.wait_ready(LIMIT)
        assert client.call("echo", [2]) == [2]
        assert client.stats().hellos_failed > 0
    assert events[0].kind == "unreachable"
    assert events[0].reason == "the hello was not answered in time"


def test_calls_wait_for_a_hello_that_takes_its_time(serve):
    server = serve(methods=METHODS, faults={"login": Delay(0.3)})
    with Client(server.address, hello=LOGIN, **QUICK) as client:
        assert client.call("echo", [1]) == [1]
    assert said(server) == [["login", "echo"]]


def test_a_server_is_not_ready_before_it_has_answered_the_hello(serve):
    server = serve(methods=METHODS, faults={"login": Drop()})
    with Client(server.address, hello=LOGIN, **QUICK) as client:
        server.wait_for_requests(1)
        assert not client.wait_ready(0.05)
        server.behave()
        server.drop_connections()
        assert client.wait_ready(LIMIT)


# ---- hostile -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        WrongId(7),
        WrongId(None),
        Payload("garbage"),
        Payload('{"jsonrpc":"2.0","method":"login","params":[]}'),
        Payload("[]"),
        Raw(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        Raw(b"999999999:"),
        Raw(b"5:ab,cd"),
        Payload('{"jsonrpc":"2.0","id":1,"result":"%s"}' % ("x" * 2_000_000)),
    ],
    ids=[
        "wrong id", "no id", "garbage", "notification", "batch", "http", "huge header",
        "bad frame", "too large",
    ],
)  # fmt: skip
def test_what_is_not_an_answer_lets_nothing_through(serve, fault):
    server = serve(methods=METHODS, faults={"login": fault})
    with Client(
        server.address, hello=LOGIN, connect_timeout=0.2, max_response=1_000_000,
        **QUICK,
    ) as client:  # fmt: skip
        with pytest.raises(ServerFailure):
            client.call("echo", [1])
        until(lambda: client.servers()[0].attempts_failed > 1)
        assert client.servers()[0].connects == 0
        assert "echo" not in [each.method for each in server.requests]
        server.behave()
        assert client.call("echo", [2], wait_for_ready=True) == [2]


@pytest.mark.parametrize(
    "fault",
    [
        Duplicate(3),
        Around(before=netstring(b"what?"), after=netstring(b'{"id":1,"error":{}}')),
        Payload('{"id":"1","result":1}'),
        Payload('{"jsonrpc":"2.0","id":1,"result":"%s"}' % ("x" * 900_000)),
    ],
    ids=["twice", "noise around it", "id as a text", "large"],
)
def test_an_odd_answer_is_still_an_answer(serve, fault):
    server = serve(methods=METHODS, faults={"login": fault})
    with Client(server.address, hello=LOGIN, max_response=1_000_000, **QUICK) as client:
        for n in range(20):
            assert client.call("echo", [n]) == [n]
        assert client.servers()[0].connects == 1


# ---- what is said of it ------------------------------------------------------------


# ---- another hello -----------------------------------------------------------------


def test_set_hello_from_anywhere(serve):
    """Called in threads and callbacks; each connection says one of the hellos."""
    server = serve(methods=METHODS)
    hellos = [[(f"{name}{n}", None) for n in range(3)] for name in "ab"]
    with Client(
        server.address, hello=hellos[0], hello_errors="accept", **QUICK
    ) as client:
        client.request("echo", [0], lambda _: client.set_hello(hellos[1]))
        client.drain()
        over = threading.Event()

        def change():
            while not over.is_set():
                for hello in hellos:
                    client.set_hello(hello)

        threads = [threading.Thread(target=change) for _ in range(3)]
        for thread in threads:
            thread.start()
        for n in range(30):
            client.call("echo", [n], wait_for_ready=True, idempotent=True)
            server.drop_connections()
        over.set()
        for thread in threads:
            thread.join()
    greetings = Counter("".join(each[:3]) for each in said(server) if len(each) > 3)
    assert set(greetings) <= {"a0a1a2", "b0b1b2"}
    assert len(greetings) == 2


def test_set_hello_of_a_closed_client(server):
    client = Client(server.address, hello=LOGIN)
    client.close()
    with pytest.raises(JsonRpcError, match="closed"):
        client.set_hello(LOGIN)


def test_the_frames_of_a_hello():
    """Requests like all others, with ids below those of calls."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with Client(f"127.0.0.1:{port}", hello=[("a", [1]), ("b", None)]) as client:
            sock, _ = listener.accept()
            with sock:
                first = sock.recv(1000)
                assert first == netstring(
                    b'{"jsonrpc":"2.0","id":1,"method":"a","params":[1]}'
                )
                future = client.submit("c")
                sock.sendall(netstring(b'{"jsonrpc":"2.0","id":1,"result":0}'))
                second = sock.recv(1000)
                assert second == netstring(b'{"jsonrpc":"2.0","id":2,"method":"b"}')
                sock.sendall(netstring(b'{"jsonrpc":"2.0","id":2,"result":0}'))
                payload = sock.recv(1000).partition(b":")[2][:-1]
                call = json.loads(payload)
                assert (call["method"], call["id"] > 15) == ("c", True)
                answer = {"jsonrpc": "2.0", "id": call["id"], "result": 9}
                sock.sendall(netstring(json.dumps(answer).encode()))
                assert future.result(LIMIT) == 9
