"""Servers that send what they should not, or nothing at all."""

import struct

import pytest
from history import METHODS, History, servers_string, until, wait_for_state

from jsonrpcc import (
    Client,
    ConnectionLost,
    InvalidResponse,
    RequestTimeout,
    ServerFailure,
)
from jsonrpcc.testing import (
    Around,
    Banner,
    Close,
    Delay,
    Drip,
    Drop,
    Duplicate,
    Early,
    Flood,
    Frame,
    Merge,
    Payload,
    Raw,
    Reset,
    Server,
    Split,
    WrongId,
    netstring,
)

QUICK = {"reconnect_delay": 0.02, "reconnect_delay_max": 0.05}


@pytest.fixture
def client(server):
    with Client(server.address, **QUICK) as client:
        wait_for_state(client, "up")
        yield client


# ---- frames ----------------------------------------------------------------------

TLS_ALERT = struct.pack(">BHHBB", 21, 0x0303, 2, 2, 40)
BROKEN = {
    "no digit": Raw(b":{},"),
    "letters": Raw(b"abc:{},"),
    "a sign": Raw(b"+2:{},"),
    "a minus": Raw(b"-2:{},"),
    "a space before": Raw(b" 2:{},"),
    "a space behind": Raw(b"2 :{},"),
    "a leading zero": Frame("0$len:"),
    "hex": Raw(b"0x2:{},"),
    "no comma": Frame(comma=""),
    "another comma": Frame(comma=";"),
    "one too short": Frame(off=-1),
    "ten digits": Raw(b"9999999999:"),
    "twenty digits": Raw(b"1" * 20),
    "digits for ever": Flood(b"1" * 65536, limit=10_000_000),
    "above the limit": Raw(b"16777217:"),
    "garbage for ever": Flood(bytes(range(256)) * 64, limit=10_000_000),
    "zeros": Raw(b"\0" * 100),
    "HTTP": Raw(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "SSH": Raw(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "TLS": Raw(TLS_ALERT),
    "a newline between": Around(after=b"\n"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_frame_ends_its_connection_at_once(server, client, name):
    """Its calls fail at once, those on other servers do not, and it reconnects."""
    server.misbehave(BROKEN[name])
    history = History()
    waiting, _ = history.request(client)
    entry = history.call(client)
    history.wait()
    server.behave()
    for each in (waiting, entry):
        # Responses before the broken frame count.
        assert each.error is None or isinstance(each.error, ServerFailure)
        assert each.outcomes[0].time - each.submitted < 1
    until(lambda: not history.call(client, wait_for_ready=True).error)
    assert client.stats().bad_frames >= 1
    assert client.servers()[0].losses >= 1
    history.check(server)


def test_a_frame_of_exactly_the_limit(server):
    """The limit is inclusive; one byte more ends the connection, from its header."""
    limit = 5000
    for size, good in ((limit, True), (limit + 1, False)):
        payload = b'{"jsonrpc":"2.0","id":$id,"result":["%s"]}'

        def fill(request, size=size, payload=payload):
            text = payload.replace(b"$id", str(request.id).encode())
            return text.replace(b"%s", b"x" * (size - len(text) + 2))

        server.misbehave(Payload(fill))
        with Client(server.address, max_response=limit) as client:
            if good:
                assert len(client.call("echo", [1])[0]) > 4000
            else:
                with pytest.raises(ConnectionLost, match="larger than max_response"):
                    client.call("echo", [1])


@pytest.mark.parametrize("how", [Close, Reset])
def test_the_end_at_any_byte_of_a_response(server, client, how):
    """Whole responses count; truncated ones do not and are never continued."""
    history = History()
    for cut in range(60):
        server.misbehave(how(cut, times=1))
        entry = history.call(client, wait_for_ready=True)
        assert entry.error is None or type(entry.error) is ConnectionLost, cut
    history.check(server)


@pytest.mark.parametrize(
    "fault",
    [
        Split(1),
        Split(7, 0.001),
        Drip(20_000),
        Merge(10),
        Merge(10, reverse=True),
        Duplicate(3),
        Around(before=netstring(b"[]") * 50, after=netstring(b"") + netstring(b"7")),
        Around(after=netstring(b'{"jsonrpc":"2.0","method":"x","id":1}')),
        Delay(0.05),
    ],
    ids=repr,
)
def test_odd_deliveries_do_no_harm(server, client, fault):
    server.misbehave(fault)
    history = History()
    for _ in range(50):
        history.request(client)
    history.wait()
    assert not history.errors()
    assert client.servers()[0].losses == 0
    history.check(server)


def test_frames_that_end_around_the_receive_buffers_end(server, client):
    """A frame that ends before, at and after 64 KiB, followed by another one."""
    head = b'{"jsonrpc":"2.0","id":%d,"result":["%s"]}'
    history = History()
    for size in [*range(65536 - 12, 65536 + 12), *range(131072 - 4, 131072 + 4)]:

        def fill(request, size=size):
            text = head % (request.id, b"")
            return head % (request.id, b"x" * (size - len(text) - len("65536:,")))

        server.misbehave(Payload(fill, times=1), Merge(2))
        told = []
        client.request("fill", None, told.append, told.append)
        history.request(client)
        until(lambda told=told: told)
        assert set(told[0][0]) == {"x"}
        history.wait()
    assert not history.errors()
    history.check(server)


def test_an_answer_before_the_request_has_arrived():
    """A server may refuse a request from its first bytes on."""
    with Server(METHODS, fault=Early()) as server, Client(server.address) as client:
        wait_for_state(client, "up")
        # The method is not called: the result is null.
        assert client.call("echo", [1, "x" * 20_000_000][:1]) in (None, [1])
        assert client.call("echo", [1, "x" * 8_000_000], timeout=10) is None
        assert client.call("echo", [2]) in (None, [2])


# ---- ids -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        0,
        -1,
        lambda request: request.id + 1,
        lambda request: request.id - 1,
        lambda request: request.id + 65536,
        lambda request: f"0{request.id}",
        lambda request: f" {request.id}",
        lambda request: [request.id],
        lambda request: {"id": request.id},
        2**53 + 1,
        2**63,
        2**64 + 7,
        None,
        True,
        "x",
        "",
    ],
)
def test_a_foreign_id_is_ignored(server, client, wrong):
    server.misbehave(WrongId(wrong, times=1))
    history = History()
    assert isinstance(history.call(client, timeout=0.1).error, RequestTimeout)
    assert not history.call(client).error
    stats = client.stats()
    assert stats.unmatched + stats.ignored >= 1
    history.check(server)


@pytest.mark.parametrize("text", ["$id.0", "$ide0", "$id.5", "-$id", "+$id", "0$id"])
def test_an_id_that_is_almost_right(server, client, text):
    payload = f'{{"jsonrpc":"2.0","id":{text},"result":[0]}}'
    server.misbehave(Payload(payload, times=1))
    history = History()
    assert isinstance(history.call(client, timeout=0.1).error, RequestTimeout)
    assert not history.call(client).error
    history.check(server)


def test_answers_after_the_deadline_are_ignored(server, client):
    history = History()
    server.misbehave(Delay(0.15))
    late = [history.request(client, timeout=0.05) for _ in range(20)]
    history.wait()
    server.behave()
    for _ in range(40):
        assert not history.call(client).error
    until(lambda: client.stats().unmatched == len(late))
    history.check(server)


def test_an_answer_on_another_servers_connection_is_ignored():
    """An id is valid only on the connection that its request was sent on."""
    with Server(METHODS, fault=Drop()) as asked, Server(METHODS) as other:
        text = servers_string(asked, other, priorities=(2, 1))
        with Client(text) as client:
            wait_for_state(client, "up", 0, 1)
            history = History()
            entry, _ = history.request(client, timeout=0.3)
            (request,) = asked.wait_for_requests(1)
            payload = b'{"jsonrpc":"2.0","id":%d,"result":[0]}' % request.id
            other.wait_for_connections(1)
            other.send(netstring(payload))
            until(lambda: client.stats().unmatched == 1)
            history.wait()
            assert isinstance(entry.error, RequestTimeout)
            history.check(asked, other)


# ---- payloads --------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        b"[" * 100_000,
        b"[" * 513 + b"]" * 513,
        b'{"a":' * 600 + b"1" + b"}" * 600,
        b"NaN",
        b"Infinity",
        b"-01",
        b"'single'",
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b'"\x01"',
        b"1" * 1_000_000 + b"x",
        b'"\\x"',
        b"1 2",
        b"tru",
        b"",
    ],
)
def test_a_bad_payload_hurts_its_own_call_only(server, client, value):
    head = b'{"jsonrpc":"2.0","id":$id,"result":'
    server.misbehave(Payload(head + value + b"}", times=1))
    history = History()
    others = [history.request(client)[0] for _ in range(10)]
    spoiled = history.call(client, timeout=0.3)
    history.wait()
    bad = [e for e in [*others, spoiled] if e.error]
    assert len(bad) == 1
    assert isinstance(bad[0].error, InvalidResponse | RequestTimeout)
    assert client.servers()[0].losses == 0
    history.check(server)


def test_unsolicited_bytes_and_banners(server):
    """Unsolicited frames are counted; any other banner ends the connection."""
    with Client(server.address, **QUICK) as client:
        wait_for_state(client, "up")
        server.wait_for_connections(1)  # it is up here a moment earlier
        server.send(netstring(b'{"jsonrpc":"2.0","id":12345,"result":1}') * 1000)
        server.send(netstring(b'{"jsonrpc":"2.0","method":"hello"}') * 1000)
        until(lambda: client.stats().unmatched == 1000)
        until(lambda: client.stats().ignored == 1000)
        assert client.call("echo", [1]) == [1]
        assert client.servers()[0].losses == 0
        server.misbehave(Banner(b"220 mail.example ESMTP\r\n"))
        server.drop_connections()
        until(lambda: client.stats().bad_frames >= 2)
        server.behave()
        wait_for_state(client, "up")
        assert client.call("echo", [1], wait_for_ready=True) == [1]
