"""Memory stays within bounds whatever servers send: a child measures itself."""

import contextlib
import itertools
import socket
import threading

import pytest
from children import run_program
from history import METHODS, until
from time_limits import SANITIZED

from jsonrpcc import Client, QueueFull
from jsonrpcc.testing import (
    Drip,
    Drop,
    Duplicate,
    Flood,
    LoopThread,
    NeverRead,
    Raw,
    Server,
    SlowRead,
    Split,
    netstring,
)

pytestmark = pytest.mark.skipif(SANITIZED, reason="a sanitizer has memory of its own")

MIB = 1024 * 1024
SLACK = 3 * MIB  # of the interpreter and the allocator
SERVERS = 16

NOBODYS = b'{"jsonrpc":"2.0","id":999999999999,"result":%s}'


@contextlib.contextmanager
def hostile(*faults, count=SERVERS):
    """Start servers whose method "hostile" answers with these faults, in turn."""
    methods = {**METHODS, "hostile": lambda: None, "big": lambda: "x" * 100_000}
    with LoopThread() as thread, contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(
                Server(methods, faults={"hostile": fault}, keep=10, thread=thread)
            ).address
            for _, fault in zip(range(count), itertools.cycle(faults), strict=False)
        ]


def measure(how, addresses):
    report = run_program("memory.py", how, *addresses).report()
    print(how, report)
    return report


@pytest.mark.parametrize("header", [b"999999999:", b"16777216:", b"16777216:["])
def test_an_announced_length_reserves_nothing(header):
    with hostile(Raw(header)) as addresses:
        report = measure("frames", addresses)
    assert report["grown"] < SLACK


@pytest.mark.parametrize("text", [b"[" * 65536, b"{}," * 20000, b"1" * 65536])
def test_memory_follows_the_bytes_received(text):
    """An endless frame takes at most twice what has arrived of it, from 16 servers."""
    size = 2 * MIB
    data = b"%d:" % (8 * MIB) + text * (size // len(text))
    with hostile(Raw(data)) as addresses:
        report = measure("frames", addresses)
    assert report["received"] >= 0.9 * size * SERVERS
    assert report["grown"] < 2 * report["received"] + SLACK


@pytest.mark.parametrize(
    "result",
    [
        b"[%s{}]" % (b"{}," * 100_000),
        b"[%s0]" % (b"0," * 150_000),
        b"[" * 100_000 + b"]" * 100_000,
        b"[" * 500 + b"]" * 500,
        b"1" * 300_000,
        b"{%s}" % b",".join(b'"%d":0' % i for i in range(30_000)),
    ],
    ids=["objects", "numbers", "too deep", "deep", "digits", "members"],
)
def test_unsolicited_bombs_leave_nothing_behind(result):
    """Responses that nobody waits for are scanned, counted and dropped."""
    frame = netstring(NOBODYS % result)
    with hostile(Flood(frame), count=2) as addresses:
        report = measure("stream", addresses)
    assert report["received"] > 64 * MIB * 2
    assert report["grown"] < 2 * (2 * len(frame) + 65536) + SLACK


def test_endless_small_unsolicited_responses():
    frames = netstring(NOBODYS % b"0") * 1000
    with hostile(Flood(frames), count=2) as addresses:
        report = measure("stream", addresses)
    assert report["grown"] < SLACK


def test_a_consumer_that_stops_stops_the_reading():
    methods = {**METHODS, "big": lambda: "x" * 100_000}
    with Server(methods, keep=10) as server:
        report = measure("consumer", [server.address])
    bound = 4 * MIB
    # 64 KiB more are read at once; then a result is copied at most once.
    assert report["held"] < bound + MIB
    assert report["grown"] < 2 * bound + 65536 + SLACK


def test_what_waits_to_be_sent_is_bounded():
    def stop_reading():
        server.misbehave(NeverRead())

    with Server({**METHODS, "stop_reading": stop_reading}, keep=10) as server:
        report = measure("queue", [server.address])
    # The kernel's buffers take some on top of our 8 MiB.
    assert report["accepted"] >= 8 * MIB // 100_000
    assert report["grown"] < 3 * 8 * MIB + SLACK


# None is close to a power of two: that would hide what allocators round up.
SIZES = [777, 5_001, 33_333, 70_001, 140_003, 300_007, 1_100_003, 2_700_001]


@pytest.mark.parametrize(
    "size", [700_001, *(pytest.param(each, marks=pytest.mark.slow) for each in SIZES)]
)
def test_copies_of_idempotent_calls_are_bounded(size):
    """They wait for their answers, and so does a copy of each."""
    with Server({"silence": int, **METHODS}, faults={"silence": Drop()}) as server:
        report = measure(f"idempotent:{size}", [server.address])
    # What is kept, and one frame more in the queue, have room.
    assert report["kept"] >= 8 * MIB - 4 * (size + 200)
    assert report["grown"] < 3 * 8 * MIB + 2048 * report["in_flight"] + SLACK


def read_slowly(listener):
    """Accept one connection; read nothing for a while, then a little at a time."""
    pause = threading.Event()
    with listener.accept()[0] as connection:
        pause.wait(0.5)
        while connection.recv(1 << 18):
            pause.wait(0.002)


def test_a_queue_that_is_full_for_long_takes_no_more_than_the_formula():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=read_slowly, args=(listener,))
        thread.start()
        report = measure("slow_reader", [f"127.0.0.1:{listener.getsockname()[1]}"])
        thread.join()
    assert report["grown"] < 2.5 * report["limit"] + SLACK


@pytest.mark.parametrize("beyond", [-1, 0, 1])
def test_the_bound_of_copies_is_exact(beyond):
    """That many calls fit if each is sent before the next one comes; a byte less..."""
    count = 7
    call = {"params": ["x" * 1234], "idempotent": True, "block": False}

    def is_sent(client):
        return client.stats().queued_bytes == 0

    with Server({"silence": int}, faults={"silence": Drop()}) as server:
        with Client(server.address) as client:
            client.request("silence", **call, on_error=lambda _: None)
            size = client.stats().kept_bytes
        # The last one is kept, and in the queue as well for a moment.
        limit = (count + 1) * size + beyond
        with Client(server.address, max_queued_bytes=limit) as client:
            with contextlib.suppress(QueueFull):
                for _ in range(2 * count):
                    client.request("silence", **call, on_error=lambda _: None)
                    until(lambda: is_sent(client))
            stats = client.stats()
    assert stats.requests == count - (beyond < 0)
    assert stats.kept_bytes == stats.requests * size
    assert stats.refused_full == 1


ALMOST = b"%d:" % MIB + b'{"jsonrpc":"2.0","result":[' + b"[]," * 349_000
EVERYTHING = [
    Raw(b"999999999:"),
    Raw(b"1048576:["),
    Raw(ALMOST),
    (Raw(ALMOST), Split(8192, 0.02)),
    (Raw(ALMOST), Drip(1000)),
    Flood(netstring(NOBODYS % (b"[%s{}]" % (b"{}," * 100_000)))),
    Flood(netstring(NOBODYS % (b"[" * 100_000 + b"]" * 100_000))),
    Flood(netstring(NOBODYS % (b"1" * 1_000_000))),
    Flood(netstring(NOBODYS % b"0") * 1000),
    Flood(netstring(b"{%s}" % b",".join(b'"%d":0' % i for i in range(30_000)))),
    Flood(bytes(range(256)) * 64),
    Flood(b"1" * 65536),
    NeverRead(),
    SlowRead(1000),
    Duplicate(1000),
    Drop(),
]


def test_everything_at_once_stays_within_the_formula():
    """16 servers, each hostile in its own way; queue, slots and consumer are full."""
    with hostile(*EVERYTHING) as addresses:
        report = measure("everything", addresses)
    assert report["refused"] > 10
    assert report["undelivered"] > 4 * MIB
    assert report["received"] > 48 * MIB
    assert report["grown"] < report["formula"]


def test_calls_in_flight_have_their_price():
    """Each takes about a kilobyte, including its Python callbacks."""
    faults = {"silence": Drop()}
    with Server({"silence": int, **METHODS}, faults=faults, keep=10) as server:
        report = measure("many", [server.address])
    assert report["grown"] < 50_000 * 1500
