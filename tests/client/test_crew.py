"""Many clients in a process share a few threads, and none notices."""

import asyncio
import contextlib
import contextvars
import ctypes
import os
import statistics
import threading
import time
from pathlib import Path

import pytest
from forked import check_in_child
from helpers import in_threads
from history import LIMIT, until
from time_limits import PATIENCE

from jsonrpcc import AsyncClient, Client, _session, _worker
from jsonrpcc._jsonrpcc import lib
from jsonrpcc.testing import Delay, Server

CLIENTS = 12
# A callback that blocks delays others by 5 ms.
SOON = 0.5 * PATIENCE
TOGETHER = 80
LATE = 0.005


def python_threads():
    return sum(each.name == "jsonrpcc" for each in threading.enumerate())


@pytest.fixture
def server():
    with Server({"echo": lambda value: value}) as server:
        yield server


@pytest.fixture
def clients(server, monkeypatch):
    """All of them in the crew."""
    monkeypatch.setattr(_session, "OWN_THREADS", 0)
    made = [Client(server.address, timeout=LIMIT) for _ in range(CLIENTS)]
    yield made
    for client in made:
        client.close()


def answers(client, value):
    """Return an event that is set when a callback has got this."""
    told = threading.Event()

    def on_result(result):
        assert result == value
        told.set()

    client.request("echo", [value], on_result)
    return told


def test_the_first_clients_have_a_thread_each(server, monkeypatch):
    # Those of other tests may be kept by exceptions that were raised in callbacks.
    monkeypatch.setattr(_session, "OWN_THREADS", lib.jsonrpcc_client_count() + 2)
    with Client(server.address) as one, Client(server.address) as other:
        seen = set()
        for client in (one, other):
            told = threading.Event()
            client.request(
                "echo",
                [1],
                lambda _, told=told: (seen.add(threading.get_ident()), told.set()),
            )
            assert told.wait(LIMIT)
        assert len(seen) == 2


def test_threads_do_not_grow_with_the_clients(server):
    made = []
    try:
        for _ in range(40):
            made.append(Client(server.address))
            assert answers(made[-1], len(made)).wait(LIMIT)
        assert python_threads() <= _session.OWN_THREADS + 3
    finally:
        for client in made:
            client.close()
    until(lambda: python_threads() == 0, what="the end of the threads")


def test_nor_with_those_of_an_event_loop(server):
    def threads():
        return sum(1 for _ in Path("/proc/self/task").iterdir())

    async def main():
        made = [AsyncClient(server.address, timeout=LIMIT) for _ in range(40)]
        try:
            sums = await asyncio.gather(*(each.call("echo", [1]) for each in made))
            return sum(sums), threads()
        finally:
            for client in made:
                await client.close()

    before = threads()
    total, during = asyncio.run(main())
    assert total == 40
    assert during <= before + _session.OWN_THREADS + 1
    until(lambda: threads() <= before, what="the end of the threads")


def test_every_outcome_is_delivered_once_and_in_turn(clients):
    running = [threading.Lock() for _ in clients]
    left = [500] * len(clients)
    done = threading.Semaphore(0)
    wrong = []

    def chain(i):
        def on_result(value):
            if not running[i].acquire(blocking=False):
                wrong.append(i)
                return
            left[i] -= 1
            if left[i] >= 10:
                clients[i].request("echo", [value], on_result, wrong.append)
            elif left[i] == 0:
                done.release()
            running[i].release()

        for _ in range(10):
            clients[i].request("echo", [i], on_result, wrong.append)

    for i in range(len(clients)):
        chain(i)
    assert all(done.acquire(timeout=LIMIT) for _ in clients)
    assert left == [0] * len(clients)
    assert wrong == []


def test_a_callback_that_blocks_delays_only_its_own_client(clients):
    *blocked, last = clients
    until_then = threading.Event()
    try:
        for client in blocked:
            entered = threading.Event()
            client.request(
                "echo", [1], lambda _, e=entered: (e.set(), until_then.wait(LIMIT))
            )
            assert entered.wait(LIMIT)
            begun = time.monotonic()
            assert answers(last, "x").wait(LIMIT)
            assert time.monotonic() - begun < SOON
            # Their loops go on: a blocking call, and a deadline.
            assert client.call("echo", [2]) == 2
        later = [answers(client, "later") for client in blocked]
        assert not later[0].wait(0.02)
    finally:
        until_then.set()
    assert all(told.wait(LIMIT) for told in later)
    until(lambda: python_threads() <= 3, what="the end of threads that are not needed")


def test_callbacks_that_block_together_delay_others_but_once(server, monkeypatch):
    """By a lock, or a database, that all of them wait for."""
    monkeypatch.setattr(_session, "OWN_THREADS", 0)

    def all_blocked():
        """Return after how long all of them were."""
        until_then, entered = threading.Event(), threading.Semaphore(0)
        begun = time.monotonic()
        for client in made:
            client.request(
                "echo", [1], lambda _: (entered.release(), until_then.wait(LIMIT))
            )
        try:
            assert all(entered.acquire(timeout=LIMIT) for _ in made)
            return time.monotonic() - begun
        finally:
            until_then.set()
            assert all(client.drain(LIMIT) for client in made)

    with contextlib.ExitStack() as stack:
        made = [
            stack.enter_context(Client(server.address, timeout=LIMIT))
            for _ in range(TOGETHER)
        ]
        for client in made:
            assert client.call("echo", [1]) == 1
        # The machine may be busy, and starting so many threads takes it some time.
        until(lambda: all_blocked() < TOGETHER * LATE / 2)
    until(lambda: python_threads() == 0, what="the end of the threads")


@contextlib.contextmanager
def no_more_threads():
    def refuse(*_):
        raise RuntimeError("can't start new thread")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_worker, "start_new_thread", refuse)
        yield


def test_all_go_on_when_threads_can_be_started_again(clients, caplog):
    """Some were needed while there were none, since callbacks blocked."""
    until_then, entered = threading.Event(), []
    try:
        with no_more_threads():
            for client in clients[:-1]:
                client.request(
                    "echo", [1], lambda _: (entered.append(1), until_then.wait(LIMIT))
                )
            until(lambda: len(entered) >= python_threads(), what="that all block")
            future = clients[-1].submit("echo", [2])
            with pytest.raises(TimeoutError):
                future.result(0.1)
        assert clients[-1].drain(LIMIT)
        assert future.result(0) == 2
        warnings = [each for each in caplog.records if each.levelname == "WARNING"]
        (text,) = [each.getMessage() for each in warnings]
        assert "can't start new thread" in text
    finally:
        until_then.set()


def test_threads_that_ended_when_none_could_be_started_are_replaced(clients):
    place = clients[0]._dispatcher.worker
    assert answers(clients[0], 1).wait(LIMIT)
    until(lambda: python_threads() == 2, what="the thread that stands by")
    futures, unraisable = [], []

    def end_all():
        for worker, _ in place._crew._workers:
            if worker._ident:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(worker._ident), ctypes.py_object(KeyError)
                )
        futures.extend(each.submit("echo", [3]) for each in clients)
        return python_threads() == 0

    with pytest.MonkeyPatch.context() as patch, no_more_threads():
        patch.setattr("sys.unraisablehook", unraisable.append)
        until(end_all)
    assert clients[1].drain(LIMIT)
    assert {each.result(LIMIT) for each in futures} == {3}


def test_what_a_callback_that_blocks_has_submitted_is_sent(clients):
    first, second, *_ = clients
    until_then, entered, told = (threading.Event() for _ in range(3))
    results = []

    def block(_):
        first.notification("echo", ["own"])
        second.request("echo", ["other"], lambda _: told.set())
        results.append(first.submit("echo", ["own"]))
        entered.set()
        until_then.wait(LIMIT)

    first.request("echo", [1], block)
    try:
        assert entered.wait(LIMIT)
        assert told.wait(LIMIT)
        until(lambda: first.stats().ok == 3, what="the response to its call")
    finally:
        until_then.set()
    assert results[0].result(LIMIT) == "own"


def test_callbacks_of_a_client_have_a_context_of_their_own(clients):
    tenant = contextvars.ContextVar("tenant", default=None)
    seen = {}
    for name in range(CLIENTS):
        told = threading.Event()
        clients[name].request(
            "echo", [1], lambda _, n=name, t=told: (tenant.set(n), t.set())
        )
        assert told.wait(LIMIT)
    for name in range(CLIENTS):
        told = threading.Event()
        clients[name].request(
            "echo",
            [1],
            lambda _, n=name, t=told: (seen.update({n: tenant.get()}), t.set()),
        )
        assert told.wait(LIMIT)
    assert seen == {name: name for name in range(CLIENTS)}


def test_callbacks_close_each_others_clients(clients):
    """In a ring: nobody waits for itself, and all are closed."""
    told = threading.Semaphore(0)
    barrier = threading.Barrier(CLIENTS)

    def close(other):
        def on_result(_):
            barrier.wait(LIMIT)
            other.close()
            told.release()

        return on_result

    for i, client in enumerate(clients):
        client.request("echo", [1], close(clients[i - 1]))
    assert all(told.acquire(timeout=LIMIT) for _ in clients)
    in_threads(*[client.close for client in clients])
    until(lambda: python_threads() == 0, what="the end of the threads")


def test_clients_come_and_go(server, monkeypatch):
    monkeypatch.setattr(_session, "OWN_THREADS", 0)

    def use():
        for i in range(20):
            with Client(server.address) as client:
                assert answers(client, i).wait(LIMIT)
                assert client.submit("echo", [i]).result(LIMIT) == i
                assert list(client.map("echo", [[1], [2]])) == [1, 2]

    in_threads(*[use] * 4)
    until(lambda: python_threads() == 0, what="the end of the threads")


@pytest.mark.filterwarnings("ignore:This process")
def test_a_child_has_a_crew_of_its_own(clients):
    stop = threading.Event()

    def load():
        while not stop.is_set():
            for client in clients:
                client.submit("echo", [1]).result(LIMIT)

    def check():
        for i, client in enumerate(clients):
            assert answers(client, i).wait(LIMIT)
            assert client.call("echo", [i]) == i
        for client in clients:
            client.close()

    thread = threading.Thread(target=load)
    thread.start()
    try:
        for _ in range(5):
            check_in_child(check)
    finally:
        stop.set()
        thread.join()
    assert all(answers(client, 1).wait(LIMIT) for client in clients)


def test_many_idle_clients_sleep(clients):
    def switches():
        return sum(
            int(line.split()[1])
            for task in Path("/proc/self/task").iterdir()
            if task.name != str(os.getpid())
            for line in (task / "status").read_text().splitlines()
            if line.startswith("voluntary_ctxt_switches")
        )

    for client in clients:
        assert answers(client, 1).wait(LIMIT)
        assert client.call("echo", [1]) == 1

    def is_quiet():
        before = switches()
        time.sleep(0.5)
        return switches() - before <= 1

    until(is_quiet, what="quiet")


@pytest.mark.parametrize("own", [0, 1])
def test_an_answer_is_told_in_time_after_a_blocking_call(monkeypatch, own):
    """Whoever has called watches the sockets no more; the event thread soon does."""
    monkeypatch.setattr(_session, "OWN_THREADS", own)
    methods = {"echo": lambda value: value, "late": lambda: None}
    with (
        Server(methods, faults={"late": Delay(LATE)}) as server,
        contextlib.ExitStack() as stack,
    ):
        client = stack.enter_context(Client(server.address, timeout=LIMIT))
        for _ in range(100):  # idle, whatever thread they have
            stack.enter_context(Client(server.address))
        took = []
        for _ in range(15):
            told = threading.Event()
            began = time.monotonic()
            client.request("late", [], lambda _, told=told: told.set())
            assert client.call("echo", [1]) == 1
            assert told.wait(LIMIT)
            took.append(time.monotonic() - began)
    assert statistics.median(took) < 3 * LATE * PATIENCE
