"""The faults of the SIP server's module that this client descends from, N1 to N14."""

import itertools
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest
from children import SUPPORT
from helpers import LIMIT, QUICK, Told, rss, until
from time_limits import MODEST, PATIENCE

from jsonrpcc import (
    Client,
    ConnectionLost,
    InvalidResponse,
    RequestTimeout,
    ServerFailure,
)
from jsonrpcc.testing import (
    Around,
    Close,
    Drop,
    Duplicate,
    Early,
    Merge,
    NeverRead,
    Payload,
    Raw,
    Reject,
    Reset,
    Split,
    WrongId,
    netstring,
)

DESCRIPTORS = Path("/proc/self/fd")


def descriptors():
    return len([*DESCRIPTORS.iterdir()])


@pytest.mark.parametrize("fault", [WrongId(987654321), WrongId("a"), Duplicate(1000)])
def test_n01_ids_that_nobody_asked_for(serve, client_for, fault):
    """The ancestor freed such a response twice."""
    server = serve(faults={"echo": fault})
    client = client_for(server)
    calls = [client.request("echo", [], None, lambda _: None) for _ in range(20)]
    server.wait_for_requests(20, LIMIT)
    for call in calls:
        call.cancel()
    client.drain(LIMIT)
    server.send(netstring(b'{"id":%d,"result":0}' % server.requests[0].id) * 1000)
    for i in range(100):
        assert client.call("first", [i]) == i
    until(lambda: client.stats().unmatched >= 1020)


def test_n01_a_late_response(serve, client_for):
    server = serve(faults={"echo": Drop()})
    client = client_for(server)
    assert client.call("first", [1]) == 1
    told = Told()
    client.request("echo", [], told.on_result, told.on_error, timeout=0.1 * PATIENCE)
    assert isinstance(told.error(), RequestTimeout)
    server.send(netstring(b'{"id":%d,"result":0}' % server.requests[1].id))
    until(lambda: client.stats().unmatched == 1)
    client.close()
    assert len(told.outcomes) == 1


@pytest.mark.parametrize("reverse", [False, True])
def test_n02_taking_the_first_call_out_keeps_the_others(serve, client_for, reverse):
    """The ancestor lost the rest of a hash bucket with its head."""
    server = serve(Merge(5000, reverse=reverse))
    client = client_for(server, max_in_flight=8192, timeout=30)
    told = [Told() for _ in range(5000)]
    for i, each in enumerate(told):
        client.request("first", [i], each.on_result, each.on_error)
    assert [each.result() for each in told] == list(range(5000))


def test_n03_a_failed_recv_is_a_lost_connection(serve, client_for):
    """The ancestor took -1 for a size and read what was in its buffer."""
    server = serve(faults={"echo": Reset(10)})
    client = client_for(server, **QUICK)
    with pytest.raises(ConnectionLost, match="Connection reset"):
        client.call("echo", timeout=30)
    assert client.stats().unmatched == client.stats().ignored == 0
    assert client.call("first", [7], wait_for_ready=True) == 7


def test_n04_frame_split_by_tcp(serve, client_for):
    """TCP may cut a frame at any byte."""
    server = serve()
    client = client_for(server)
    whole = len(netstring(b'{"jsonrpc":"2.0","id":131072,"result":["ok"]}'))
    for cut in range(1, whole + 3):
        server.misbehave(Split((cut,), pause=0.001))
        assert client.call("echo", ["ok"]) == ["ok"]
    server.misbehave(Split(1))
    assert client.call("echo", ["x" * 300]) == ["x" * 300]
    server.misbehave(Split((7, 1, 30, 2, 11)), Duplicate(3))
    assert client.call("echo", ["ok"]) == ["ok"]
    assert server.accepted == 1


def test_n04_many_frames_in_one_segment(serve, client_for):
    server = serve(Merge(100))
    client = client_for(server)
    futures = [client.submit("first", [i]) for i in range(100)]
    assert [future.result(LIMIT) for future in futures] == list(range(100))


@pytest.mark.parametrize("data", [b"999999999:", b"999999999:" + b"x" * 1000])
def test_n05_ten_bytes_do_not_buy_a_gigabyte(serve, client_for, data):
    server = serve(Raw(data))
    modest = client_for(server)
    with pytest.raises(ConnectionLost, match="larger than max_response"):
        modest.call("echo", timeout=30)
    before = rss()
    generous = client_for(server, max_response=10**9)
    with pytest.raises(RequestTimeout):
        generous.call("echo", timeout=0.2)
    assert rss() - before < MODEST


def test_n06_a_short_send_is_continued_on_the_same_connection(serve, client_for):
    """The ancestor sent the same request to the next server, and it ran twice."""
    servers = [serve(), serve()]
    client = client_for(*servers, timeout=30)
    until(lambda: all(server.state == "up" for server in client.servers()))
    for server in servers:
        server.freeze()
    params = [[i, "x" * 1_000_000] for i in range(40)]
    futures = [client.submit("first", [each]) for each in params]
    until(lambda: all(server.bytes_sent > 1_000_000 for server in client.servers()))
    assert client.stats().queued_bytes > 1_000_000  # more than the kernel takes
    for server in servers:
        server.thaw()
    assert [future.result(30) for future in futures] == params
    seen = [request.params[0][0] for server in servers for request in server.requests]
    assert sorted(seen) == list(range(40))
    assert not servers[0].invalid
    assert not servers[1].invalid


def test_n06_what_was_sent_in_part_never_runs_twice(serve, client_for):
    """A server that dies in the middle of receiving a request has not run it."""
    stuck, other = serve(NeverRead()), serve()
    client = client_for(f"{stuck.address},2 {other.address},1", timeout=30)
    until(lambda: all(server.state == "up" for server in client.servers()))
    futures = [client.submit("first", ["x" * 1_000_000]) for _ in range(16)]
    until(lambda: client.servers()[0].bytes_sent > 0)
    stuck.stop()
    outcomes = [future.exception(30) for future in futures]
    lost = [error for error in outcomes if error is not None]
    assert all(isinstance(error, ConnectionLost) for error in lost)
    assert all(error.fate == "unknown" for error in lost)
    # Calls that the kernel has taken whole are lost, and all others are moved.
    assert len(lost) == client.servers()[0].sent
    assert len(other.requests) == 16 - len(lost)


def test_n07_out_of_descriptors_is_an_outcome(serve):
    """The ancestor's request had no callback when a descriptor was missing."""
    server = serve()
    script = f"""if True:
        import os, resource
        from jsonrpcc import Client, ServerFailure
        from helpers import Told, until
        told = Told()
        client = Client("{server.address}", reconnect_delay=0.01, max_conn_attempts=2)
        assert client.call("first", [1], wait_for_ready=True) == 1
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
        print("full", flush=True)
        input()
        until(lambda: client.servers()[0].losses)
        client.request("first", [2], told.on_result, told.on_error, wait_for_ready=True)
        error = told.error()
        assert isinstance(error, ServerFailure), error
        assert "Too many open files" in str(error), error
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        client.close()
    """
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(SUPPORT)},
    ) as child:
        assert child.stdout.readline() == b"full\n"
        server.drop_connections()
        child.communicate(b"\n", timeout=30)
        assert child.returncode == 0


def test_n08_calls_in_flight_fail_when_their_server_dies(serve, client_for):
    """The ancestor left them waiting for the timeout."""
    server = serve(Drop())
    client = client_for(server, timeout=60)
    futures = [client.submit("echo") for _ in range(100)]
    server.wait_for_requests(100)
    began = time.monotonic()
    server.stop()
    for future in futures:
        assert isinstance(future.exception(LIMIT), ConnectionLost)
    assert time.monotonic() - began < 5


def test_n09_calls_in_flight_need_no_descriptors(serve, client_for):
    """The ancestor used a timerfd for each."""
    server = serve(Drop(), keep=1)
    client = client_for(server)
    client.notification("note")
    server.wait_for_requests(1)
    before = descriptors()
    for _ in range(20_000):
        client.request("m", None, None, lambda _: None)
    assert client.stats().in_flight == 20_000
    assert descriptors() <= before + 1
    client.close()


def test_n10_null_is_a_result(serve, ask):
    server = serve(Payload('{"jsonrpc":"2.0","id":$id,"result":null}'))
    assert ask(server.address, "m", None) is None


@pytest.mark.parametrize("members", ['"result":1,"error":{"code":1}', '"more":1'])
def test_n10_both_and_neither_are_invalid(serve, ask, members):
    server = serve(Payload('{"jsonrpc":"2.0","id":$id,' + members + "}"))
    with pytest.raises(InvalidResponse):
        ask(server.address, "m", None, timeout=30)


@pytest.mark.parametrize("text", ['"0$id"', '" $id"', "$id.0", "$ide0", '"$id.0"'])
def test_n10_an_id_that_only_looks_alike_does_not_match(serve, ask, text):
    server = serve(Payload('{"jsonrpc":"2.0","id":' + text + ',"result":1}'))
    with pytest.raises(RequestTimeout):
        ask(server.address, "m", None, timeout=0.1)


def test_n11_an_id_is_not_used_again(serve, client_for):
    """A late response must not be matched with a later call in the same slot."""
    server = serve(faults={"late": Drop()}, keep=None)
    client = client_for(server, max_in_flight=1)
    with pytest.raises(RequestTimeout):
        client.call("late", timeout=0.05)
    late = server.requests[0].id
    answer = netstring(b'{"id":%d,"result":"late"}' % late)
    server.misbehave(Around(before=answer))
    for i in range(2000):
        assert client.call("first", [i]) == i
    ids = [request.id for request in server.requests]
    assert len(set(ids)) == 2001
    assert all(0 < each < 2**53 for each in ids)


def test_n12_a_server_that_does_not_answer_the_syn_delays_nobody(serve, client_for):
    """The ancestor connected inside its event loop."""
    silent, good = serve(), serve()
    silent.blackhole()
    client = client_for(f"{silent.address},2 {good.address},1", connect_timeout=30)
    client.call("echo", timeout=5)
    took = []
    for _ in range(20):
        began = time.monotonic()
        client.call("echo", timeout=5)
        took.append(time.monotonic() - began)
    assert client.servers()[0].state == "connecting"
    assert statistics.median(took) < 0.05


def test_n12_a_name_that_does_not_resolve_delays_nobody(serve, client_for):
    good = serve()
    client = client_for(f"no-such-host.invalid:9,2 {good.address},1")
    assert client.call("first", [7], timeout=5, wait_for_ready=True) == 7


def test_n13_reconnects_are_spread(serve, client_for):
    """The ancestor came back every three seconds, all clients at once."""
    server = serve(Reject())
    client = client_for(server, reconnect_delay=0.05, reconnect_delay_max=0.05)
    times = []
    for i in range(1, 31):
        server.wait_for_accepted(i)
        times.append(time.monotonic())
    client.close()
    gaps = [b - a for a, b in itertools.pairwise(times)]
    assert max(gaps) - min(gaps) > 0.02
    assert min(gaps) < 0.02
    assert statistics.mean(gaps) < 0.045


def test_n13_keepalive_is_set_as_meant(serve, client_for):
    """The ancestor wrote the idle time into the count."""
    server = serve()
    client = client_for(server)
    client.call("echo")
    [sock] = sockets_to(server.port)
    with sock:
        options = {
            name: sock.getsockopt(level, getattr(socket, name))
            for level, name in [
                (socket.SOL_SOCKET, "SO_KEEPALIVE"),
                (socket.IPPROTO_TCP, "TCP_NODELAY"),
                (socket.IPPROTO_TCP, "TCP_KEEPIDLE"),
                (socket.IPPROTO_TCP, "TCP_KEEPINTVL"),
                (socket.IPPROTO_TCP, "TCP_KEEPCNT"),
                (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT"),
            ]
        }
    assert options == {
        "SO_KEEPALIVE": 1,
        "TCP_NODELAY": 1,
        "TCP_KEEPIDLE": 10,
        "TCP_KEEPINTVL": 5,
        "TCP_KEEPCNT": 3,
        "TCP_USER_TIMEOUT": 15000,
    }


def sockets_to(port):
    """This process's sockets that are connected to *port*, duplicated."""
    numbers = [int(path.name) for path in DESCRIPTORS.iterdir() if path.is_socket()]
    found = []
    for number in numbers:
        sock = socket.socket(fileno=os.dup(number))
        try:
            if sock.getpeername()[1] == port:
                found.append(sock)
                continue
        except (OSError, IndexError):
            pass
        sock.close()
    return found


@pytest.mark.parametrize("host", ["no-such-host.invalid", "256.256.256.256", "a..b"])
def test_n13_a_failed_look_up_is_an_outcome(client_for, host):
    """The ancestor's process was killed by an assertion."""
    client = client_for(f"{host}:9", timeout=20)
    with pytest.raises(ServerFailure, match="name resolution"):
        client.call("echo")


def test_n14_nul_in_a_string_cuts_nothing(serve, ask):
    server = serve()
    params = {"a\0b": "x\0y", "": "\0"}
    assert ask(server.address, "echo", params) == params
    assert ask(server.address, "echo", json.dumps(params).replace('"', "'")) == params


def test_eof_inside_a_frame_ends_the_call(serve, client_for):
    """Flowroute's client looped for ever."""
    for fault in (Close(), Close(-1), Close(1), Close(0)):
        client = client_for(serve(fault), **QUICK)
        began = time.process_time()
        with pytest.raises(ConnectionLost, match="closed by the server"):
            client.call("echo", ["x" * 100], timeout=30)
        assert time.process_time() - began < 1


def test_a_response_before_the_request_has_arrived_whole(serve, client_for):
    """A server may refuse a large request early; the rest of it still has to go."""
    server = serve(Early())
    client = client_for(server, timeout=30)
    assert client.call("m", ["x" * 4_000_000]) is None
    server.behave()
    assert client.call("first", [7]) == 7
    assert not server.invalid


def test_descriptors_are_given_back(serve):
    server = serve()
    with Client(server.address) as client:
        client.call("echo")
    before = descriptors()
    for _ in range(20):
        with Client(server.address) as client:
            client.call("echo")
            list(client.map("echo", [[]] * 10))
    until(lambda: descriptors() <= before)
