"""Dropped objects are cleaned up, and no call is lost with them."""

import ctypes
import gc
import os
import subprocess
import sys
import threading
import weakref

import pytest
from children import run_program
from helpers import descriptors, in_threads, rss, threads
from history import LIMIT, METHODS, History, until, wait_for_state
from time_limits import ASAN, TSAN

from jsonrpcc import Client, ClientClosed, _client
from jsonrpcc.testing import Drop, Server


def settled(count, baseline):
    """Whether no more than baseline are left; the event thread ends in its own time."""
    return until(lambda: count() <= baseline, what=f"{count.__name__} {baseline}")


def trimmed():
    """This process's memory, without what malloc() happens to keep for later."""
    ctypes.CDLL(None).malloc_trim(0)
    return rss()


def test_a_dropped_client_ends_its_calls_threads_and_descriptors():
    with Server(METHODS, fault=Drop()) as server:
        before = threads(), descriptors()
        for number in range(20):
            client = Client(server.address)
            wait_for_state(client, "up")
            history = History()
            entries = [history.request(client, timeout=30) for _ in range(10)]
            gone = weakref.ref(client)
            del client
            gc.collect()
            until(lambda gone=gone: gone() is None)
            history.wait()
            for entry, _ in entries:
                assert isinstance(entry.error, ClientClosed)
            # Only then has the server read all that this client sent it; and it may
            # not have accepted the connection yet, although the client is up.
            server.wait_for_accepted(number + 1)
            server.wait_for_connections(0)
            history.check(server)
            del entry, entries  # a call keeps what is left of its client
            server.clear()
        gc.collect()
        settled(threads, before[0])
        settled(descriptors, before[1])


@pytest.mark.parametrize("uses", [0, 1])
def test_a_forgotten_client_warns(uses):
    with Server(METHODS) as server:
        client = Client(server.address)
        for _ in range(uses):
            client.call("echo", [1])
        with pytest.warns(ResourceWarning, match="unclosed <Client"):
            del client
        server.wait_for_connections(0)


@pytest.mark.filterwarnings("error:unclosed <Client:ResourceWarning")
def test_a_client_that_was_closed_or_never_made_does_not_warn():
    with pytest.raises(ValueError, match="servers"):
        Client("")
    with Client("127.0.0.1:1") as client:
        pass
    del client
    gc.collect()


@pytest.mark.parametrize("forgets", [True, False])
def test_an_exit_closes_clients_without_warnings(forgets):
    code = """if True:
        import sys, jsonrpcc
        client = jsonrpcc.Client("127.0.0.1:1")
        if "True" in sys.argv:
            del client
    """
    command = [sys.executable, "-W", "always::ResourceWarning", "-c", code]
    ended = subprocess.run(
        [*command, str(forgets)], capture_output=True, text=True, check=True
    )
    assert ("unclosed <Client" in ended.stderr) == forgets
    assert ended.stderr.count("ResourceWarning: unclosed") == forgets


def test_clients_are_listed_while_others_come_and_go():
    """As at exit: this raised because the set changed meanwhile."""

    class Another:
        def __init__(self):
            _client._clients[id(self)] = self

    def come_and_go():
        while not stop.is_set():
            [Another() for _ in range(20)]

    stop, interval = threading.Event(), sys.getswitchinterval()
    thread = threading.Thread(target=come_and_go)
    with Client("127.0.0.1:1") as client:
        thread.start()
        try:
            sys.setswitchinterval(1e-6)
            for _ in range(2000):
                assert client in _client._living()
        finally:
            sys.setswitchinterval(interval)
            stop.set()
            thread.join(LIMIT)


def test_a_client_dropped_by_its_own_callback():
    """The last reference may be dropped on the dispatcher's own thread."""
    with Server(METHODS) as server:
        before = threads()
        for _ in range(50):
            box = [Client(server.address)]
            box[0].request("echo", [1], lambda _, box=box: box.clear())
            until(lambda box=box: not box)
        gc.collect()
        settled(threads, before)
        server.wait_for_connections(0)


def test_a_client_in_a_cycle_is_collected():
    class Owner:
        def __init__(self, address):
            self.results = []
            self.client = Client(address)
            self.client.request("echo", [1], self.on_result)

        def on_result(self, result):
            self.results.append(result)

    with Server(METHODS) as server:
        before = threads()
        for _ in range(20):
            owner = Owner(server.address)
            until(lambda owner=owner: owner.results)
            owner.itself = owner
            del owner
        gc.collect()
        settled(threads, before)


def test_calls_that_are_garbage_end_before_their_client():
    with Server(METHODS | {"silence": lambda: None}, faults={"silence": Drop()}) as s:
        program = run_program(
            "collecting.py", 5, s.address, env={"MALLOC_PERTURB_": "165"}
        )
    assert program.report() is True


def test_callbacks_are_released_with_their_outcome():
    class Ballast:
        pass

    with Server(METHODS) as server, Client(server.address) as client:
        gone = []
        for _ in range(20):
            ballast = Ballast()
            gone.append(weakref.ref(ballast))
            client.request("echo", [1], lambda _, ballast=ballast: None)
            client.request("nobody", None, None, lambda _, ballast=ballast: None)
            del ballast
        assert client.drain(LIMIT)
        until(lambda: not any(ref() for ref in gone), what="the end of callbacks")


def test_three_hundred_cycles_leak_nothing():
    with Server(METHODS) as server:
        with Client(server.address) as client:
            client.call("echo", [1])
        gc.collect()
        before = threads(), descriptors()
        for i in range(300):
            client = Client(server.address)
            if i % 3:
                assert client.submit("echo", [1]).result(LIMIT) == [1]
            if i % 2:
                client.close()
            del client
        gc.collect()
        settled(threads, before[0])
        server.wait_for_connections(0)
        settled(descriptors, before[1])


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_thousands_of_cycles_keep_memory_flat():
    """Clients come and go; the second half needs no more memory than the first."""
    count = int(os.environ.get("JSONRPCC_CYCLES", "3000"))

    def cycle(i):
        client = Client(server.address)
        assert client.call("echo", [1]) == [1]
        if i % 3:
            assert client.submit("echo", [1]).result(LIMIT) == [1]
        if i % 2:
            client.close()

    with Server(METHODS, keep=1) as server:
        before = threads(), descriptors()
        for i in range(count // 2):
            cycle(i)
        gc.collect()
        settled(threads, before[0])
        middle = trimmed()
        for i in range(count // 2):
            cycle(i)
        gc.collect()
        settled(threads, before[0])
        server.wait_for_connections(0)
        settled(descriptors, before[1])
    # A hundred bytes a cycle would be seen.
    assert trimmed() - middle < 100 * count // 2 + 512 * 1024


def test_bulk_dropped_in_the_middle():
    """Its queue goes while others drive the loop, and outcomes still arrive for it."""
    with Server(METHODS) as server, Client(server.address) as client:
        wait_for_state(client, "up")
        server.wait_for_connections(1)
        baseline = descriptors()

        def work():
            for i in range(100):
                results = client.map("echo", [[n] for n in range(40)], window=16)
                for _ in range(i % 40):
                    next(results)
                del results

        def load():
            for _ in range(300):
                client.call("echo", [1])

        in_threads(work, work, work, load)
        assert client.drain(LIMIT)
        until(lambda: client.stats().in_flight == 0)
        assert client.stats().undelivered_bytes == 0
        settled(descriptors, baseline)


def test_bulk_that_ends_with_its_last_result():
    """It is freed while the leader still rings for that result."""
    with Server(METHODS) as server, Client(server.address) as client:

        def work():
            for i in range(400):
                assert list(client.map("echo", [[i]])) == [[i]]

        in_threads(work, work, work, work)
        assert client.stats().ok == 1600


@pytest.mark.skipif(ASAN or TSAN, reason="their heap keeps what was freed")
def test_clients_after_others_take_no_more_memory():
    """Whatever the heap is like, what a client never uses takes no memory."""
    first, _, third = run_program("memory_of_clients.py").report()
    assert third < first + 50
