"""jsonrpcc.prometheus: what is exposed, compared with what the servers counted."""

import dataclasses
import gc
import itertools
import math
import re
import subprocess
import weakref

import peers
import pytest
from exposition import Shown
from helpers import LIMIT, until
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families

from jsonrpcc import (
    AsyncClient,
    Client,
    JsonRpcError,
    Latency,
    MethodStats,
    ServerInfo,
    Stats,
    TlsFiles,
    TlsInfo,
)
from jsonrpcc._metrics import BOUNDS, DURATION, METRICS, Numbers
from jsonrpcc.prometheus import Collector, Publisher
from jsonrpcc.testing import Close, Delay, Drop, Payload


@pytest.fixture
def registry():
    return CollectorRegistry(auto_describe=True)


def samples(registry):
    """Each sample's value, of a text that both of the formats' parsers take."""
    text = openmetrics.generate_latest(registry).decode()
    assert list(openmetrics_parser.text_string_to_metric_families(text))
    found = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        assert family.documentation
        for sample in family.samples:
            key = sample.name, tuple(sorted(sample.labels.items()))
            assert key not in found
            found[key] = sample.value
    return found


# ---- what is exposed ---------------------------------------------------------------


def test_numbers_are_those_that_the_server_counted(serve, client_for, registry):
    server = serve(
        faults={
            "slow": Delay(0.1),
            "never": Drop(),
            "broken": Payload('{"id":$id}'),
            "lost": Close(0),
        }
    )
    client = client_for(server, name="users", timeout=5)
    Collector(client, registry=registry)
    for _ in range(7):
        client.call("echo")
    with pytest.raises(JsonRpcError):
        client.call("never", timeout=0.1)
    for method in ("fail", "fail", "slow", "broken", "lost"):
        with pytest.raises(JsonRpcError):
            client.call(method)
    client.notification("note", wait_for_ready=True)
    until(lambda: [r for r in server.requests if r.method == "note"])
    until(lambda: client.stats().in_flight == 0)
    here = {"server": server.address}
    found = samples(registry)
    shown = Shown("users", registry)
    asked = [request.method for request in server.requests]

    outcomes = {
        dict(labels)["outcome"]: value
        for (name, labels), value in found.items()
        if name == "jsonrpcc_calls_total"
    }
    assert outcomes == {
        "ok": asked.count("echo") + asked.count("note"),
        "remote_errors": asked.count("fail") + asked.count("slow"),
        "timeouts": asked.count("never"),
        "failures": 0,
        "connections_lost": asked.count("lost"),
        "invalid_responses": asked.count("broken"),
        "cancelled": 0,
        "closed": 0,
        "out_of_memory": 0,
    }
    assert shown("jsonrpcc_attempts_total", **here) == len(asked)
    sent = shown("jsonrpcc_server_sent_bytes_total", **here)
    assert sent > sum(len(request.raw) for request in server.requests)
    assert shown("jsonrpcc_server_connects_total", **here) == server.accepted
    assert shown("jsonrpcc_server_timeouts_total", **here) == 1
    assert shown("jsonrpcc_server_losses_total", **here) == 1
    assert shown("jsonrpcc_events_total", kind="lost") == 1
    assert shown("jsonrpcc_events_total", kind="connected") == server.accepted
    assert shown("jsonrpcc_events_total", kind="failed_over") == 0
    assert shown("jsonrpcc_server_up", **here) == 1
    assert shown("jsonrpcc_server_priority", **here) == 1
    assert shown("jsonrpcc_clients") == 1

    answers = 7 + 2 + 1 + 1  # the invalid one, too
    assert shown("jsonrpcc_call_duration_seconds_count") == answers
    assert 0.1 <= shown("jsonrpcc_call_duration_seconds_sum") < 5
    seconds = {
        float(dict(labels)["le"]): value
        for (name, labels), value in found.items()
        if name == "jsonrpcc_call_duration_seconds_bucket"
    }
    assert seconds[math.inf] == answers
    slower_than = max(bound for bound in seconds if bound < 0.1)
    assert seconds[slower_than] <= answers - 1
    assert all(a <= b for a, b in itertools.pairwise(seconds.values()))
    version = registry.get_sample_value("jsonrpcc_build_info", {"version": "0.1.0"})
    assert version == 1


def test_prometheus_own_linter_is_content(serve, client_for, registry):
    """Names, units and help texts are right."""
    promtool = peers.program("promtool")
    client = client_for(serve(), name="users")
    Collector(client, registry=registry)
    client.call("echo")
    linted = subprocess.run(
        [promtool, "check", "metrics"],
        input=generate_latest(registry), capture_output=True, check=False,
    )  # fmt: skip
    assert (linted.returncode, linted.stdout, linted.stderr) == (0, b"", b"")


LEFT_OUT = {
    *("weight", "srv_priority", "entry"),  # what the list says
    "connections",  # an option
    *("requests", "notifications"),  # what the outcomes and in_flight add up to
    *("turns", "wakeups", "latency", "events", "tls"),  # how it works; and below
    *("host", "port", "state", "since", "last_error"),  # labels, and words
    *("awaits_hello", "spare"),  # of the state
}


def test_every_number_is_in_a_metric_of_its_own():
    """Each field has a number of its own: none is missing or swapped."""
    number = itertools.count(1000)
    stats = {field.name: next(number) for field in dataclasses.fields(Stats)}
    server = {field.name: next(number) for field in dataclasses.fields(ServerInfo)}
    fields = [*stats.items(), *server.items()]
    wanted = [value for name, value in fields if name not in LEFT_OUT]
    stats["tls"] = TlsFiles(next(number), next(number), next(number), "")
    server["tls"] = TlsInfo("", "", expires=next(number), resumed=False)
    wanted += [*dataclasses.astuple(stats["tls"])[:3], server["tls"].expires]
    latency = Latency(tuple(range(128)), 7.5)
    server = ServerInfo(**server | {"host": "a", "state": "up"})
    numbers = Numbers()
    stats |= {"latency": latency, "events": {"lost": 3, "back": 2}}
    method = MethodStats(60, 10, 9, 8, Latency(tuple(range(128)), 8.5))
    numbers.add("c", Stats(**stats), [server], {"m": method}, is_gone=False)
    more = [3, 2, 1, 0, 1, 10, 9, 8, 33]  # events, clients, up, wanted, of the method
    assert sorted(numbers.values.values()) == sorted([*wanted, *more])
    durations = {
        labels: (sum(counts), seconds)
        for (_, labels), (counts, seconds) in numbers.durations.items()
    }
    answers = sum(range(128))
    assert durations == {("c",): (answers, 7.5), ("c", "m"): (answers, 8.5)}
    names = {metric.name for metric, _ in numbers.values}
    assert names == {metric.name for metric in METRICS}
    assert all(re.fullmatch(r"jsonrpcc(_[a-z]+)+(?<!_total)", name) for name in names)


def test_buckets_are_those_of_the_client():
    """A count is in the first bucket whose bound is not below its own."""
    bounds = Latency.bounds()
    for i, bound in enumerate(bounds):
        counts = [0] * 128
        counts[i] = 1
        numbers = Numbers()
        stats = dict.fromkeys(Stats.__dataclass_fields__, 0)
        stats |= {"latency": Latency(tuple(counts), 0), "events": {}, "tls": None}
        numbers.add("", Stats(**stats), [], {}, is_gone=False)
        found = numbers.durations[DURATION, ("",)][0].index(1)
        assert bound <= BOUNDS[found]
        assert found == 0 or bound > BOUNDS[found - 1]


# ---- several clients, and their ends -----------------------------------------------


def test_clients_of_a_registry_share_its_families(serve, client_for, registry):
    server = serve()
    for name, calls in [("a", 1), ("b", 2), ("a", 4), (None, 8)]:
        client = client_for(server, name=name)
        Collector(client, registry=registry)
        for _ in range(calls):
            client.call("echo")
    text = generate_latest(registry).decode()
    helps = re.findall(r"^# HELP (\S+)", text, re.MULTILINE)
    assert len(helps) == len(set(helps))
    samples(registry)
    for name, calls in [("a", 5), ("b", 2), ("", 8)]:
        shown = Shown(name, registry)
        assert shown("jsonrpcc_calls_total", outcome="ok") == calls
        assert shown("jsonrpcc_call_duration_seconds_count") == calls
    assert Shown("a", registry)("jsonrpcc_clients") == 2
    assert Shown("a", registry)("jsonrpcc_server_up", server=server.address) == 2


def test_a_client_may_be_in_several_registries(serve, client_for, registry):
    client = client_for(serve(), name="a")
    other = CollectorRegistry()
    shown = [Collector(client, registry=each) for each in (registry, other)]
    shown[0].close()
    shown[0].close()
    assert Shown("a", registry)("jsonrpcc_clients") is None
    assert Shown("a", other)("jsonrpcc_clients") == 1


def test_a_closed_client_keeps_its_counters(serve, client_for, registry):
    server = serve()
    client = client_for(server, name="a")
    Collector(client, registry=registry)
    client.call("echo")
    client.close()
    shown = Shown("a", registry)
    assert shown("jsonrpcc_calls_total", outcome="ok") == 1
    assert shown("jsonrpcc_clients") == 0
    assert shown("jsonrpcc_server_up", server=server.address) == 0


def test_a_forgotten_client_is_not_shown_and_not_kept(serve, client_for, registry):
    server = serve()
    Collector(client_for(server, name="keep"), registry=registry)

    def use():
        with Client(server.address, name="gone") as client:
            client.call("echo")
            Collector(client, registry=registry)
            assert Shown("gone", registry)("jsonrpcc_clients") == 1
            return weakref.ref(client)

    gone = use()
    gc.collect()
    assert gone() is None
    found = samples(registry)
    assert {dict(labels).get("client") for _, labels in found} == {"keep", None}


def test_a_server_that_is_down_is_not_up(serve, client_for, registry):
    server, stopped = serve(), serve()
    stopped.stop()
    client = client_for(f"{server.address},2 {stopped.address},1", name="a")
    Collector(client, registry=registry)
    until(lambda: [each.state for each in client.servers()] == ["up", "down"])
    shown = Shown("a", registry)
    assert shown("jsonrpcc_server_up", server=server.address) == 1
    assert shown("jsonrpcc_server_up", server=stopped.address) == 0
    assert shown("jsonrpcc_server_priority", server=server.address) == 2


def test_spares_are_not_wanted(serve, client_for, registry):
    addresses = [serve().address for _ in range(3)]
    clients = [client_for(" ".join(addresses), name="a", subset=1) for _ in range(6)]
    for client in clients:
        Collector(client, registry=registry)
        assert client.wait_ready(LIMIT)
    shown = Shown("a", registry)
    used = [shown("jsonrpcc_server_up", server=each) for each in addresses]
    assert sum(used) == 6
    wanted = [shown("jsonrpcc_server_wanted", server=each) for each in addresses]
    assert wanted == used
    clients[0].close()
    assert sum(shown("jsonrpcc_server_wanted", server=each) for each in addresses) == 5


def test_an_async_client_is_shown(serve, registry, run):
    server = serve()

    async def main():
        async with AsyncClient(server.address, name="a") as client:
            Collector(client, registry=registry)
            await client.call("echo")
            return Shown("a", registry)("jsonrpcc_calls_total", outcome="ok")

    assert run(main()) == 1


@pytest.mark.parametrize("cls", [Collector, Publisher])
@pytest.mark.parametrize("client", [None, "localhost:9999", object()])
def test_only_a_client_is_shown(cls, client):
    with pytest.raises(TypeError, match=r"Client or AsyncClient"):
        cls(client)
