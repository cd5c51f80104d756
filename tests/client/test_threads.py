"""Every method, from many threads at once."""

import itertools
import random
import threading
import time

import pytest
from helpers import in_threads
from history import LIMIT, METHODS, History, until, wait_for_state

from jsonrpcc import (
    Cancelled,
    Client,
    ClientClosed,
    ConnectionLost,
    RequestTimeout,
    ServerFailure,
)
from jsonrpcc.testing import Delay, Drop, Server

THREADS = 8


# ---- all at once ------------------------------------------------------------------


def test_everything_at_once(server):
    """Eight threads use all methods; every call has exactly one outcome."""
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
    """Each call ends once, none after close() has returned; later ones are refused."""
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
    """Blocked submitters notice that there is nothing left to wait for."""
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
