"""Threads and waiting, without holding a lock while Python code runs."""

import sys
import threading
from _thread import get_ident

import pytest
from helpers import until

from jsonrpcc import _worker
from jsonrpcc._worker import NAME, Bell, Worker


def test_a_worker_runs_once_however_often_it_is_started():
    """A signal handler may start it while it is being started."""
    seen, go_on = [], threading.Event()

    def run(number):
        seen.append((number, threading.current_thread().name))
        go_on.wait(5)

    worker = Worker()
    assert not worker.has_begun()
    assert not worker.join(0.001), "it has not even begun"
    for number in range(20):
        worker.start(run, number)
    until(worker.has_begun)
    worker.start(run, 20)
    until(lambda: seen)
    assert not worker.has_ended()
    assert not worker.is_current()
    go_on.set()
    assert worker.join(5)
    assert worker.has_ended()
    assert len(seen) == 1
    assert seen[0][1] == NAME
    until(lambda: NAME not in {thread.name for thread in threading.enumerate()})


class Outside(BaseException):
    """As from PyThreadState_SetAsyncExc()."""


def test_a_worker_goes_on_after_an_exception(monkeypatch):
    """Even if the traceback is kept; and, without threads, when it is started again."""
    kept, seen = [], []
    monkeypatch.setattr(sys, "unraisablehook", kept.append)
    start_new_thread = _worker.start_new_thread
    refused = threading.Event()

    def refuse(*_):
        refused.set()
        raise RuntimeError

    def run():
        seen.append(get_ident())
        if len(seen) == 2:
            monkeypatch.setattr(_worker, "start_new_thread", refuse)
        if len(seen) < 3:
            raise Outside

    worker = Worker()
    worker.start(run)
    until(refused.is_set)
    until(lambda: not worker.has_begun())
    with pytest.raises(RuntimeError):
        worker.start(run)
    assert not worker.join(0.001)
    monkeypatch.setattr(_worker, "start_new_thread", start_new_thread)
    worker.start(run)
    assert worker.join(5)
    assert len(seen) == 3
    until(lambda: not worker._threads)
    assert [each.exc_type for each in kept] == [Outside] * 2


def test_a_worker_is_traced_like_other_threads():
    """Debuggers and coverage set this."""
    seen = []

    def trace(frame, event, _):
        seen.append(("trace", event, frame.f_code.co_name))

    def profile(frame, event, _):
        seen.append(("profile", event, frame.f_code.co_name))

    def run():
        pass

    before = threading.gettrace(), threading.getprofile()
    threading.settrace(trace)
    threading.setprofile(profile)
    try:
        worker = Worker()
        worker.start(run)
        assert worker.join(5)
    finally:
        threading.settrace(before[0])
        threading.setprofile(before[1])
    assert ("trace", "call", "run") in seen
    assert ("profile", "call", "run") in seen


def test_a_bell_wakes_all_and_later_ones_wait_again():
    bell, come, woken = Bell(), [], []

    def wait():
        bell.wait(lambda: bool(come), 10)
        woken.append(1)

    threads = [threading.Thread(target=wait) for _ in range(5)]
    for thread in threads:
        thread.start()
    until(lambda: len(bell._waiting) == 5)
    assert bell
    come.append(1)
    bell.ring()
    for thread in threads:
        thread.join(5)
    assert len(woken) == 5
    assert not bell
    wait()  # it has come already
    come.clear()
    bell.wait(lambda: False, 0.001)
    assert not bell
    bell.ring()


def test_a_wait_for_a_bell_may_be_interrupted_by_another_wait():
    """As by a signal handler, which finds it at its last look."""
    bell, come = Bell(), []

    def has_come():
        if not come:
            come.append(1)
            bell.wait(lambda: True, 10)
            bell.ring()
        return False

    bell.wait(has_come, 10)
    assert not bell
