"""Several connections to a server, and connections that are replaced for their age."""

import contextlib
import random
import threading
import time
from collections import Counter

import pytest
from history import METHODS, History, servers_string, until

from jsonrpcc import Client, JsonRpcError, RequestTimeout
from jsonrpcc.testing import Delay, Drip, Drop

SLOW_TRIALS = {"reconnect_delay": 0.05, "reconnect_delay_max": 0.5}

# Most tests run over TCP and over Unix sockets.


@pytest.fixture
def servers(any_servers):
    return any_servers


def connected(client, index=0):
    return client.servers()[index].connected


def all_connected(client, count):
    until(lambda: all(each.connected == count for each in client.servers()))


# ---- several connections ---------------------------------------------------------


def test_each_server_gets_as_many_connections(servers):
    two = servers(2)
    with Client(servers_string(*two), connections=3) as client:
        all_connected(client, 3)
        for info in client.servers():
            assert (info.connections, info.connects, info.losses) == (3, 3, 0)
        assert client.stats().events["connected"] == 6
    with Client(servers_string(*two)) as client:
        all_connected(client, 1)
        assert [each.connections for each in client.servers()] == [1, 1]


def test_servers_take_turns_whatever_their_number_of_connections(servers):
    two = servers(2)
    history = History()
    with Client(servers_string(*two), connections=4) as client:
        all_connected(client, 4)
        for _ in range(100):
            history.call(client)
        assert [each.sent for each in client.servers()] == [50, 50]
    history.check(*two)


def test_what_is_not_on_a_lost_connection_is_not_lost(servers):
    (server,) = servers(1)
    history = History()
    with Client(servers_string(server), connections=4, reconnect_delay=0.02) as client:
        all_connected(client, 4)
        for _ in range(5):
            server.drop_connections()
            for _ in range(20):
                history.call(client, wait_for_ready=True)
            all_connected(client, 4)
        assert client.servers()[0].state == "up"
    history.check(server)


def test_a_large_response_holds_up_nobody_else(serve):
    """With one connection, the small responses would come after it."""
    server = serve(methods={"large": lambda: "x" * 200_000, **METHODS})
    server.misbehave(Drip(20_000), method="large")  # 10 s
    with Client(server.address, connections=2, timeout=60) as client:
        all_connected(client, 2)
        large = client.submit("large")
        server.wait_for_requests(1)
        for n in range(50):
            assert client.call("echo", [n]) == [n]
        assert not large.done()
        large.cancel()


def test_a_server_is_suspect_with_all_of_its_connections(servers):
    (server,) = servers(1)
    with Client(
        servers_string(server), connections=4, timeout=0.05, **SLOW_TRIALS
    ) as client:
        all_connected(client, 4)
        server.misbehave(Drop())
        for n in range(12):
            with pytest.raises(RequestTimeout):
                client.call("echo", [n])
        assert client.servers()[0].state == "suspect"
        assert client.stats().events["suspect"] == 1
        server.behave()
        until(lambda: answers(client))
        assert client.stats().events["trusted"] == 1
        assert client.servers()[0].losses == 0


def answers(client):
    with contextlib.suppress(JsonRpcError):
        client.call("echo", [0])
        return client.servers()[0].state == "up"
    return False


# ---- their age -------------------------------------------------------------------


def keep_calling(clients, stop, **options):
    """Call from a few threads until *stop*; return a function that gives errors."""
    errors, counts = [], Counter()

    def run(client):
        while not stop.is_set():
            try:
                client.call("echo", [1], **options)
                counts["ok"] += 1
            except JsonRpcError as error:
                errors.append(error)

    threads = [
        threading.Thread(target=run, args=(client,))
        for client in clients
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()

    def join():
        stop.set()
        for thread in threads:
            thread.join()
        return errors, counts["ok"]

    return join


@pytest.mark.parametrize("connections", [1, 3])
def test_a_connection_is_replaced_without_loss_of_a_call(servers, connections):
    (server,) = servers(1)
    events = []
    with Client(
        servers_string(server),
        connections=connections,
        max_connection_age=1,
        on_event=events.append,
    ) as client:
        all_connected(client, connections)
        join = keep_calling([client], threading.Event())
        until(lambda: client.servers()[0].renewals >= 3 * connections)
        errors, calls = join()
        info = client.servers()[0]
        assert errors == []
        assert calls > 100
        assert (info.losses, info.attempts_failed, info.state) == (0, 0, "up")
        assert info.connected <= connections + 1
        until(lambda: "renewed" in [each.kind for each in events])
    assert "lost" not in [each.kind for each in events]


def test_an_idle_client_replaces_its_connection_too(servers):
    (server,) = servers(1)
    with Client(
        servers_string(server),
        max_connection_age=1,
        reconnect_delay=0.1,
        reconnect_delay_max=0.2,
    ) as client:
        until(lambda: client.servers()[0].renewals >= 2)
        assert client.servers()[0].losses == 0


def test_the_old_connection_stays_if_no_new_one_comes_up(serve):
    server = serve()
    with Client(
        server.address,
        max_connection_age=1,
        reconnect_delay=0.05,
        reconnect_delay_max=0.1,
    ) as client:
        all_connected(client, 1)
        server.refuse()
        until(lambda: client.servers()[0].attempts_failed >= 3)
        assert client.call("add", [1, 2]) == 3
        assert client.servers()[0].state == "up"
        assert client.stats().events["unreachable"] == 0
        server.accept()
        until(lambda: client.servers()[0].renewals >= 1)
        assert client.call("add", [1, 2]) == 3


def test_a_call_outlives_its_connections_age(serve):
    server = serve()
    server.misbehave(Delay(3, times=1), method="add")
    with Client(
        server.address, max_connection_age=1, leave_timeout=0.1, timeout=30
    ) as client:
        slow = client.submit("add", [1, 2])
        server.wait_for_requests(1)
        join = keep_calling([client], threading.Event())
        assert slow.result(30) == 3
        errors, _ = join()
        assert errors == []
        assert client.servers()[0].renewals >= 1


@pytest.mark.parametrize("seconds", [4, pytest.param(60, marks=pytest.mark.slow)])
def test_age_and_changes_of_the_list_at_random(tcp_servers, seconds):
    """Neither ends a call, nor do both together."""
    several = tcp_servers(4)
    dice = random.Random(1)
    with Client(
        servers_string(*several),
        connections=2,
        max_connection_age=1,
        on_event=lambda event: None,
    ) as client:
        join = keep_calling([client], threading.Event())
        end = time.monotonic() + seconds
        pause = threading.Event()
        while time.monotonic() < end:
            chosen = dice.sample(several, dice.randint(1, 4))
            client.set_servers(servers_string(*chosen))
            pause.wait(dice.random() * 0.2)
        errors, calls = join()
        assert errors == []
        assert calls > 100
        assert sum(each.losses for each in client.servers()) == 0
