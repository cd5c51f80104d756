"""Every method, from every thread and from callbacks, at once."""

import asyncio
import itertools
import logging
import random
import threading
import time

import pytest
from firing import LIMIT, METHODS, History, until, wait_for_state
from patience import PATIENCE

from jsonrpcc import (
    Cancelled,
    Client,
    ClientClosed,
    ConnectionLost,
    RequestTimeout,
    ServerFailure,
)
from jsonrpcc._dispatcher import Dispatcher
from jsonrpcc.testing import Delay, Drop, Server

THREADS = 8


@pytest.fixture
def server():
    with Server(METHODS) as server:
        yield server


def in_threads(*functions):
    """Run each function in a thread of its own; fail if one raises or hangs."""
    failures = []

    def run(function):
        try:
            function()
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=run, args=(f,), daemon=True) for f in functions]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 30 * PATIENCE
    for thread in threads:
        thread.join(max(0, end - time.monotonic()))
        assert not thread.is_alive(), "a thread hangs"
    if failures:
        raise failures[0]


# ---- all at once ------------------------------------------------------------------


def test_everything_at_once(server):
    """Eight threads, each with all methods; every call has its one outcome."""
    history = History()
    rounds = 60

    def work(seed):
        dice = random.Random(seed)
        for _ in range(rounds):
            action = dice.randrange(8)
            if action == 0:
                history.call(client)
            elif action == 1:
                history.submit(client)
            elif action == 2:
                _, call = history.request(client)
                call.cancel()
            elif action == 3:
                _, future = history.submit(client)
                future.cancel()
            elif action == 4:
                client.notification("note", {"seed": seed})
                client.stats()
                client.servers()
            elif action == 5:
                history.map(client, 20)
            else:
                for _ in range(20):
                    history.request(client)

    with Client(server.address) as client:
        wait_for_state(client, "up")
        in_threads(*(lambda seed=seed: work(seed) for seed in range(THREADS)))
        history.wait()
        assert client.drain(LIMIT)
        assert {type(error) for error in history.errors()} <= {Cancelled}
        stats = client.stats()
        assert stats.requests == len(history.entries)
        assert stats.in_flight == 0
    history.check(server)


def test_two_clients_do_not_mix(server):
    histories = [History(start=0), History(start=1_000_000)]
    with Client(server.address) as first, Client(server.address) as second:

        def work(client, history):
            for _ in range(200):
                history.request(client)
                history.call(client)

        in_threads(
            *[lambda: work(first, histories[0])] * 3,
            *[lambda: work(second, histories[1])] * 3,
        )
        for history in histories:
            history.wait()
    both = History()
    both.entries = histories[0].entries + histories[1].entries
    assert not both.errors()
    both.check(server)


# ---- from callbacks ---------------------------------------------------------------


def test_every_method_works_in_a_callback(server):
    """A blocking call, too: it drives the loop itself."""
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
    """Callbacks may exceed the bound: waiting there would wait for themselves."""
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
    """Neither a timeout nor a blocking call nor bulk waits for the dispatcher."""
    with Client(server.address) as client:
        wait_for_state(client, "up")
        blocked = threading.Event()
        release = threading.Event()

        def block(_):
            blocked.set()
            release.wait(LIMIT)

        client.request("echo", [0], block)
        assert blocked.wait(LIMIT)
        end = time.monotonic() + 0.3
        calls = 0
        while time.monotonic() < end:
            began = time.monotonic()
            assert client.call("echo", [1]) == [1]
            assert time.monotonic() - began < 0.15
            calls += 1
        assert calls > 20
        assert list(client.map("echo", [[i] for i in range(100)])) == [
            [i] for i in range(100)
        ]
        server.misbehave(Drop())
        began = time.monotonic()
        with pytest.raises(RequestTimeout):
            client.call("echo", [1], timeout=0.1)
        assert 0.095 < time.monotonic() - began < 0.2
        release.set()


def test_a_deadline_passes_in_time_while_a_callback_blocks(server):
    """The core's clock does not wait for Python: elapsed says when it was."""
    errors = []
    with Client(server.address) as client:
        wait_for_state(client, "up")
        server.misbehave(Drop(), method="echo")
        client.request("nobody", None, None, lambda _: threading.Event().wait(0.3))
        client.request("echo", [1], None, errors.append, timeout=0.1)
        assert client.drain(LIMIT)
    assert 0.099 < errors[0].elapsed < 0.15


def test_a_dispatcher_with_much_to_do_wakes_nobody_for_its_own_calls(server):
    """It comes for more all the time; what it submits until then goes out together."""
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


def test_a_dispatcher_that_has_never_waited_wakes_nobody_either(server, monkeypatch):
    """It came late, and found results ever since: the event thread knew of nobody."""
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


def test_a_call_that_ends_at_once_leaves_the_loop_attended(server):
    """
    The seat was offered to a caller that had its outcome already, and stayed empty.

    Then no deadline passed and nobody reconnected any more.
    """
    server.stop()
    for _ in range(100):
        history = History()
        with Client(server.address, reconnect_delay=0.01) as client:
            until(lambda client=client: client.servers()[0].attempts_failed)
            entry, _ = history.request(client, wait_for_ready=True, timeout=0.02)
            with pytest.raises(ServerFailure):
                client.call("echo", [-1])
            history.wait()
            assert isinstance(entry.error, RequestTimeout)
        history.check(server)


# ---- close ---------------------------------------------------------------------


@pytest.mark.parametrize("delay", [0, 0.02])
def test_close_in_the_middle_of_everything(delay):
    """Each call ends once, none after close() returned; later ones are refused."""
    for turn in range(10):
        history = History()
        with Server(METHODS, fault=Delay(delay) if delay else ()) as server:
            client = Client(server.address)
            refused = threading.Barrier(THREADS + 1)

            def work(how, client=client, history=history, refused=refused):
                for i in itertools.count():
                    try:
                        how(client)
                    except ClientClosed:
                        break
                    assert i < 100_000
                refused.wait(LIMIT)

            hows = [history.call, history.submit, history.request] * 3
            threads = [
                threading.Thread(target=work, args=(how,)) for how in hows[:THREADS]
            ]
            for thread in threads:
                thread.start()
            until(lambda server=server, turn=turn: len(server.requests) > turn * 20)
            client.close()
            closed_at = time.monotonic()
            refused.wait(LIMIT)
            for thread in threads:
                thread.join(LIMIT)
            assert {type(e) for e in history.errors()} <= {ClientClosed}
            # A blocking call returns on its own thread, maybe after close().
            history.wait()
            history.check(server)
            told = [
                entry.outcomes[0].time for entry in history.entries
                if entry.accepted and isinstance(entry.error, ClientClosed)
            ]  # fmt: skip
            assert max(told, default=0) < closed_at + 0.5


def test_close_from_many_threads(server):
    for _ in range(30):
        client = Client(server.address)
        client.submit("echo", [1])
        in_threads(*[client.close] * 4)
        with pytest.raises(ClientClosed):
            client.call("echo", [1])


def test_close_from_a_callback(server):
    for _ in range(30):
        client = Client(server.address)
        closed = threading.Event()
        errors = []
        server.misbehave(Drop(), method="never")
        client.request("never", None, None, errors.append, timeout=30)
        client.request("echo", [1], lambda _, c=client, e=closed: (c.close(), e.set()))
        assert closed.wait(LIMIT)
        client.close()
        assert [type(error) for error in errors] == [ClientClosed]


def test_close_while_others_wait_for_room():
    """Blocked submitters do not miss that there is nothing to wait for any more."""
    with Server(METHODS, fault=Drop()) as server:
        client = Client(server.address, max_in_flight=4)
        errors = []

        def work(how):
            with pytest.raises(ClientClosed) as error:  # noqa: PT012
                while True:
                    how("echo", [1], timeout=20)
            errors.append(error)

        def close():
            until(lambda: client.stats().refused_full >= 3)
            client.close()

        began = time.monotonic()
        in_threads(
            lambda: work(client.call),
            lambda: work(client.request),
            lambda: work(lambda *a, **o: list(client.map(*a[:1], [[1]] * 20, **o))),
            close,
        )
        assert time.monotonic() - began < 2
        assert len(errors) == 3


# ---- chaos ------------------------------------------------------------------------


def test_threads_while_servers_come_and_go():
    """Four servers in two groups are killed and restarted under eight threads."""
    servers = [Server(METHODS).start() for _ in range(4)]
    text = " ".join(f"{s.address},{2 - i // 2}" for i, s in enumerate(servers))
    history = History()
    stop = threading.Event()

    def work(seed):
        dice = random.Random(seed)
        while not stop.is_set():
            idempotent = dice.random() < 0.3
            for _ in range(dice.randrange(1, 30)):
                history.request(client, idempotent=idempotent, timeout=2)
            history.call(client, idempotent=idempotent, timeout=2)
            until(lambda: len(history.open()) < 2000 or stop.is_set())

    def break_things():
        dice = random.Random(7)
        for _ in range(40):
            server = dice.choice(servers)
            dice.choice([server.stop, server.drop_connections, server.refuse])()
            stop.wait(dice.random() * 0.04)
            server.start()
        stop.set()

    try:
        with Client(text, reconnect_delay=0.01, reconnect_delay_max=0.05) as client:
            in_threads(
                *(lambda seed=seed: work(seed) for seed in range(THREADS)), break_things
            )
            history.wait()
            assert until(lambda: not history.call(client).error)
        history.check(*servers)
        kinds = {type(error) for error in history.errors()}
        assert ConnectionLost in kinds
    finally:
        for server in servers:
            server.__exit__()
