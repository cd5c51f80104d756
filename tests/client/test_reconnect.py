"""Reconnecting to a lost server: soon, at random times, and not too often."""

import contextlib
import socket
import threading
import time
from collections import Counter

from history import METHODS, History, until, wait_for_state

from jsonrpcc import Client, ServerFailure
from jsonrpcc.testing import Server


class Doorman:
    """A server that accepts connections, records when, and closes them at once."""

    def __init__(self):
        self.times = []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.thread = threading.Thread(target=self._run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()

    def _run(self):
        with contextlib.suppress(OSError):
            while True:
                accepted, _ = self.listener.accept()
                self.times.append(time.monotonic())
                accepted.close()


def attempts(client):
    return client.servers()[0].attempts_failed


# ---- how soon --------------------------------------------------------------------


def test_comes_back_after_a_restart_on_the_same_port(server):
    history = History()
    with Client(server.address, reconnect_delay=0.02) as client:
        for lost in range(1, 6):
            assert not history.call(client).error
            server.stop()
            until(lambda lost=lost: client.servers()[0].losses == lost)
            server.start()
            wait_for_state(client, "up")
        assert client.servers()[0].connects == 6
    history.check(server)


def test_waits_are_random_and_capped():
    """Full jitter: anything from nothing to the bound, which does not pass the cap."""
    cap = 0.1
    with (
        Doorman() as door,
        Client(door.address, reconnect_delay=0.1, reconnect_delay_max=cap),
    ):
        until(lambda: len(door.times) >= 40)
        waits = [b - a for a, b in zip(door.times, door.times[1:], strict=False)]
    waits.sort()
    # 40 of a uniform distribution: the chance to fail each of these is < 1e-6.
    assert waits[len(waits) // 2] > 0.25 * cap / 2
    assert waits[2] < cap / 2
    assert waits[-5] > cap / 2
    # A busy machine may be late for some.  Of a cap three times as large, a third
    # would be above this.
    assert waits[-8] < cap + 0.1


def test_waits_grow_until_there_is_a_valid_reply(server):
    """A connection that is closed at once is no success: the backoff keeps growing."""
    with (
        Doorman() as door,
        Client(door.address, reconnect_delay=0.01, reconnect_delay_max=30),
    ):
        until(lambda: len(door.times) >= 4)
        time_of_four = door.times[3] - door.times[0]
        end = time.monotonic() + 1
        never = threading.Event()
        while time.monotonic() < end:
            never.wait(0.05)
        # With 10 ms for ever there would be 200; doubling allows about 8.
        assert len(door.times) < 25
        assert time_of_four < 1
    # A reply resets it: the same losses, and always back within the first bound.
    history = History()
    with Client(server.address, reconnect_delay=0.01, reconnect_delay_max=30) as client:
        for lost in range(1, 16):
            assert not history.call(client, wait_for_ready=True).error
            server.drop_connections()
            until(lambda lost=lost: client.servers()[0].losses == lost)
            began = time.monotonic()
            wait_for_state(client, "up")
            assert time.monotonic() - began < 1


def test_a_lost_server_sees_no_stampede():
    """60 clients lose it at once and reconnect at well-spread times."""
    count = 60
    with Doorman() as door, contextlib.ExitStack() as stack:
        for _ in range(count):
            # They are accepted, and lost, within moments of one another.
            stack.enter_context(Client(door.address, reconnect_delay=1))
        until(lambda: len(door.times) >= 3 * count)
        after = sorted(door.times)[count:]
    tenths = Counter(int((moment - after[0]) * 10) for moment in after)
    # Evenly spread over a second that is 10 %; 40 % has a chance of about 1e-9.
    assert max(tenths.values()) < 0.4 * count, tenths


# ---- how often -------------------------------------------------------------------


def test_no_attempts_to_reconnect(server):
    """max_conn_attempts=0: one connection, and never another."""
    history = History()
    with Client(server.address, max_conn_attempts=0, reconnect_delay=0.01) as client:
        assert not history.call(client).error
        server.drop_connections()
        until(lambda: client.servers()[0].losses == 1)
        began = time.monotonic()
        for _ in range(50):
            error = history.call(client, wait_for_ready=True).error
            assert isinstance(error, ServerFailure)  # there is nothing to wait for
        assert time.monotonic() - began < 1
        assert client.servers()[0].connects == 1
        assert server.accepted == 1
    history.check(server)


def test_a_limited_number_of_attempts_to_reconnect(server):
    history = History()
    server.stop()
    with Client(
        server.address, max_conn_attempts=3, reconnect_delay=0.01,
        reconnect_delay_max=0.01,
    ) as client:  # fmt: skip
        entry = history.call(client, wait_for_ready=True)
        assert isinstance(entry.error, ServerFailure)
        assert attempts(client) == 4  # the first one, and three more
        server.start()
        assert isinstance(history.call(client).error, ServerFailure)
        assert attempts(client) == 4
        assert server.accepted == 0
    history.check(server)


def test_attempts_without_an_end(server):
    server.stop()
    with Client(
        server.address, reconnect_delay=0.002, reconnect_delay_max=0.002
    ) as client:
        until(lambda: attempts(client) > 100)
        server.start()
        wait_for_state(client, "up")


def test_attempts_do_not_grow_with_the_number_of_callers(server):
    server.stop()
    counts = []
    for callers in (1, 16):
        with Client(
            server.address, reconnect_delay=0.05, reconnect_delay_max=0.05
        ) as client:
            end = time.monotonic() + 0.7

            def call(client=client, end=end):
                while time.monotonic() < end:
                    with contextlib.suppress(ServerFailure):
                        client.call("echo", [1])

            threads = [threading.Thread(target=call) for _ in range(callers)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            counts.append(attempts(client))
    # 0.7 s / 25 ms on average: about 28, give or take 6.
    assert max(counts) < 70, counts


def test_an_idle_client_sleeps(server):
    """All servers up and nothing to do, or all down: no busy loop."""
    with Server(METHODS) as dead:
        dead.stop()
        for address in (server.address, dead.address):
            with Client(address, reconnect_delay=30, reconnect_delay_max=30) as client:
                until(lambda c=client: c.servers()[0].state in {"up", "down"})
                until(lambda c=client: c.servers()[0].connects or attempts(c))
                before = client.stats().turns, time.process_time()
                threading.Event().wait(1)  # there is nothing to wait for: that is it
                assert client.stats().turns - before[0] <= 5
                assert time.process_time() - before[1] < 0.2
