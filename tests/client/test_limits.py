"""Every limit at one below, exactly, and one above; and that it is enforced."""

import asyncio
import re
import socket
import threading

import pytest
from helpers import LIMIT, QUICK, Told, rss, until
from history import wait_for_state
from time_limits import MODEST

from jsonrpcc import (
    AsyncClient,
    Client,
    ConnectionLost,
    InvalidResponse,
    QueueFull,
    RequestTimeout,
)
from jsonrpcc.testing import Drop, NeverRead, Payload, Raw

OK = '{"jsonrpc":"2.0","id":$id,"result":%s}'


# ---- what is received -------------------------------------------------------------


@pytest.mark.parametrize("size", [199, 200, 201, 999, 1000, 10_000])
def test_max_response(serve, client_for, size):
    """The largest response, in bytes of the message."""
    head = '{"jsonrpc":"2.0","id":$id,"result":"'

    def fault(request):
        text = head.replace("$id", str(request.id))
        return Payload(text + "x" * (size - len(text) - 2) + '"}')

    client = client_for(serve(faults={"big": fault}), max_response=200, **QUICK)
    if size <= 200:
        assert set(client.call("big")) == {"x"}
        assert client.stats().bad_frames == 0
    else:
        with pytest.raises(ConnectionLost, match="larger than max_response"):
            client.call("big")
        assert client.stats().bad_frames == 1
    assert client.call("add", [1, 2], wait_for_ready=True) == 3


def test_max_response_is_16_mib(serve, client_for):
    client = client_for(serve(faults={"big": Raw(b"16777217:")}))
    assert len(client.call("first", ["x" * (2**24 - 100)], timeout=30)) == 2**24 - 100
    with pytest.raises(ConnectionLost):
        client.call("big")


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize("brackets", ["[]", "{}"])
def test_max_depth(serve, ask, depth, brackets):
    """The response's own braces count."""
    text = "7"
    for _ in range(depth - 1):
        text = f"[{text}]" if brackets == "[]" else f'{{"a":{text}}}'
    server = serve(Payload(OK % text))
    if depth <= 3:
        ask(server.address, "m", None, max_depth=3)
    else:
        with pytest.raises(InvalidResponse, match="nested"):
            ask(server.address, "m", None, max_depth=3)


@pytest.fixture(params=["tcp", "unix", "pair", "connected"])
def client_of_any_transport(request, serve, socket_path):
    options = {"unix": {"path": socket_path()}, "pair": {"listen": False}}
    server = serve(**options.get(request.param, {}))
    limits = {"max_undelivered_bytes": 100_000}
    if request.param == "pair":
        client = Client.from_socket(server.connect(), **limits)
    elif request.param == "connected":
        sock = socket.create_connection((server.host, server.port))
        client = Client.from_socket(sock, **limits)
    else:
        client = Client(server.address, **limits)
    with client:
        yield client


def test_max_undelivered_bytes(client_of_any_transport):
    """When nobody takes results, the client stops reading; nothing is lost."""
    client = client_of_any_transport
    held, told = threading.Event(), Told()
    client.request("echo", [], lambda _: held.wait(2 * LIMIT))
    client.call("add", [1, 2])
    for i in range(100):
        client.request("first", [str(i) * 10_000], told.on_result, told.on_error)
    until(lambda: client.stats().undelivered_bytes > 100_000)
    with pytest.raises(RequestTimeout):
        client.call("echo", timeout=0.1)
    stats = client.stats()
    assert stats.undelivered_bytes < 500_000  # what one turn brings comes on top
    assert stats.in_flight > 0
    held.set()
    assert [told.result() for _ in range(100)] == [str(i) * 10_000 for i in range(100)]
    assert client.call("add", [1, 2]) == 3
    until(lambda: client.stats().undelivered_bytes == 0)


def test_without_that_bound_all_is_read(serve, client_for):
    client = client_for(serve())
    held = threading.Event()
    client.request("echo", [], lambda _: held.wait(2 * LIMIT))
    client.call("add", [1, 2])
    for _ in range(100):
        client.request("first", ["x" * 10_000])
    until(lambda: client.stats().undelivered_bytes > 1_000_000)
    assert client.call("add", [1, 2]) == 3
    held.set()
    assert client.drain(LIMIT)


def test_announced_lengths_reserve_nothing(serve, client_for):
    server = serve(Raw(b"2000000000:x"))
    clients = [
        client_for(server, max_response=2**31 - 1, timeout=0.2) for _ in range(5)
    ]
    before = rss()
    for client in clients:
        with pytest.raises(RequestTimeout):
            client.call("echo")
    assert rss() - before < MODEST


# ---- what is sent -------------------------------------------------------------------


def frame_size(wire, client, params):
    client.call("m", params)
    before = len(wire.received)
    client.call("m", params)
    return len(wire.received) - before


@pytest.mark.parametrize("off", [-1, 0, 1])
def test_max_request(wire, client_for, off):
    """The largest request frame, with its netstring around it."""
    size = frame_size(wire, client_for(wire), ["x" * 100])
    client = client_for(wire, max_request=size - off)
    uses = [
        client.request, client.call, client.submit,
        lambda method, params: list(client.map(method, [params])),
    ]  # fmt: skip
    for use in uses:
        if off <= 0:
            use("m", ["x" * 100])
        else:
            with pytest.raises(ValueError, match="larger than max_request"):
                use("m", ["x" * 100])
    assert client.drain(LIMIT)
    client.call("m", ["x" * 50])
    assert client.stats().requests == (5 if off <= 0 else 1)


def test_max_request_is_16_mib(wire, client_for):
    client = client_for(wire)
    client.notification("m", ["x" * (2**24 - 100)])
    with pytest.raises(ValueError, match="larger than max_request"):
        client.call("m", ["x" * 2**24])


@pytest.mark.parametrize("bound", [1, 2, 3, 7, 8, 9])
def test_max_in_flight(serve, client_for, bound):
    server = serve(Drop())
    client = client_for(server, max_in_flight=bound, timeout=60)
    calls = [client.request("echo", block=False) for _ in range(bound)]
    server.wait_for_requests(bound)
    assert client.stats().in_flight == bound
    with pytest.raises(QueueFull) as caught:
        client.request("echo", block=False)
    assert (caught.value.method, caught.value.fate) == ("echo", "not_sent")
    with pytest.raises(QueueFull):
        client.notification("note", block=False)
    calls[0].cancel()
    client.request("echo")
    assert client.stats().in_flight == bound


def test_max_in_flight_counts_what_was_not_delivered(serve, client_for):
    """A slow callback delays what was fetched with it, and finally callers."""
    client = client_for(serve(), max_in_flight=3)
    begun, held, accepted = threading.Event(), threading.Event(), 0

    def hold(_):
        begun.set()
        held.wait(2 * LIMIT)

    client.request("echo", [], hold)
    # Before that, calls that time out are delivered and make room for others.
    assert begun.wait(LIMIT)
    with pytest.raises(QueueFull):  # noqa: PT012
        for _ in range(10):
            client.request("echo", [], timeout=0.05)
            accepted += 1
    assert 2 <= accepted <= 5
    held.set()
    client.request("echo", [])
    assert client.drain(LIMIT)


def test_a_callback_may_exceed_max_in_flight(serve, client_for):
    """A callback cannot wait for itself, and a chain must not break under load."""
    client = client_for(serve(), max_in_flight=2)
    told = Told()

    def fan_out(_):
        for i in range(20):
            client.request("first", [i], told.on_result, told.on_error)

    client.request("echo", [], fan_out)
    assert [told.result() for _ in range(20)] == list(range(20))


def test_the_reserve_of_callbacks_is_bounded_too(serve, client_for):
    client = client_for(serve(faults={"never": Drop()}), max_in_flight=2, timeout=60)
    told = Told()

    def flood(_):
        try:
            for i in range(1000):
                client.request("never", [i])
        except QueueFull:
            told.on_result(i)

    client.request("echo", [], flood)
    assert 2 <= told.result() <= 2 + 256
    client.close()


def test_callers_wait_for_room(serve, client_for):
    client = client_for(serve(), max_in_flight=4)
    told = Told()
    for i in range(500):
        client.request("first", [i], told.on_result, told.on_error)
    assert client.drain(LIMIT)
    assert sorted(told.outcomes) == [("result", i) for i in range(500)]


def by_call(client):
    client.call("never", timeout=2)


def by_request(client):
    client.submit("never", timeout=2).result(LIMIT)


def assert_waited_for_room(error):
    assert 1.9 <= error.elapsed < 2.7
    assert 0.9 <= error.waited < 1.9
    assert error.answered is None
    assert error.attempts == 1
    spent = re.search(r", (\d+) ms, (\d+) of them waiting for room in", str(error))
    assert spent is not None
    assert int(spent[1]) == round(error.elapsed * 1000)
    assert int(spent[2]) <= round(error.waited * 1000)


@pytest.mark.parametrize("ask", [by_call, by_request])
def test_waiting_for_room_is_part_of_the_timeout(serve, client_for, ask):
    """A call accepted after one of its two seconds has one left, and reports that."""
    client = client_for(serve(Drop()), max_in_flight=1)
    client.request("never", [], print, print, timeout=1)
    with pytest.raises(RequestTimeout) as caught:
        ask(client)
    assert_waited_for_room(caught.value)


def test_waiting_for_room_is_part_of_the_timeout_in_asyncio(serve):
    async def main():
        async with AsyncClient(serve(Drop()).address, max_in_flight=1) as client:
            calls = [client.call("never", timeout=seconds) for seconds in (1, 2)]
            return await asyncio.gather(*calls, return_exceptions=True)

    first, second = asyncio.run(main())
    assert isinstance(first, RequestTimeout)
    assert isinstance(second, RequestTimeout)
    assert_waited_for_room(second)


@pytest.mark.parametrize("off", [-1, 0, 1])
def test_max_queued_bytes(serve, wire, client_for, off):
    """Bytes accepted and not sent yet, as frames."""
    size = frame_size(wire, client_for(wire), ["x" * 1000])
    server = serve()
    server.blackhole()
    client = client_for(
        server, max_queued_bytes=3 * size - off, connect_timeout=30, timeout=30
    )
    accepted = 0
    with pytest.raises(QueueFull):  # noqa: PT012
        for _ in range(10):
            client.request("m", ["x" * 1000], block=False)
            accepted += 1
    assert accepted == (3 if off <= 0 else 2)
    assert abs(client.stats().queued_bytes - accepted * size) <= accepted * 8
    server.accept()
    # Or proving: a SYN that meets no listener at all is a failed attempt.
    wait_for_state(client, "up")
    client.call("echo")
    assert client.stats().queued_bytes == 0


def test_one_request_above_max_queued_bytes_goes_alone(serve, client_for):
    client = client_for(serve(), max_queued_bytes=100)
    assert client.call("first", ["x" * 1000]) == "x" * 1000


def test_a_server_that_does_not_read_bounds_memory(serve, client_for):
    server = serve(NeverRead())
    client = client_for(server, max_queued_bytes=2**20, timeout=60)
    before = rss()
    with pytest.raises(QueueFull):  # noqa: PT012  (what the kernel takes, we cannot know)
        for _ in range(10_000):
            client.request("m", ["x" * 10_000], block=False)
    assert client.stats().queued_bytes <= 2**20
    assert rss() - before < MODEST


def test_the_default_of_max_in_flight(serve, client_for):
    client = client_for(serve(Drop(), keep=1), timeout=60)
    ended = []
    for _ in range(65_536):
        client.request("m", None, None, ended.append, block=False)
    assert client.stats().in_flight == 65_536
    with pytest.raises(QueueFull):
        client.request("m", block=False)
    client.close()
    assert len(ended) == client.stats().closed == 65_536


def test_numbers_of_a_frame_have_no_more_digits_than_the_limit(serve, client_for):
    """A length with too many digits is refused before it is computed."""
    for text in (b"9" * 1000, b"0" * 1000, b"1" + b"0" * 8 + b":"):
        client = client_for(serve(Raw(text)), **QUICK)
        with pytest.raises(ConnectionLost) as caught:
            client.call("echo", timeout=30)
        assert re.search("netstring|larger", str(caught.value))
