"""jsonrpcc.prometheus.Publisher, without other processes."""

import collections
import contextlib
import gc
import itertools
import weakref
from dataclasses import replace
from random import Random

import pytest
from exposition import Shown
from helpers import LIMIT, QUICK, until
from prometheus_client import REGISTRY

from jsonrpcc import (
    Client,
    JsonRpcError,
)
from jsonrpcc.prometheus import Publisher, _metrics
from jsonrpcc.testing import Delay

_names = itertools.count()


@pytest.fixture
def name():
    """Use a name that no other test has: all tests share the default registry."""
    return f"publisher {next(_names)}"


def test_each_call_is_published_once(serve, client_for, name):
    server = serve(faults={"slow": Delay(0.1)})
    client = client_for(server, name=name)
    publisher = Publisher(client, every=3600)
    shown = Shown(name, REGISTRY)
    total = 0
    for calls in (3, 0, 5):
        for _ in range(calls):
            client.call("echo")
        publisher.publish()
        total += calls
        assert shown("jsonrpcc_calls_total", outcome="ok") == total
        assert shown("jsonrpcc_call_duration_seconds_count") == total
    with pytest.raises(JsonRpcError):
        client.call("slow")
    publisher.publish()
    assert shown("jsonrpcc_calls_total", outcome="remote_errors") == 1
    assert 0.1 <= shown("jsonrpcc_call_duration_seconds_sum") < 5
    faster = shown("jsonrpcc_call_duration_seconds_bucket", le="0.065536")
    assert faster <= total
    asked = shown("jsonrpcc_attempts_total", server=server.address)
    assert asked == len(server.requests)


def test_it_publishes_every_so_often_and_at_its_end(serve, client_for, name):
    server = serve()
    client = client_for(server, name=name)
    publisher = Publisher(client, every=0.01)
    client.call("echo")
    shown = Shown(name, REGISTRY)
    until(lambda: shown("jsonrpcc_calls_total", outcome="ok") == 1)
    here = {"server": server.address}
    until(lambda: shown("jsonrpcc_server_up", **here) == 1)
    client.call("echo")
    publisher.close()
    assert shown("jsonrpcc_calls_total", outcome="ok") == 2
    assert shown("jsonrpcc_server_up", **here) == 0
    assert shown("jsonrpcc_clients") == 0
    client.call("echo")
    publisher.publish()
    publisher.close()
    assert shown("jsonrpcc_calls_total", outcome="ok") == 2


def test_servers_that_leave_the_list_and_come_back(serve, client_for, name):
    """Gauges and counters are those of the servers, whatever the list was meanwhile."""
    servers = [serve() for _ in range(4)]
    client = client_for(servers[0].address, name=name, **QUICK)
    publisher = Publisher(client, every=3600)
    shown = Shown(name, REGISTRY)
    random = Random(5)
    seen = set()
    for _ in range(15):
        listed = random.sample(servers, random.randint(1, 4))
        client.set_servers(" ".join(server.address for server in listed))
        assert client.wait_ready(LIMIT, all=True)
        for _ in range(8):
            client.call("echo")
        publisher.publish()
        seen.update(listed)
        for server in seen:
            for metric in ("up", "wanted", "connections"):
                value = shown(f"jsonrpcc_server_{metric}", server=server.address)
                assert value == (server in listed), metric
            attempts = shown("jsonrpcc_attempts_total", server=server.address)
            assert attempts == len(server.requests)


def test_a_server_that_left_between_two_looks_is_counted(serve, client_for, name):
    """Its last calls are those that the Publisher has not seen yet."""
    staying, leaving = serve(), serve()
    client = client_for(f"{leaving.address},2 {staying.address}", name=name, **QUICK)
    assert client.wait_ready(LIMIT, all=True)
    publisher = Publisher(client, every=3600)
    for _ in range(5):
        client.call("echo")
    client.set_servers(staying.address)
    until(lambda: len(client.servers()) == 1)
    publisher.publish()
    shown = Shown(name, REGISTRY)
    here = {"server": leaving.address}
    assert shown("jsonrpcc_attempts_total", **here) == len(leaving.requests) == 5
    for metric in ("up", "wanted", "connections", "in_flight"):
        assert shown(f"jsonrpcc_server_{metric}", **here) == 0, metric


class Slots:
    """What the core counts for servers, of which more come and go than have room."""

    def __init__(self, server, random):
        self.random = random
        self.address = f"somewhere-{next(_names)}"
        self.new = replace(server, host=self.address, state="gone", sent=0, connects=0)
        self.slots = [self.new] * 3
        self.sent = collections.Counter()

    def change(self):
        """Give a slot to a server that has none, and others more to do."""
        random, slots = self.random, self.slots
        ports = set(range(1, 6)) - {each.port for each in slots}
        slots[random.randrange(3)] = replace(self.new, port=random.choice([*ports]))
        for at, each in enumerate(slots):
            calls = random.choice([0, 1, 1000])
            slots[at] = replace(each, sent=each.sent + calls)
            self.sent[f"{self.address}:{each.port}"] += calls

    def read(self, *_, **__):
        return list(enumerate(self.slots))


def test_what_a_server_counted_before_it_was_forgotten(
    serve, client_for, name, monkeypatch
):
    """
    It begins at 0 when it comes back, and soon has counted more than before.

    A slot changes once between two looks: a server keeps it for a minute.
    """
    client = client_for(serve(), name=name)
    publisher = Publisher(client, every=3600)
    shown = Shown(name, REGISTRY)
    slots = Slots(client.servers()[0], Random(9))
    monkeypatch.setattr("jsonrpcc.prometheus.read_slots", slots.read)
    for _ in range(100):
        slots.change()
        publisher.publish()
        for address, sent in slots.sent.items():
            assert shown("jsonrpcc_attempts_total", server=address) == sent


def test_what_could_not_be_published_is_published_once(
    serve, client_for, name, monkeypatch
):
    """However far it came before the disk was full."""
    client = client_for(serve(), name=name)
    publisher = Publisher(client, every=3600)
    shown = Shown(name, REGISTRY)
    child, left = _metrics.child, 0

    def full(*args):
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(28, "No space left on device")
        return child(*args)

    monkeypatch.setattr(_metrics, "child", full)
    for calls in itertools.count(1):
        client.call("echo")
        left = calls
        with contextlib.suppress(OSError):
            publisher.publish()
        if left > 0:
            break
    left = 1000
    publisher.publish()
    assert calls > 10
    assert shown("jsonrpcc_calls_total", outcome="ok") == calls
    assert shown("jsonrpcc_call_duration_seconds_count") == calls
    assert shown("jsonrpcc_method_calls_total", method="echo", outcome="ok") == calls


def test_what_a_forgotten_client_did_is_published(serve, name):
    """It is closed and forgotten long before the next time; it is not kept."""
    server = serve()
    shown = Shown(name, REGISTRY)

    def use():
        with Client(server.address, name=name) as client:
            Publisher(client, every=0.2)
            for _ in range(3):
                client.call("echo")
            return weakref.ref(client)

    gone = use()
    until(lambda: gc.collect() >= 0 and gone() is None)  # it may be being read
    until(lambda: shown("jsonrpcc_calls_total", outcome="ok") == 3)
    until(lambda: shown("jsonrpcc_clients") == 0)


def test_publishers_of_one_name_add_up(serve, client_for, name):
    server = serve()
    clients = [client_for(server, name=name) for _ in range(2)]
    publishers = [Publisher(client, every=3600) for client in clients]
    for client, publisher in zip(clients, publishers, strict=True):
        client.call("echo")
        publisher.publish()
    shown = Shown(name, REGISTRY)
    assert shown("jsonrpcc_calls_total", outcome="ok") == 2
    assert shown("jsonrpcc_clients") == 2
    publishers[0].close()
    assert shown("jsonrpcc_clients") == 1


def test_a_failure_to_publish_is_logged_and_made_good(
    serve, client_for, name, monkeypatch, caplog
):
    client = client_for(serve(), name=name)
    publisher = Publisher(client, every=0.01)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("jsonrpcc.prometheus._metrics.child", full)
        until(lambda: "metrics could not be published" in caplog.text)
        with pytest.raises(OSError, match="No space"):
            publisher.publish()
    client.call("echo")
    shown = Shown(name, REGISTRY)
    until(lambda: shown("jsonrpcc_calls_total", outcome="ok") == 1)


@pytest.mark.parametrize(
    ("every", "error"), [(0, ValueError), (-1, ValueError), ("5", TypeError)]
)
def test_every_is_a_positive_time(serve, client_for, every, error):
    with pytest.raises(error, match="every"):
        Publisher(client_for(serve()), every=every)
