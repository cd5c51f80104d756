"""The list of servers changes while calls are made, without ending any of them."""

import asyncio
import resource
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
from children import run_program
from history import LIMIT, History, servers_string, shares, until, wait_for_state

import jsonrpcc
from jsonrpcc import AsyncClient, Client, ClientClosed, ConnectionLost
from jsonrpcc.testing import Delay, Drop

ROOT = Path(__file__).parents[2]
MANY_FDS = 18000  # both ends of the connections of the old and the new list
QUICK = {"reconnect_delay": 0.01, "reconnect_delay_max": 0.1}


@pytest.fixture
def servers(any_servers):
    return any_servers


def addresses(client):
    return [server.address for server in client.servers()]


def wait_for_list(client, *servers):
    wanted = [server.address for server in servers]
    until(lambda: addresses(client) == wanted, what="the list")


# ---- joining and leaving -----------------------------------------------------------


def test_calls_go_by_the_new_list(servers):
    one, two, three = servers(3)
    history = History()
    with Client(servers_string(one, two), **QUICK) as client:
        wait_for_state(client, "up", 0, 1)
        client.set_servers(servers_string(two, three))
        wait_for_list(client, two, three)
        wait_for_state(client, "up", 0, 1)
        counts = shares(client, history, 100)
        assert counts == {two.address: 50, three.address: 50}
        until(lambda: one.connections == 0, what="the end of the connection")
    history.check(one, two, three)


def test_a_call_goes_by_the_list_that_was_set_before_it(servers):
    """No matter how soon it changes again."""
    one, two = servers(2)
    history = History()
    with Client(servers_string(one), **QUICK) as client:
        for _ in range(50):
            client.set_servers(servers_string(two))
            history.call(client)
            client.set_servers(servers_string(one))
            history.call(client)
    assert history.errors() == []
    assert len(one.requests) == len(two.requests) == 50
    history.check(one, two)


def test_servers_that_stay_keep_connection_and_counters(servers):
    one, two = servers(2)
    history = History()
    with Client(servers_string(one), **QUICK) as client:
        for _ in range(10):
            history.call(client)
        before = client.servers()[0]
        client.set_servers(servers_string(two, one, priorities=(1, 5)))
        wait_for_list(client, two, one)
        history.call(client)
        after = client.servers()[1]
        assert (after.since, after.connects) == (
            pytest.approx(before.since, abs=0.1),
            1,
        )
        assert (after.sent, after.priority) == (11, 5)
    assert one.accepted == 1
    history.check(one, two)


def test_what_was_sent_to_a_server_that_leaves_is_answered(serve):
    slow = serve(faults={"echo": Delay(0.3)})
    quick = serve()
    with Client(slow.address, **QUICK) as client:
        futures = [client.submit("echo", [i]) for i in range(20)]
        until(lambda: len(slow.requests) == 20)
        client.set_servers(quick.address)
        assert client.call("echo", [99]) == [99]
        assert [each.state for each in client.servers()] == ["up", "leaving"]
        assert [future.result(LIMIT) for future in futures] == [[i] for i in range(20)]
        until(lambda: addresses(client) == [quick.address])
        until(lambda: slow.connections == 0)
        assert client.stats().resent == client.stats().moved == 0


def test_leave_timeout_ends_what_is_never_answered(serve):
    mute, good = serve(faults={"echo": Drop()}), serve()
    with Client(mute.address, leave_timeout=0.3, **QUICK) as client:
        future = client.submit("echo", [1], timeout=60)
        again = client.submit("echo", [2], timeout=60, idempotent=True)
        until(lambda: len(mute.requests) == 2)
        began = time.monotonic()
        client.set_servers(good.address)
        with pytest.raises(ConnectionLost, match="left the list") as caught:
            future.result(LIMIT)
        assert time.monotonic() - began >= 0.3
        assert caught.value.server == mute.address
        assert caught.value.fate == "unknown"
        assert again.result(LIMIT) == [2]


def test_a_server_that_comes_back_while_leaving_keeps_its_connection(serve):
    slow, other = serve(faults={"echo": Delay(0.3)}), serve()
    with Client(slow.address, **QUICK) as client:
        future = client.submit("echo", [1])
        until(lambda: len(slow.requests) == 1)
        client.set_servers(other.address)
        until(lambda: "leaving" in {each.state for each in client.servers()})
        client.set_servers(slow.address)
        assert future.result(LIMIT) == [1]
        assert client.call("echo", [2]) == [2]
    assert slow.accepted == 1


def test_events_of_a_change(servers):
    one, two = servers(2)
    events = []
    with Client(servers_string(one), on_event=events.append, **QUICK) as client:
        wait_for_state(client, "up", 0)
        client.set_servers(servers_string(two))
        until(lambda: {"added", "gone"} <= {event.kind for event in events})
        told = [(event.kind, event.server) for event in events]
        for kind, server in ("added", two), ("leaving", one), ("gone", one):
            assert told.count((kind, server.address)) == 1
        assert told.index(("leaving", one.address)) < told.index(("gone", one.address))
        assert client.stats().events["added"] == 1


def test_an_error_names_a_server_that_is_gone(serve):
    mute, good = serve(faults={"echo": Drop()}), serve()
    with Client(mute.address, **QUICK) as client:
        future = client.submit("echo", [1], timeout=0.5)
        until(lambda: len(mute.requests) == 1)
        client.set_servers(good.address)
        with pytest.raises(jsonrpcc.RequestTimeout) as caught:
            future.result(LIMIT)
        assert caught.value.server == mute.address


def test_weights_share_the_calls(servers):
    one, two = servers(2)
    history = History()
    with Client(f"{one.address},1,3 {two.address},1,1", **QUICK) as client:
        wait_for_state(client, "up", 0, 1)
        for count in (4, 40, 400):
            counts = shares(client, history, count)
            assert counts == {one.address: count * 3 // 4, two.address: count // 4}
        assert [each.weight for each in client.servers()] == [3, 1]
        client.set_servers(f"{one.address},1,1 {two.address},1,9")
        until(lambda: [each.weight for each in client.servers()] == [1, 9])
        counts = shares(client, history, 100)
        assert counts == {one.address: 10, two.address: 90}
    history.check(one, two)


# ---- what is refused ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "error", "match"),
    [
        ("", ValueError, "a server is expected at offset 0"),
        ("a:1 b", ValueError, "':' and a port are expected at offset 5"),
        ("a:1 b:2 A:1", ValueError, "duplicate server at offset 8"),
        ("a:1\0", ValueError, "NUL at offset 3"),
        ("h\u00e4:1", ValueError, "must be ASCII"),
        ("a:1 b:1 c:1", ValueError, "3 of them are more than max_servers, 2"),
        (["a:1"], TypeError, "must be a str"),
    ],
)
def test_a_wrong_list_changes_nothing(server, wrong, error, match):
    with Client(server.address, max_servers=2) as client:
        assert client.call("echo", [1]) == [1]
        with pytest.raises(error, match=match):
            client.set_servers(wrong)
        assert client.call("echo", [2]) == [2]
        assert addresses(client) == [server.address]
        assert sum(client.stats().events[kind] for kind in ("added", "gone")) == 0
    assert server.accepted == 1


def test_a_closed_client_takes_no_other_list(server):
    client = Client(server.address)
    client.close()
    with pytest.raises(ClientClosed):
        client.set_servers("a:1")
    assert addresses(client) == [server.address]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("max_servers", 0), ("max_servers", 4097),
        ("leave_timeout", 0.09), ("leave_timeout", 3601),
    ],
)  # fmt: skip
def test_options_out_of_range(option, value):
    with pytest.raises(ValueError, match=option):
        Client("a:1", **{option: value})
    with pytest.raises(ValueError, match="2 of them are more than max_servers, 1"):
        Client("a:1 b:1", max_servers=1)


# ---- from anywhere -----------------------------------------------------------------


def test_from_callbacks_and_on_event(servers):
    one, two = servers(2)
    lists = [servers_string(one), servers_string(two), servers_string(one, two)]
    history = History()
    turns = 0

    def change(_=None):
        nonlocal turns
        turns += 1
        client.set_servers(lists[turns % 3])

    def on_event(event):
        if event.kind == "connected" and turns:
            change()

    with Client(lists[0], on_event=on_event, **QUICK) as client:
        for _ in range(200):
            history.request(client)
            client.request("now", None, change, change)
        history.wait()
        until(lambda: turns >= 200)
    assert history.errors() == []
    history.check(one, two)


def test_from_a_signal_handler(servers):
    one, two = servers(2)
    lists = [servers_string(one), servers_string(two), servers_string(one, two)]
    history = History()
    ticks = 0

    def tick(*_):
        nonlocal ticks
        ticks += 1
        client.set_servers(lists[ticks % 3])

    with Client(lists[0], **QUICK) as client:
        before = signal.signal(signal.SIGALRM, tick)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
            end = time.monotonic() + LIMIT
            while ticks < 200 and time.monotonic() < end:
                history.call(client)
                history.request(client)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        history.wait()
    assert ticks >= 200
    assert history.errors() == []
    history.check(one, two)


def test_an_async_client_has_it_too(servers):
    one, two = servers(2)

    async def main():
        async with AsyncClient(servers_string(one), **QUICK) as client:
            assert await client.call("echo", [1]) == [1]
            client.set_servers(servers_string(two))
            calls = [client.call("echo", [i]) for i in range(100)]
            assert await asyncio.gather(*calls) == [[i] for i in range(100)]
            assert addresses(client) == [two.address]
            with pytest.raises(ValueError, match="offset 0"):
                client.set_servers("?")

    asyncio.run(main())
    assert (len(one.requests), len(two.requests)) == (1, 100)


def test_threads_call_while_the_list_changes(servers):
    several = servers(5)
    history = History()
    stop = threading.Event()

    def call():
        while not stop.is_set():
            history.call(client)

    with Client(servers_string(*several), **QUICK) as client:
        threads = [threading.Thread(target=call) for _ in range(8)]
        for thread in threads:
            thread.start()
        for turn in range(100):
            first = turn % 5
            some = (several + several)[first : first + 1 + turn % 4]
            client.set_servers(servers_string(*some, priorities=[1 + turn % 2, 1]))
            stop.wait(0.02)
        stop.set()
        for thread in threads:
            thread.join()
    assert history.errors() == []
    history.check(*several)


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.skipif(
    not all(map(shutil.which, ("make", "cc"))), reason="make and a C compiler"
)
@pytest.mark.parametrize("sanitizer", ["", "thread"])
def test_a_minute_of_changes(sanitizer):
    """Eight threads call in C, and a list of 2 to 40 servers changes every 20 ms."""
    program = f"build/{sanitizer or 'plain'}/test_list_changes"
    make = [shutil.which("make"), "-s", program, f"SAN={sanitizer}"]
    subprocess.run(make, cwd=ROOT, check=True)
    output = subprocess.check_output([ROOT / program, "60"], cwd=ROOT, text=True)
    assert " 0 wrong" in output
    assert " 0 twice" in output


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(
    resource.getrlimit(resource.RLIMIT_NOFILE)[1] < MANY_FDS,
    reason=f"{MANY_FDS} descriptors are not allowed",
)
def test_thousands_of_servers():
    """All in one list; then half of them leave, and as many others come."""
    report = run_program("many_servers.py", MANY_FDS, limit=280).report()
    assert report["up"] == [4096, 4096]
    assert report["errors"] == []
    assert report["shares"] == [[2, 2], [2, 2]]  # of each server, at least and at most
