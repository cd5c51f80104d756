"""Which faults of jsonrpcc.testing a request gets: by method, by turn, by chance."""

import json
import re
import socket
from dataclasses import dataclass

import pytest
from peer import Peer, error_code, frame_of, notification, request, result, serving

from jsonrpcc.testing import (
    Chaos,
    Close,
    Delay,
    Drip,
    Drop,
    Duplicate,
    Fault,
    Merge,
    Reject,
    Server,
    SlowRead,
    Split,
    WrongId,
    split_netstrings,
)


def test_faults_combine_in_any_order():
    faults = [Split(4), Duplicate(2), WrongId(9), Delay(0.01), Close(-1)]
    for chosen in (faults, faults[::-1]):
        with serving(fault=chosen) as server, Peer(server) as peer:
            peer.request("add", [1, 2])
            assert peer.until_end() == ((frame_of(3, 9) * 2)[:-1], "close")


def test_faults_of_a_method_and_of_all_combine():
    some = serving(fault=WrongId(9), faults={"add": Duplicate()})
    with some as server, Peer(server) as peer:
        peer.request("add", [1, 2])
        assert [peer.response() for _ in range(2)] == [result(3, 9)] * 2
        assert peer.call("echo") == result([], 9)


def test_misbehave_replaces_and_behave_ends():
    with serving() as server, Peer(server) as peer:
        server.misbehave(WrongId(9))
        server.misbehave(WrongId(8), method="echo")
        assert peer.call("add", [1, 2]) == result(3, 9)
        server.misbehave()
        assert peer.call("add", [1, 2]) == result(3)
        assert peer.call("echo") == result([], 8)
        server.behave()
        assert peer.call("echo") == result([])


def test_times_count_each_fault():
    faults = [WrongId(9, times=1), Duplicate(2, times=2)]
    with serving(fault=faults) as server, Peer(server) as peer:
        peer.send(*[request("add", [1, 2], i) for i in range(3)])
        assert [peer.response()["id"] for _ in range(5)] == [9, 9, 1, 1, 2]


def test_a_function_chooses():
    def choose(request):
        return {1: None, 2: WrongId(20), 3: [WrongId(30), Duplicate()]}[request.id]

    with serving(fault=choose) as server, Peer(server) as peer:
        peer.send(*[request("add", [1, 2], i) for i in (1, 2, 3)])
        assert [peer.response()["id"] for _ in range(4)] == [1, 20, 30, 30]


def test_notifications_and_invalid_requests_use_up_no_fault():
    with serving(fault=WrongId(9, times=1)) as server, Peer(server) as peer:
        peer.send(notification("add", [1, 2]), b"{}", request("add", [1, 2]))
        assert error_code(peer.response()) == -32600
        assert peer.response() == result(3, 9)


def test_a_batch_has_the_faults_of_its_first_request():
    with serving(fault=WrongId(9, times=1)) as server, Peer(server) as peer:
        peer.send([notification("echo"), *[request("add", [1, i], i) for i in (1, 2)]])
        assert sorted(peer.response(), key=repr) == sorted(
            [result(2, 9), result(3, 2)], key=repr
        )


def test_a_custom_fault():
    @dataclass(frozen=True)
    class Shout(Fault):
        mark: str = "!"

        def apply(self, reply):
            reply.after += (reply.request.method + self.mark).encode()

    with serving(fault=Shout()) as server, Peer(server) as peer:
        peer.request("add", [1, 2])
        assert peer.exactly(len(frame_of(3)) + 4) == frame_of(3) + b"add!"


@pytest.mark.parametrize(
    ("make", "wrong", "text"),
    [
        (lambda: Drip(0), ValueError, "more than 0 bytes per second"),
        (lambda: SlowRead("9"), TypeError, "bytes_per_second must be a number"),
        (lambda: Split(0), ValueError, "sizes must be at least 1, not 0"),
        (lambda: Split([3, -1]), ValueError, "sizes must be at least 0, not -1"),
        (lambda: Split(1, pause=-1), ValueError, "pause must be at least 0, not -1"),
        (lambda: Delay(-0.1), ValueError, "seconds must be at least 0, not -0.1"),
        (lambda: Delay("0.1"), TypeError, "seconds must be a number, not '0.1'"),
        (lambda: Delay(float("nan")), ValueError, "at least 0, not nan"),
        (lambda: Drop(times="1"), TypeError, "times must be an integer, not '1'"),
        (lambda: Delay(1, times=-1), ValueError, "times must be at least 0, not -1"),
        (lambda: Duplicate(1.5), TypeError, "copies must be an integer, not 1.5"),
        (lambda: Merge(0), ValueError, "count must be at least 1, not 0"),
        (lambda: Chaos(1, 0.5), TypeError, "a dict of shares by faults, not 0.5"),
        (lambda: Chaos(1, {Drop: 0.5}), TypeError, "a dict of shares by faults"),
    ],
)
def test_wrong_numbers_are_refused_when_they_are_given(make, wrong, text):
    with pytest.raises(wrong, match=re.escape(text)):
        make()


@pytest.mark.parametrize("nonsense", [3, Drop, "Drop", [None]])
def test_what_is_not_a_fault_is_refused(nonsense):
    with pytest.raises(TypeError, match="is neither a fault nor a function"):
        Server(fault=nonsense)
    with serving() as server, Peer(server) as peer:
        with pytest.raises(TypeError, match="is neither a fault nor a function"):
            server.misbehave(nonsense)
        assert peer.call("add", [1, 2]) == result(3)


@pytest.mark.parametrize("port", ["80", 1.5, None, True, -1, 65536])
def test_what_is_not_a_port_is_refused(port):
    with pytest.raises((TypeError, ValueError), match="port must be"):
        Server(port=port)


@pytest.mark.parametrize("hello", [3, "login", [None]])
def test_what_is_not_a_hello_is_refused(hello):
    with pytest.raises(TypeError, match="hello must be a list of names"):
        Server(hello=hello)


def test_chaos_is_the_same_for_the_same_seed():
    def played(seed):
        rates = {Drop(): 0.2, WrongId(-1): 0.3, Duplicate(): 0.1}
        with serving(fault=Chaos(seed, rates)) as server, Peer(server) as peer:
            peer.send(*[request("add", [1, 2], i) for i in range(200)])
            peer.sock.shutdown(socket.SHUT_WR)
            return peer.until_end()[0]

    assert played(1) == played(1) != played(2)
    payloads, _ = split_netstrings(played(1))
    ids = [json.loads(payload)["id"] for payload in payloads]
    assert 40 <= ids.count(-1) <= 80
    assert 10 <= len(ids) - len(set(ids)) - ids.count(-1) + 1 <= 35
    assert 20 <= len(set(range(200)) - set(ids)) - ids.count(-1) <= 60


def test_chaos_chooses_for_connections_apart():
    rates = {Reject(reset=False): 0.5, WrongId(-1): 1.0}
    outcomes = []
    for _ in range(2):
        with serving(fault=Chaos(3, rates)) as server:
            rejected = []
            for _ in range(30):
                with Peer(server) as peer:
                    try:
                        assert peer.call("add", [1, 2]) == result(3, -1)
                        rejected.append(0)
                    except (ConnectionError, EOFError):
                        rejected.append(1)
            outcomes.append(rejected)
    assert outcomes[0] == outcomes[1]
    assert 5 <= sum(outcomes[0]) <= 25


@pytest.mark.parametrize(
    ("rates", "text"),
    [
        ({Drop(): 1.1}, "rates must be shares of one"),
        ({Drop(): -0.1}, "rates must be at least 0, not -0.1"),
    ],
)
def test_chaos_rates_are_shares(rates, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        Chaos(1, rates)
