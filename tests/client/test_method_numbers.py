"""The counters of each method: client.methods(), which add up to stats()."""

import asyncio
import random
import threading

import pytest
from forked import check_in_child
from helpers import LIMIT, STYLES, Told, in_threads, until

from jsonrpcc import AsyncClient, Client, JsonRpcError
from jsonrpcc.testing import Drop


def counts(client):
    return {
        name: (each.calls, each.ok, each.remote_errors, each.timeouts)
        for name, each in client.methods().items()
    }


def assert_add_up(client):
    """The methods' counters add up to stats()."""
    stats, methods = client.stats(), client.methods().values()
    assert stats.ok == sum(each.ok for each in methods)
    assert stats.remote_errors == sum(each.remote_errors for each in methods)
    assert stats.timeouts == sum(each.timeouts for each in methods)
    latency = [each.latency for each in methods]
    assert stats.latency.counts == tuple(
        map(sum, zip(*(each.counts for each in latency), strict=True))
    )
    assert stats.latency.sum == pytest.approx(sum(each.sum for each in latency))


def test_every_outcome_counts_for_its_method(serve, client_for):
    client = client_for(serve(faults={"never": Drop()}))
    assert client.methods() == {}
    for _ in range(3):
        client.call("echo")
    with pytest.raises(JsonRpcError):
        client.call("fail")
    with pytest.raises(JsonRpcError):
        client.call("never", timeout=0.02)
    client.submit("never").cancel()
    client.notification("note")
    until(lambda: client.stats().in_flight == 0)
    assert counts(client) == {
        "echo": (3, 3, 0, 0),
        "fail": (1, 0, 1, 0),
        "never": (2, 0, 0, 1),
        "note": (1, 1, 0, 0),
    }
    methods = client.methods()
    assert [methods[name].latency.count for name in ("echo", "fail", "never")] == [
        3, 1, 0,
    ]  # fmt: skip
    assert methods["echo"].latency.sum > 0
    assert_add_up(client)


@pytest.mark.parametrize("style", STYLES)
def test_in_every_style_of_call(serve, style):
    """With usual arguments, and with those that Python code prepares."""
    server = serve()
    seen = []

    class Seen(Client):
        def close(self):
            super().close()
            seen.append(counts(self))

    async def main():
        async with AsyncClient(server.address) as client:
            for params in ([1], "[1]"):
                await client.call("first", params)
            await client.notification("first", [1])
        seen.append(counts(client))

    if style == "async":
        asyncio.run(main())
    else:
        with Seen(server.address) as client:
            told = Told()
            client.request("first", [1], told.on_result)
            told.result()
            client.call("first", "[1]")
            list(client.map("first", [[1], [2], "[3]"]))
            client.submit("first", [1]).result(LIMIT)
    assert seen == [{"first": (3, 3, 0, 0) if style == "async" else (6, 6, 0, 0)}]


def test_more_methods_than_have_room_are_counted_together(serve, client_for):
    client = client_for(serve(), max_methods=2)
    for name in ("a", "b", "c", "d", "a"):
        client.notification(name)
    until(lambda: client.stats().ok == 5)
    assert counts(client) == {
        "a": (2, 2, 0, 0), "b": (1, 1, 0, 0), "_OTHER": (2, 2, 0, 0),
    }  # fmt: skip
    assert_add_up(client)


@pytest.mark.parametrize("name", ["x" * 256, "ü" * 128])
def test_a_long_name_is_counted_with_others(serve, client_for, name):
    client = client_for(serve())
    for method in (name, name[:-1]):
        client.notification(method)
    until(lambda: client.stats().ok == 2)
    assert list(client.methods()) == ["_OTHER", name[:-1]]


def test_no_method_is_counted_with_max_methods_0(serve, client_for):
    client = client_for(serve(), max_methods=0)
    client.call("echo")
    assert list(client.map("first", [[1]])) == [1]
    assert counts(client) == {"_OTHER": (2, 2, 0, 0)}
    assert_add_up(client)


def test_names_are_counted_by_what_they_say(serve, client_for):
    """Not by their objects: a program may make a new one for each call."""
    client = client_for(serve())
    for i in range(300):
        client.notification("".join(["no", "te", str(i % 100)]))
    until(lambda: client.stats().ok == 300)
    assert counts(client) == {f"note{i}": (3, 3, 0, 0) for i in range(100)}


def test_many_threads_name_the_same_methods_at_once(serve, client_for):
    client = client_for(serve(), max_methods=50)
    names = [f"note{i}" for i in range(80)]
    start = threading.Barrier(6)

    def call():
        mine = names.copy()
        random.shuffle(mine)
        start.wait(LIMIT)
        for name in mine:
            client.notification(name)

    in_threads(*[call] * 6)
    until(lambda: client.stats().ok == 6 * 80)
    found = counts(client)
    others = found.pop("_OTHER")
    assert len(found) == 50
    assert set(found.values()) == {(6, 6, 0, 0)}
    assert others == (180, 180, 0, 0)
    assert_add_up(client)


def test_a_forked_child_counts_from_zero_by_the_same_numbers(serve):
    with Client(serve().address) as client:
        client.call("echo")

        def check():
            client.call("first", [1])
            client.call("echo")
            assert counts(client) == {"echo": (1, 1, 0, 0), "first": (1, 1, 0, 0)}

        check_in_child(check)
        client.call("echo")
        assert counts(client) == {"echo": (2, 2, 0, 0)}


@pytest.mark.parametrize("bad", [-1, 4097, 1.5, "1", None, True])
def test_a_wrong_number_of_methods(bad):
    with pytest.raises((TypeError, ValueError), match="max_methods must be"):
        Client("a:1", max_methods=bad)
