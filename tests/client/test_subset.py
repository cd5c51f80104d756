"""Clients that connect to some of many servers: which ones, and what if those fail."""

import asyncio
import json
import os
import time

import pytest
from history import History, servers_string, until

from jsonrpcc import AsyncClient, Client, ServerFailure

FAST = {"reconnect_delay": 0.05, "reconnect_delay_max": 0.5}


def used(client):
    """The indices of the servers that are not spares."""
    return {n for n, info in enumerate(client.servers()) if not info.spare}


def up(client):
    return {n for n, info in enumerate(client.servers()) if info.state == "up"}


def settled(client, count):
    """Wait until that many are up, and no others are used; return which."""
    until(lambda: len(up(client)) == count and used(client) == up(client))
    return up(client)


def fails(client):
    try:
        client.call("echo", [1], idempotent=True)
    except ServerFailure:
        return True
    return False


# ---- the choice ----------------------------------------------------------------------


def test_connections_to_the_subset_only(servers):
    six = servers(6)
    history = History()
    with Client(servers_string(*six), subset=2) as client:
        chosen = settled(client, 2)
        for _ in range(100):
            history.call(client)
        infos = client.servers()
        assert len(infos) == 6
        for n, info in enumerate(infos):
            there = n in chosen
            assert (info.sent, info.connects) == ((50, 1) if there else (0, 0))
            assert (info.state, info.spare) == (
                ("up", False) if there else ("down", True)
            )
            assert info.last_error is None
        assert [one.connections for one in six] == [n in chosen for n in range(6)]
        assert up(client) == chosen
        assert client.wait_ready(5, all=True)  # nobody waits for the others
    history.check(*six)


def test_zero_is_all_and_more_than_there_are_is_all(servers):
    three = servers(3)
    for subset in (0, 3, 4096):
        with Client(servers_string(*three), subset=subset) as client:
            assert settled(client, 3) == {0, 1, 2}


def test_the_subset_has_its_number_of_each_priority(servers):
    six = servers(6)
    text = " ".join(f"{one.address},{2 - n // 3}" for n, one in enumerate(six))
    with Client(text, subset=1) as client:
        chosen = settled(client, 2)
        assert sorted(n // 3 for n in chosen) == [0, 1]
        (best,) = (n for n in chosen if n < 3)
        for _ in range(10):
            client.call("echo", [1])
        assert client.servers()[best].sent == 10


def test_clients_choose_differently(servers):
    six = servers(6)
    choices = set()
    for _ in range(20):
        with Client(servers_string(*six), subset=3) as client:
            choices.add(frozenset(settled(client, 3)))
    assert len(choices) > 3  # of 20


def test_forked_children_choose_for_themselves(servers):
    """Otherwise all workers of a preloading server would have the same subset."""
    six = servers(6)
    choices = set()
    with Client(servers_string(*six), subset=3) as client:
        parents = settled(client, 3)
        for _ in range(12):
            into, out = os.pipe()
            child = os.fork()
            if child == 0:
                try:
                    client.call("echo", [1])
                    os.write(out, json.dumps(sorted(settled(client, 3))).encode())
                finally:
                    os._exit(0)
            os.close(out)
            with os.fdopen(into) as pipe:
                choices.add(frozenset(json.loads(pipe.read())))
            os.waitpid(child, 0)
        assert up(client) == parents  # and nothing happened to that of the parent
    assert len(choices) > 2  # of 12


# ---- replacements --------------------------------------------------------------------


def test_a_killed_server_of_the_subset_is_replaced(servers):
    six = servers(6)
    history = History()
    with Client(servers_string(*six), subset=2, connect_timeout=0.5, **FAST) as client:
        lost = min(settled(client, 2))
        six[lost].stop()
        began = time.monotonic()
        while len(up(client)) < 2 or lost in up(client):
            history.call(client, idempotent=True)
            assert time.monotonic() - began < 20
        assert len(used(client)) == 3  # the lost one is still tried
        assert lost in used(client)
        for _ in range(50):
            history.call(client)
    history.check(*six)


def test_a_server_of_the_subset_returns_to_it(servers):
    six = servers(6)
    with Client(servers_string(*six), subset=2, connect_timeout=0.2, **FAST) as client:
        chosen = settled(client, 2)
        lost = min(chosen)
        six[lost].stop()
        until(lambda: len(up(client) - {lost}) == 2)
        (other,) = up(client) - chosen
        six[lost].start()

        def is_back():
            client.call("echo", [1], idempotent=True)  # it has to prove itself
            return up(client) == chosen == used(client)

        until(is_back)
        info = client.servers()[other]
        assert (info.state, info.spare, info.losses) == ("down", True, 0)
        until(lambda: six[other].connections == 0)
        assert client.stats().connections_lost == 0


def test_with_the_whole_subset_others_come_at_once(servers):
    """No call fails, although a server is given a long time."""
    six = servers(6)
    history = History()
    with Client(
        servers_string(*six), subset=2, connect_timeout=30, timeout=10
    ) as client:
        chosen = settled(client, 2)
        for n in chosen:
            six[n].stop()
        began = time.monotonic()
        for _ in range(20):
            history.call(client, idempotent=True)
        assert time.monotonic() - began < 10
        assert not chosen & up(client)
    history.check(*six)


def test_a_lower_priority_is_for_when_all_of_the_better_one_are_down(servers):
    four = servers(4)
    text = " ".join(f"{one.address},{1 + (n < 3)}" for n, one in enumerate(four))
    with Client(text, subset=1, connect_timeout=0.2, **FAST) as client:
        settled(client, 2)
        for one in four[:3]:
            one.stop()
        client.call("echo", [1], idempotent=True)
        until(lambda: used(client) == {0, 1, 2, 3})
        client.call("echo", [2])
        assert client.servers()[3].sent == 2
        four[1].start()

        def is_back():
            client.call("echo", [3], idempotent=True)
            return up(client) == {1, 3}

        until(is_back)
        client.call("echo", [4])
        assert client.servers()[1].sent >= 2


def test_if_all_are_down_calls_fail(servers):
    four = servers(4)
    with Client(servers_string(*four), subset=2, **FAST) as client:
        settled(client, 2)
        for one in four:
            one.stop()
        until(lambda: client.stats().events["all_down"] or fails(client))
        with pytest.raises(ServerFailure):
            client.call("echo", [1])
        assert used(client) == {0, 1, 2, 3}


# ---- with other options --------------------------------------------------------------


def test_each_of_the_subset_has_its_connections(servers):
    four = servers(4)
    with Client(servers_string(*four), subset=2, connections=3) as client:
        chosen = settled(client, 2)
        until(lambda: sum(info.connected for info in client.servers()) == 6)
        wanted = [3 if n in chosen else 0 for n in range(4)]
        until(lambda: [one.connections for one in four] == wanted)


def test_a_list_that_changes(servers):
    six = servers(6)
    history = History()
    with Client(servers_string(*six[:4]), subset=2) as client:
        settled(client, 2)
        client.set_servers(servers_string(*six[4:]))
        for _ in range(20):
            history.call(client)
        until(lambda: len(client.servers()) == 2 and up(client) == {0, 1})
        client.set_servers(servers_string(*six))
        for _ in range(20):
            history.call(client)
        until(lambda: len(client.servers()) == 6 and len(up(client)) >= 2)
    history.check(*six)


def test_of_an_async_client(servers):
    four = servers(4)

    async def main():
        async with AsyncClient(servers_string(*four), subset=1) as client:
            await client.call("echo", [1])
            return sum(info.spare for info in client.servers())

    assert asyncio.run(main()) == 3


@pytest.mark.parametrize("value", [-1, 4097])
def test_out_of_range(value):
    with pytest.raises(ValueError, match=f"subset must be from 0 to 4096, not {value}"):
        Client("a:1", subset=value)


def test_no_integer():
    with pytest.raises(TypeError, match="subset must be an integer"):
        Client("a:1", subset=1.5)
