"""What a callback may do, without harming or delaying anything else."""

import asyncio
import itertools
import logging
import threading
import time

import pytest
from history import LIMIT, until, wait_for_state

from jsonrpcc import Client, RequestTimeout, _session
from jsonrpcc._dispatcher import Dispatcher
from jsonrpcc.testing import Drop


def test_every_method_works_in_a_callback(server):
    """Blocking calls work, too: they drive the loop themselves."""
    got = []
    done = threading.Event()

    def on_result(_):
        try:
            got.append(client.call("echo", [1]))
            got.append(client.submit("echo", [2]))
            got.append(client.request("echo", [3], got.append))
            got.append(client.request("echo", [4], got.append, got.append))
            got[-1].cancel()
            got.extend(client.map("echo", [[5], [6]]))
            client.notification("note")
            client.stats()
            client.servers()
            with pytest.raises(RuntimeError, match="wait for itself"):
                client.drain()
        except BaseException as error:  # noqa: BLE001
            got.append(error)
        finally:
            done.set()

    with Client(server.address) as client:
        client.request("echo", [0], on_result)
        assert done.wait(LIMIT)
        assert client.drain(LIMIT)
        assert got[0] == [1]
        assert got[1].result(LIMIT) == [2]
        assert [5] in got
        assert [6] in got
        assert [3] in got
        assert not [each for each in got if isinstance(each, AssertionError)]


def test_a_blocking_call_in_a_callback_at_full_load(server):
    """Callbacks may exceed the limit: they would wait for themselves."""
    count = itertools.count()
    done = threading.Event()

    def on_result(_):
        client.request("echo", [0], lambda _: None)
        client.call("echo", [0])
        if next(count) == 199:
            done.set()

    with Client(server.address, max_in_flight=16) as client:
        for _ in range(200):
            client.request("echo", [0], on_result)
        assert done.wait(LIMIT)
        assert client.drain(LIMIT)


class Unusual(BaseException):
    pass


@pytest.mark.parametrize(
    "error", [ValueError("x"), SystemExit(), asyncio.CancelledError(), Unusual()]
)
@pytest.mark.parametrize("fails", [False, True])
def test_a_callback_that_raises_harms_nobody_else(server, caplog, error, fails):
    def raise_it(_):
        raise error

    with Client(server.address) as client:
        if fails:
            client.request("nobody knows", None, None, raise_it)
        else:
            client.request("echo", [0], raise_it)
        for _ in range(5):
            client.request("echo", [0], raise_it)
        assert client.submit("echo", [1]).result(LIMIT) == [1]
        assert client.drain(LIMIT)
    failed = [r for r in caplog.records if r.exc_info and r.exc_info[1] is error]
    assert len(failed) == 6
    assert all(record.levelno == logging.ERROR for record in failed)


def test_an_event_listener_that_raises_harms_nobody(server, caplog):
    def raise_it(_):
        raise SystemExit

    with Client(server.address, on_event=raise_it) as client:
        assert client.submit("echo", [1]).result(LIMIT) == [1]
    assert any(record.exc_info for record in caplog.records)


def test_a_blocked_callback_delays_nobody_elses_outcome(server):
    """Timeouts, blocking calls and bulk calls do not wait for the dispatcher."""
    with Client(server.address) as client:
        wait_for_state(client, "up")
        blocked = threading.Event()
        release = threading.Event()
        ended = []

        def block(_):
            blocked.set()
            release.wait(10 * LIMIT)
            ended.append(True)

        client.request("echo", [0], block)
        assert blocked.wait(LIMIT)
        for number in range(50):
            assert client.call("echo", [number]) == [number]
        assert list(client.map("echo", [[i] for i in range(100)])) == [
            [i] for i in range(100)
        ]
        server.misbehave(Drop())
        with pytest.raises(RequestTimeout) as caught:
            client.call("echo", [1], timeout=0.1)
        assert caught.value.elapsed > 0.099
        assert not ended  # nothing of that has waited for it
        release.set()


def test_a_deadline_passes_in_time_while_a_callback_blocks(server):
    """The core's clock does not wait for Python: elapsed says when it was."""
    errors = []
    release = threading.Event()
    with Client(server.address) as client:
        wait_for_state(client, "up")
        server.misbehave(Drop(), method="echo")
        client.request("nobody", None, None, lambda _: release.wait(10 * LIMIT))
        began = time.monotonic()
        client.request("echo", [1], None, errors.append, timeout=0.1)
        until(lambda: client.stats().timeouts == 1)
        took = time.monotonic() - began
        assert not errors  # nobody has been told yet
        release.set()
        assert client.drain(LIMIT)
    assert 0.099 < errors[0].elapsed < took


@pytest.fixture
def threads_of_their_own(monkeypatch):
    """However many clients of other tests are still on their way out."""
    monkeypatch.setattr(_session, "OWN_THREADS", 1000)


@pytest.mark.usefixtures("threads_of_their_own")
def test_a_dispatcher_with_much_to_do_wakes_nobody_for_its_own_calls(server):
    """It comes back all the time; what it submits until then goes out together."""
    calls, window = 20_000, 5000
    left, alive, done = calls - window, window, threading.Event()
    times = []

    def on_result(_):
        nonlocal left, alive
        end = time.perf_counter() + 20e-6
        while time.perf_counter() < end:  # slower than responses come
            pass
        times.append(end)
        if left > 0:
            left -= 1
            client.request("echo", [1], on_result)
            return
        alive -= 1
        if alive == 0:
            done.set()

    with Client(server.address, timeout=LIMIT) as client:
        for _ in range(window):
            client.request("echo", [1], on_result)
        before = client.stats().wakeups
        assert done.wait(LIMIT)
        wakeups = client.stats().wakeups - before
    # It comes for 256 at a time.  Who did not come for 40 ms, as on a busy machine, is
    # not waited for: the event thread drives, and each call wakes it until he comes.
    slow = sum(b - a > 0.03 for a, b in zip(times, times[256:], strict=False))
    assert wakeups < calls / 20 + slow


@pytest.mark.usefixtures("threads_of_their_own")
def test_a_dispatcher_that_has_never_waited_wakes_nobody_either(server, monkeypatch):
    """It came late and has found results ever since, so the event thread missed it."""
    calls, window = 5000, 1000
    left, done, come = calls, threading.Event(), threading.Event()
    run = Dispatcher._run

    def come_late(self, *args):
        assert come.wait(LIMIT)
        run(self, *args)

    def on_result(_):
        nonlocal left
        end = time.perf_counter() + 50e-6
        while time.perf_counter() < end:  # slower than responses come
            pass
        left -= 1
        if left >= window:
            client.request("echo", [1], on_result)
        elif left == 0:
            done.set()

    monkeypatch.setattr(Dispatcher, "_run", come_late)
    with Client(server.address, timeout=LIMIT) as client:
        for _ in range(window):
            client.request("echo", [1], on_result)
        until(lambda: client.stats().ok == window)
        before = client.stats().wakeups
        come.set()
        assert done.wait(LIMIT)
        assert client.stats().wakeups - before < calls / 10
