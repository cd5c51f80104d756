"""Which server a call goes to, and what becomes of it when that one fails."""

import threading
import time

import pytest
from children import ServerProcess
from history import History, servers_string, shares, until, wait_for_state
from time_limits import PATIENCE

from jsonrpcc import Client, ConnectionLost, RequestTimeout, ServerFailure
from jsonrpcc.testing import Close, NeverRead, Reset

QUICK = {"reconnect_delay": 0.05, "reconnect_delay_max": 0.1}

# Every test runs over TCP and over Unix sockets.  Only TCP has attempts that take
# time: a Unix socket's backlog that is full is a failure, see test_unix.py.


SUSPECT_AFTER = 5  # timeouts in a row


@pytest.fixture
def servers(any_servers):
    return any_servers


# ---- the choice -----------------------------------------------------------------


def test_equal_servers_take_turns(servers):
    three = servers(3)
    history = History()
    with Client(servers_string(*three)) as client:
        wait_for_state(client, "up", 0, 1, 2)
        # Not more at once: who is late to read a Unix socket gets fewer.
        for count in (1, 2, 3, *[100] * 10):
            counts = shares(client, history, count)
            hits = [counts[server.address] for server in three]
            assert max(hits) - min(hits) <= 1, (count, hits)
    history.check(*three)


def test_equal_servers_take_turns_among_threads(servers):
    three = servers(3)
    history = History()
    with Client(servers_string(*three)) as client:
        wait_for_state(client, "up", 0, 1, 2)
        threads = [
            threading.Thread(target=lambda: [history.call(client) for _ in range(100)])
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        hits = [server.sent for server in client.servers()]
    assert sum(hits) == 400
    assert max(hits) - min(hits) <= 1
    history.check(*three)


def test_nothing_goes_below_the_best_group(servers):
    better, worse = servers(2)
    history = History()
    with Client(servers_string(better, worse, priorities=(7, 3))) as client:
        wait_for_state(client, "up", 0, 1)
        assert shares(client, history, 200) == {better.address: 200}
    assert worse.requests == []
    history.check(better, worse)


def test_a_new_client_waits_for_its_first_choice(servers):
    """The worse server may be up first; the first calls go to the better one."""
    better, worse = servers(2)
    history = History()
    for _ in range(20):
        with Client(servers_string(worse, better, priorities=(1, 2))) as client:
            history.call(client)
    assert worse.requests == []
    history.check(worse, better)


# ---- failing over and coming back ------------------------------------------------


def lose_by_fin(server):
    server.refuse()
    server.drop_connections()


def lose_by_rst(server):
    server.refuse()
    server.drop_connections(reset=True)


def lose_by_death(server):
    server.stop()


def lose_to_a_blackhole(server):
    server.blackhole()
    server.drop_connections()


@pytest.mark.parametrize(
    "lose", [lose_by_fin, lose_by_rst, lose_by_death, lose_to_a_blackhole]
)
def test_fails_over_and_comes_back(servers, lose):
    better, worse = servers(2)
    events = []
    history = History()
    with Client(
        servers_string(better, worse, priorities=(2, 1)),
        connect_timeout=0.1, on_event=events.append, **QUICK,
    ) as client:  # fmt: skip
        wait_for_state(client, "up", 0, 1)
        history.call(client)
        lose(better)
        until(lambda: client.servers()[0].losses == 1)
        assert shares(client, history, 50) == {worse.address: 50}
        better.accept()
        wait_for_state(client, "proving", 0)
        history.call(client)  # it proves itself by one call
        assert shares(client, history, 50) == {better.address: 50}
        until(lambda: any(event.kind == "back" for event in events))
    kinds = [event.kind for event in events]
    assert kinds.index("lost") < kinds.index("failed_over") < kinds.index("back")
    assert not history.errors()
    history.check(better, worse)


def test_fails_over_when_killed_under_load(servers, socket_path):
    """SIGKILL in mid-call: what was sent fails, the rest goes elsewhere."""
    (backup,) = servers(1)
    history = History()
    with (
        ServerProcess(backup.path and socket_path()) as killed,
        Client(f"{killed.address},2 {backup.address},1", **QUICK) as client,
    ):
        wait_for_state(client, "up", 0, 1)
        for _ in range(1000):
            history.request(client)
        killed.kill()

        def went_elsewhere():
            """A few requests may still go to that server until the client notices."""
            history.request(client)
            return backup.requests

        until(went_elsewhere)
        history.wait()
        assert {type(error) for error in history.errors()} <= {ConnectionLost}
        until(lambda: not history.call(client).error)
        assert len(backup.requests) > 0
        # Of the killed one no witness is left, so check the outcomes only.
        assert all(len(entry.outcomes) == 1 for entry in history.entries)


def test_a_server_in_a_blackhole_delays_nobody(tcp_servers):
    """SYNs are not answered: the first calls go to the other group."""
    hole, healthy = tcp_servers(2)
    hole.blackhole()
    history = History()
    with Client(
        servers_string(hole, healthy, priorities=(2, 1)), connect_timeout=5
    ) as client:
        for _ in range(10):
            entry = history.call(client)
            assert entry.outcomes[0].time - entry.submitted < 0.4
        assert client.servers()[0].state == "connecting"
    history.check(hole, healthy)


def test_order_holds_when_the_wait_for_the_better_server_ends(tcp_servers):
    """New calls arrive while those that have waited from the start are sent."""
    hole, healthy = tcp_servers(2)
    hole.blackhole()
    with Client(
        servers_string(hole, healthy, priorities=(2, 1)), connect_timeout=5
    ) as client:
        end = time.monotonic() + 0.12
        count = 0
        while time.monotonic() < end:
            client.notification("echo", [count])
            count += 1
        assert client.drain(10)
        until(lambda: len(healthy.requests) == count)
    order = [each.params[0] for each in healthy.requests]
    assert order == sorted(order)


# ---- the three ways when no server is up -----------------------------------------


def test_fails_at_once_when_all_are_known_to_be_down(servers):
    two = servers(2)
    for server in two:
        server.stop()
    with Client(servers_string(*two), reconnect_delay=5) as client:
        until(lambda: all(s.attempts_failed for s in client.servers()))
        wait_for_state(client, "down", 0, 1)
        began = time.monotonic()
        with pytest.raises(
            ServerFailure, match="failure: no server can be reached"
        ) as failed:
            client.call("echo", [1])
        assert time.monotonic() - began < 0.2
        assert failed.value.fate == "not_sent"
        assert not isinstance(failed.value, ConnectionLost)


def test_waits_while_the_first_attempt_is_under_way(tcp_servers):
    (hole,) = tcp_servers(1)
    hole.blackhole()
    with Client(hole.address, connect_timeout=0.3) as client:
        began = time.monotonic()
        with pytest.raises(ServerFailure, match="connect timeout") as failed:
            client.call("echo", [1])
        assert 0.25 < time.monotonic() - began < 0.8
        assert failed.value.fate == "not_sent"


def test_wait_for_ready_waits_for_a_server(servers):
    (server,) = servers(1)
    server.stop()
    history = History()
    with Client(server.address, **QUICK) as client:
        until(lambda: client.servers()[0].attempts_failed)
        for _ in range(10):
            history.request(client, wait_for_ready=True)
        with pytest.raises(ServerFailure):
            client.call("echo", [-1])
        server.start()
        history.wait()
    assert not history.errors()
    history.check(server)


def test_wait_for_ready_ends_at_its_deadline(servers):
    (server,) = servers(1)
    server.stop()
    history = History()
    with Client(server.address, **QUICK) as client:
        until(lambda: client.servers()[0].attempts_failed)
        entry = history.call(client, wait_for_ready=True, timeout=0.2)
        assert isinstance(entry.error, RequestTimeout)
        assert entry.error.fate == "not_sent"
    history.check(server)


# ---- what becomes of a call when its connection breaks ---------------------------


@pytest.mark.parametrize("fault", [Close(0), Reset(0), Close(), Reset()])
def test_a_sent_call_fails_at_once_and_is_not_sent_again(servers, fault):
    broken, healthy = servers(2)
    broken.misbehave(fault)
    history = History()
    with Client(
        servers_string(broken, healthy, priorities=(2, 1)), reconnect_delay=5
    ) as client:
        wait_for_state(client, "up", 0, 1)
        entry = history.call(client)
        assert type(entry.error) is ConnectionLost
        assert entry.error.fate == "unknown"
        assert entry.error.server == broken.address
        assert entry.outcomes[0].time - entry.submitted < 0.5
        assert history.call(client).outcomes[0].result
    assert len(healthy.requests) == 1
    history.check(broken, healthy)


@pytest.mark.parametrize("fault", [Close(0), Reset()])
def test_an_idempotent_call_is_sent_again(servers, fault):
    broken, healthy = servers(2)
    broken.misbehave(fault)
    history = History()
    with Client(
        servers_string(broken, healthy, priorities=(2, 1)), reconnect_delay=5
    ) as client:
        wait_for_state(client, "up", 0, 1)
        assert not history.call(client, idempotent=True).error
        assert client.stats().resent == 1
    history.check(broken, healthy)


def test_an_idempotent_call_is_sent_three_times_at_most(servers):
    """A request that kills servers must not kill them all."""
    five = servers(5, fault=Close(0))
    history = History()
    with Client(servers_string(*five), reconnect_delay=5) as client:
        wait_for_state(client, "up", *range(5))
        entry = history.call(client, idempotent=True)
        assert isinstance(entry.error, ConnectionLost)
    assert sum(len(server.requests) for server in five) == 3
    history.check(*five)


BALLAST = ["x" * 1_000_000]


def test_a_frame_partly_written_was_not_sent_and_moves(servers):
    """The last byte is the commit point."""
    stuck, healthy = servers(2)
    stuck.misbehave(NeverRead())
    history = History()
    with Client(
        servers_string(stuck, healthy, priorities=(2, 1)), reconnect_delay=5
    ) as client:
        wait_for_state(client, "up", 0, 1)
        entry, _ = history.request(client, pad=BALLAST * 12, timeout=20)
        until(lambda: client.servers()[0].bytes_sent > 0)
        assert client.servers()[0].sent == 0
        stuck.refuse()
        stuck.drop_connections(reset=True)
        history.wait()
        assert entry.error is None
        assert client.stats().moved == 1
    history.check(stuck, healthy)


def test_a_frame_partly_written_with_nowhere_to_go_says_not_sent(servers):
    (stuck,) = servers(1)
    stuck.misbehave(NeverRead())
    history = History()
    with Client(stuck.address, reconnect_delay=5) as client:
        wait_for_state(client, "up")
        entry, _ = history.request(client, pad=BALLAST * 12, timeout=20)
        until(lambda: client.servers()[0].bytes_sent > 0)
        stuck.refuse()
        stuck.drop_connections(reset=True)
        history.wait()
        assert type(entry.error) is ServerFailure
        assert entry.error.fate == "not_sent"
    history.check(stuck)


# ---- servers that are there and of no use ----------------------------------------


def test_a_server_that_never_reads_holds_up_nobody(servers):
    """Calls that cannot be written go to a server that accepts them."""
    stuck, healthy = servers(2)
    stuck.misbehave(NeverRead())
    history = History()
    with Client(servers_string(stuck, healthy), **QUICK) as client:
        wait_for_state(client, "up", 0, 1)
        for _ in range(60):
            history.request(client, pad=["x" * 200_000], timeout=1.5 * PATIENCE)
        # Half of them, or less while the healthy one has to catch up as well.
        until(lambda: len(healthy.requests) >= 20)

        def answered():
            return [e for e in history.entries if e.outcomes and not e.error]

        # The healthy server's calls do not wait for the stuck one's deadline.
        until(answered)
        done = answered()
        waited = max(e.outcomes[0].time - e.submitted for e in done)
        assert waited < 1.2 * PATIENCE
        history.wait()
        # A suspect's trial call ends with its connection: the stuck one may have some.
        kinds = {RequestTimeout, ConnectionLost}
        assert {type(error) for error in history.errors()} <= kinds
        # It is passed over, so few calls may have reached it: a Unix socket takes less.
        until(
            lambda: (
                client.servers()[0].state == "suspect"
                or client.servers()[0].timeouts < SUSPECT_AFTER
            )
        )
        # It may be the next trial, and is sent again then.
        assert not history.call(client, idempotent=True).error
    history.check(stuck, healthy)
