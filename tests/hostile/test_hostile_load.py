"""Servers under load: one sends all the time, or all misbehave at random."""

import time

import pytest
from helpers import in_threads
from history import METHODS, History, servers_string, until, wait_for_state

from jsonrpcc import Client, JsonRpcError
from jsonrpcc.testing import (
    Around,
    Chaos,
    Close,
    Delay,
    Drop,
    Duplicate,
    Flood,
    Frame,
    Payload,
    Raw,
    Reject,
    Reset,
    Server,
    SlowRead,
    Split,
    WrongId,
    netstring,
)


def test_a_flood_delays_no_deadline_and_no_other_server():
    """One server floods the client with frames; work between two polls is bounded."""
    frame = netstring(b'{"jsonrpc":"2.0","id":999999999,"result":[1,2,3]}')
    flood = Flood(frame * 1000)
    with Server(METHODS) as healthy, Server(METHODS) as flooder:
        text = servers_string(healthy, flooder)
        with Client(text, reconnect_delay=0.02, reconnect_delay_max=0.05) as client:
            wait_for_state(client, "up", 0, 1)
            flooder.misbehave(flood)
            history = History()
            for _ in range(2):
                history.request(client, timeout=0.5)
            until(lambda: client.stats().unmatched > 10_000)
            began = time.monotonic()
            entries = [history.request(client, timeout=0.5)[0] for _ in range(40)]
            history.wait()
            assert time.monotonic() - began < 2
            answered = [e for e in entries if not e.error]
            assert len(answered) >= 10
            history.check(healthy, flooder)


def chaos(seed):
    """Return every kind of misbehaviour, each a few per cent of the time."""
    rates = {
        Drop(): 0.02,
        Delay(0.02): 0.05,
        Duplicate(): 0.03,
        Split(3): 0.05,
        Split(11, 0.001): 0.03,
        WrongId(-1): 0.02,
        WrongId(lambda request: request.id + 2**40): 0.02,
        Payload("[]"): 0.02,
        Payload('{"id":$id'): 0.02,
        Frame(comma="!"): 0.01,
        Raw(b"garbage"): 0.01,
        Close(): 0.01,
        Close(0): 0.01,
        Reset(): 0.01,
        Around(before=netstring(b"null") * 9): 0.03,
        Reject(): 0.1,
        SlowRead(50_000): 0.1,
    }
    return Chaos(seed, rates)


@pytest.mark.parametrize("seed", range(4))
def test_chaos(seed):
    """Four servers, all misbehaving at random; each call has its one outcome."""
    servers = [Server(METHODS, fault=chaos(seed * 10 + i)).start() for i in range(4)]
    text = servers_string(*servers, priorities=(2, 2, 1, 1))
    history = History()
    try:
        with Client(text, reconnect_delay=0.01, reconnect_delay_max=0.02) as client:

            def work():
                for i in range(60):
                    idempotent = i % 3 == 0
                    for _ in range(10):
                        history.request(client, timeout=0.3, idempotent=idempotent)
                    history.call(client, timeout=0.3, idempotent=idempotent)

            in_threads(work, work, work, work)
            history.wait()
            stats = client.stats()
            assert stats.in_flight == 0
            assert all(isinstance(e, JsonRpcError) for e in history.errors())
            for server in servers:
                server.behave()
            until(lambda: not history.call(client).error)
        history.check(*servers)
    finally:
        for server in servers:
            server.__exit__()
