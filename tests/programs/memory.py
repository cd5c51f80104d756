"""
A client of hostile servers, in bounded memory; reports what it took, as JSON.

    memory.py HOW[:SIZE] ADDRESS [ADDRESS ...]

The address space is limited, so that what is promised to be impossible ends the
program; what is reported is how much the resident memory has grown at its peak.
"""

import contextlib
import json
import resource
import sys
import threading
import time
from pathlib import Path

from history import LIMIT, History, until

from jsonrpcc import Client, JsonRpcError, QueueFull

MIB = 1024 * 1024
ROOM = 700 * MIB  # of address space; arenas of threads reserve most of it

how, *addresses = sys.argv[1:]
how, _, size = how.partition(":")
status = Path("/proc/self/status")


def kib(name):
    (line,) = [x for x in status.read_text().splitlines() if x.startswith(name)]
    return int(line.split()[1])


def bytes_received(client):
    return sum(server.bytes_received for server in client.servers())


def warm_up(client, count):
    until(lambda: all(s.state == "up" for s in client.servers()))
    for _ in range(20 * count):
        assert client.call("echo", [1]) == [1]


def hostile(client):
    """All servers answer the method of that name as they like."""
    history = []
    for _ in addresses:
        client.request("hostile", None, history.append, history.append, timeout=2)
    return history


def frames():
    """They send part of a frame, and never its end."""
    client = Client(" ".join(addresses), timeout=2)
    warm_up(client, len(addresses))
    yield client
    before = bytes_received(client)
    ended = hostile(client)
    until(lambda: len(ended) == len(addresses))
    assert all(isinstance(error, JsonRpcError) for error in ended), ended
    yield {"received": bytes_received(client) - before}


def stream():
    """They send unsolicited frames for ever."""
    client = Client(" ".join(addresses), timeout=2)
    warm_up(client, len(addresses))
    yield client
    hostile(client)
    wanted = 64 * MIB * len(addresses)
    until(lambda: bytes_received(client) > wanted, 2 * LIMIT)
    yield {"received": bytes_received(client)}


def consumer():
    """A callback blocks while large results arrive: reading stops and resumes later."""
    client = Client(addresses[0], timeout=20, max_undelivered_bytes=4 * MIB)
    warm_up(client, 1)
    release = threading.Event()
    done = []
    yield client
    client.request("echo", [1], lambda _: release.wait())
    for _ in range(1000):  # of 100 kB
        client.request("big", None, lambda result: done.append(len(result)))
    until(lambda: client.stats().undelivered_bytes > 4 * MIB)
    held = []
    tick = threading.Event()
    while len(held) < 10 or held[-1] != held[-10]:
        tick.wait(0.02)
        held.append(bytes_received(client))
        assert len(held) < 500
    peak = kib("VmHWM")
    release.set()
    assert client.drain(LIMIT)
    assert len(done) == 1000
    until(lambda: client.stats().undelivered_bytes == 0)
    yield {"held": held[-1], "peak": peak}


def queue():
    """They never read: unsent bytes are limited, and then calls are refused."""
    client = Client(addresses[0], timeout=2, max_queued_bytes=8 * MIB)
    warm_up(client, 1)
    yield client
    client.notification("stop_reading")
    history = History()
    pad = ["x" * 100_000]
    refused = 0
    while refused < 10:
        try:
            history.request(client, pad=pad, block=False, timeout=2)
        except QueueFull:
            refused += 1
        assert client.stats().queued_bytes <= 8 * MIB + 200_000
    history.wait()
    history.check_outcomes()
    yield {"accepted": sum(entry.accepted for entry in history.entries)}


def idempotent():
    """They read and never answer: copies are kept, counted and limited."""
    limit = 8 * MIB
    client = Client(addresses[0], timeout=6, max_queued_bytes=limit)
    warm_up(client, 1)
    yield client
    params = "[" + '"' + "x" * int(size) + '"' + "]"
    ended, most, refused = [], 0, 0
    while refused < 10:
        try:
            client.request(
                "silence", params, None, ended.append, idempotent=True, block=False
            )
        except QueueFull:
            refused += 1
            until(lambda: client.stats().queued_bytes == 0)
        stats = client.stats()
        most = max(most, stats.kept_bytes)
        assert stats.kept_bytes + stats.queued_bytes <= limit
    peak = kib("VmHWM")
    in_flight = client.stats().in_flight
    until(lambda: len(ended) == in_flight)
    until(lambda: client.stats().kept_bytes == 0)
    yield {"kept": most, "peak": peak, "in_flight": in_flight}


def slow_reader():
    """Frames queue up as fast as they leave, for a while: the queue stays full."""
    limit = 9 * MIB + 12_345
    client = Client(addresses[0], timeout=20, max_queued_bytes=limit)
    until(lambda: client.servers()[0].state == "up")
    yield client
    params = '["' + "x" * 70_001 + '"]'
    before = client.servers()[0].bytes_sent
    while client.servers()[0].bytes_sent - before < 5 * limit:
        client.notification("echo", params)
    yield {"limit": limit, "peak": kib("VmHWM")}


def many():
    """A great many small calls in flight."""
    client = Client(addresses[0], timeout=20)
    warm_up(client, 1)
    count = 50_000
    ended = []
    yield client
    for _ in range(count):
        client.request("silence", None, ended.append, ended.append)
    assert client.stats().in_flight == count
    peak = kib("VmHWM")
    client.close()
    assert len(ended) == count
    yield {"peak": peak}


# For README's formula; small, so that all of them are reached.
LIMITS = {
    "max_response": MIB,
    "max_queued_bytes": 4 * MIB,
    "max_undelivered_bytes": 4 * MIB,
    "max_in_flight": 4096,
}


def formula(servers):
    """Return the maximum that README's Limits promise."""
    return (
        2 * servers * LIMITS["max_response"]
        + 3 * LIMITS["max_queued_bytes"]
        + 2 * LIMITS["max_undelivered_bytes"]
        + 2048 * LIMITS["max_in_flight"]
        + 1536 * 256  # methods
        + 8 * MIB
    )


def everything():
    """All limits are reached at once, with servers hostile in different ways."""
    client = Client(
        " ".join(addresses), timeout=6, reconnect_delay=0.05,
        reconnect_delay_max=0.1, **LIMITS,
    )  # fmt: skip
    warm_up(client, len(addresses))
    yield client
    release = threading.Event()
    blocked = threading.Event()
    ended = []

    def block(_):
        blocked.set()
        release.wait()

    # First what they send, as a consumer that stops will stop the reading.
    hostile(client)
    until(lambda: bytes_received(client) > 48 * MIB, 2 * LIMIT)
    while not blocked.is_set():
        client.request("echo", [1], block, ended.append)
        blocked.wait(0.2)
    for _ in range(1000):  # of 100 kB
        client.request("big", None, ended.append, ended.append)
    pad = ["x" * 10_000]
    refused = reached = 0
    end = time.monotonic() + 6
    while time.monotonic() < end:
        try:
            client.request("echo", pad, ended.append, ended.append, block=False)
        except QueueFull:
            refused += 1
            release.wait(0.005)
        if refused % 100 == 99:
            refused += 1
            with contextlib.suppress(QueueFull):
                hostile(client)
        stats = client.stats()
        reached = max(reached, stats.undelivered_bytes)
        assert stats.queued_bytes <= LIMITS["max_queued_bytes"] + 20_000
        assert stats.in_flight <= LIMITS["max_in_flight"]
    peak = kib("VmHWM")
    received = bytes_received(client)
    release.set()
    client.close()
    assert client.stats().in_flight == 0
    yield {"peak": peak, "received": received, "refused": refused,
           "undelivered": reached, "formula": formula(len(addresses))}  # fmt: skip


steps = {
    "everything": everything,
    "frames": frames,
    "stream": stream,
    "consumer": consumer,
    "queue": queue,
    "many": many,
    "idempotent": idempotent,
    "slow_reader": slow_reader,
}[how]()
client = next(steps)
resource.setrlimit(resource.RLIMIT_AS, (kib("VmSize") * 1024 + ROOM,) * 2)
before = kib("VmHWM")
report = next(steps)
client.close()
report["grown"] = (report.get("peak", kib("VmHWM")) - before) * 1024
print(json.dumps(report))
