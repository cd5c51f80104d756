"""
Names that stand for servers: every address, changes, outages, lies.

Where a name server is needed, a program runs in namespaces of its own, with one of
ours or a real one at port 53; the other tests decide what the resolver says.
"""

import functools
import os
import re

import kernel
import pytest
from children import run_program
from forked import check_in_child
from helpers import QUICK, until
from history import History, wait_for_state
from peers import program
from time_limits import PATIENCE

from jsonrpcc import AsyncClient, Client, ServerFailure


@functools.cache
def why_no_mounts():
    """Why a namespace of ours cannot have an /etc/resolv.conf; "" if it can."""
    code, text = kernel.run(*in_namespaces("mount", "-t", "tmpfs", "none", "/mnt"))
    return kernel.why_no_namespace() or ("" if code == 0 else f"no mounts here: {text}")


def in_namespaces(*command):
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    return ["unshare", *user, "--net", "--mount", "--", *command]


def discover(scenario, limit=60 * PATIENCE, program="discovering.py"):
    if why_no_mounts():
        pytest.skip(why_no_mounts())
    return run_program(program, scenario, limit=limit, before=in_namespaces()).report()


discover_services = functools.partial(discover, program="discovering_services.py")
discover_by_daemons = functools.partial(discover, program="discovering_by_daemons.py")


# ---- with what every machine has ---------------------------------------------------


def test_a_server_that_is_found_by_name(server, run):
    text = f"dns:localhost:{server.port}"
    events = []
    history = History()
    with Client(f"{text},7", on_event=events.append) as client:
        assert not history.call(client).error
        until(lambda: any(s.state == "up" for s in client.servers()))
        info = next(s for s in client.servers() if s.state == "up")
        assert info.address == f"localhost/127.0.0.1:{server.port}"
        assert (info.host, info.port) == ("localhost/127.0.0.1", server.port)
        assert (info.entry, info.priority, info.srv_priority) == (text, 7, 0)
        [entry] = client.entries()
        assert (entry.text, entry.priority) == (text, 7)
        assert entry.servers == len(client.servers())
        assert entry.asked <= entry.found
        assert (entry.last_error, entry.lookups, entry.lookups_failed) == (None, 1, 0)
        stats = client.stats()
        assert (stats.lookups, stats.lookups_failed, stats.list_changes) == (1, 0, 1)
    assert [e.server for e in events if e.kind == "resolved"] == [text]
    assert events[0].reason == f"{entry.servers} added, 0 gone"
    history.check(server)

    async def main():
        async with AsyncClient(text) as client:
            assert await client.call("echo", [1]) == [1]
            return client.entries()

    assert run(main())[0].text == text


@pytest.mark.parametrize("style", ["call", "wait_for_ready"])
def test_a_name_that_does_not_exist(style):
    with Client("dns:nix.invalid:1 dns:nox.invalid:2") as client:
        with pytest.raises(ServerFailure) as failed:
            client.call("echo", [1])
        assert failed.value.fate == "not_sent"
        for each in ("nix.invalid:1", "nox.invalid:2"):
            assert f"dns:{each} name resolution: " in str(failed.value)
        assert [entry.servers for entry in client.entries()] == [0, 0]
        assert all("name resolution" in entry.last_error for entry in client.entries())
        if style == "wait_for_ready":
            with pytest.raises(Exception, match="timeout"):
                client.call("echo", [1], wait_for_ready=True, timeout=0.2)


def test_names_beside_servers(server):
    """An unknown name does not affect the others."""
    history = History()
    with Client(f"{server.address},1 dns:nix.invalid:1,2") as client:
        for _ in range(10):
            assert not history.call(client).error
        assert [s.entry for s in client.servers()] == [None]
    history.check(server)


def test_a_server_and_a_name_for_it_are_one(server):
    history = History()
    with Client(f"127.0.0.1:{server.port},1 dns4:localhost:{server.port},2") as client:
        until(lambda: client.entries()[0].lookups)
        wait_for_state(client, "up")
        [info] = client.servers()
        assert info.priority == 2  # the better place of the two
        for _ in range(10):
            assert not history.call(client).error
        server.wait_for_connections(1)
    history.check(server)


def test_set_servers_with_names(server):
    """A list with other names ends no call, and names may come and go."""
    history = History()
    with Client(server.address) as client:
        for text in (
            f"dns4:localhost:{server.port}", server.address,
            f"dns:localhost:{server.port} dns:nix.invalid:1", server.address,
        ):  # fmt: skip
            client.set_servers(text)
            assert not history.call(client, wait_for_ready=True).error
        assert client.entries() == []
        with pytest.raises(ValueError, match="duplicate server"):
            client.set_servers("dns:a:1 dns:A:1")
    history.check(server)


def test_a_forked_child_looks_names_up_again(server):
    """A child does not use what its parent has found."""
    with Client(f"dns:localhost:{server.port}") as client:
        assert client.call("echo", [1]) == [1]

        def check():
            assert client.call("echo", [2]) == [2]
            assert client.stats().lookups == 1

        check_in_child(check)
        assert client.call("echo", [3]) == [3]
        assert client.stats().lookups == 1


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"dns_refresh": 0.5}, "dns_refresh must be from 1 to 86400, not 0.5"),
        ({"dns_refresh": 86401}, "dns_refresh must be from 1 to 86400, not 86401"),
        ({"dns_min": 0.9}, "dns_min must be from 1 to 86400, not 0.9"),
        ({"dns_min": 5, "dns_refresh": 4}, "dns_refresh must not be below dns_min"),
        ({"min_srv_ttl": 0.5}, "min_srv_ttl must be from 1 to 86400, not 0.5"),
    ],
)
def test_wrong_options(options, fault):
    with pytest.raises(ValueError, match=f"^{re.escape(fault)}$"):
        Client("dns:a:1", **options)


def test_closing_while_names_are_looked_up():
    for _ in range(20):
        client = Client("dns:nix.invalid:1 dns:localhost:1", **QUICK)
        client.close()


# ---- with a name server of ours ----------------------------------------------------


def test_every_address_gets_its_share():
    """F4: all calls of a name with three addresses went to one of them."""
    report = discover("every_address")
    assert report["servers"] == 3
    assert sorted(report["shares"].values()) == [100, 100, 100]


def test_addresses_come_and_go():
    """F5: a name that changed was never noticed."""
    report = discover("a_change")
    assert report["errors"] == []
    assert report["losses"] == 0
    assert report["took"] < 1 + 2 + 1  # dns_refresh + 2 s, on a busy machine
    assert sorted(report["shares"].values()) == [100, 100, 100]
    assert report["left"] == 0
    assert report["calls"] > 1000


def test_a_lost_server_is_looked_up_at_once():
    report = discover("a_lost_server_is_looked_up_at_once")
    assert report["error"] == "None"
    assert report["took"] < 2


def test_no_outage_of_dns_removes_a_server():
    report = discover("outages", limit=100 * PATIENCE)
    assert len(report["failed"]) == 8
    assert report["lost"] == 0
    assert report["errors"] == []


def test_the_third_denial_in_a_row_removes_servers():
    report = discover("no_such_name")
    assert report["lookups"] >= 3
    assert "dns:backend.test:9999 name resolution" in report["error"]
    name = "dns:backend.test:9999"
    address = "backend.test/127.0.1.1:9999"
    events = [e for e in report["events"] if e[0] not in {"all_down", "available"}]
    assert events == [
        ["resolved", name], ["added", address], ["connected", address],
        ["resolve_failed", name],
        ["resolved", name], ["leaving", address], ["gone", address],
        ["resolved", name], ["added", address], ["connected", address],
    ]  # fmt: skip


def test_a_name_that_comes_into_being():
    report = discover("a_name_that_does_not_exist_yet")
    assert report["error"].startswith("not_sent failure: no server can be reached")
    assert report["waited"] == "None"


def test_families_of_addresses():
    v4, v6 = "both.test/127.0.0.1:9999", "both.test/[::1]:9999"
    assert discover("families") == {"dns": [v4, v6], "dns4": [v4], "dns6": [v6]}


def test_five_hundred_addresses():
    """Over TCP, since UDP does not hold them; and cut to max_servers."""
    report = discover("five_hundred")
    assert report["same"]
    assert report["plain"]
    assert report["cut"] == ["481 servers left out"]
    assert report["servers"] == 500


def test_search_domains():
    assert discover("search_domains") == {"result": [1]}


# ---- SRV ---------------------------------------------------------------------------


def test_services():
    """Ports, priorities and weights are those of the records; F6."""
    report = discover_services("services")
    shares = [report["shares"][f"h900{n}.test:900{n}"] for n in (1, 2, 3)]
    assert abs(shares[0] - 300) <= 1  # weights 3 and 1
    assert shares == [shares[0], 400 - shares[0], 0]
    assert report["seen"] == {
        "h9001.test:9001": [5, 10], "h9002.test:9002": [5, 10],
        "h9003.test:9003": [5, 20],
    }  # fmt: skip
    assert (report["ttl"], report["text"]) == (77, "srv:_rpc._tcp.d.test")
    head, *rows = report["table"]
    titles = "SERVER PRIORITY SRV PRIORITY WEIGHT STATE ENTRY LAST ERROR"
    assert " ".join(head) == titles
    assert sorted(rows) == [
        ["h9001.test:9001", "5", "10", "3", "up", "srv:_rpc._tcp.d.test"],
        ["h9002.test:9002", "5", "10", "1", "up", "srv:_rpc._tcp.d.test"],
        ["h9003.test:9003", "5", "20", "1", "up", "srv:_rpc._tcp.d.test"],
    ]


def test_the_order_of_both_priorities():
    report = discover_services("both_priorities")
    assert report["order"] == [[f"h900{n}.test:900{n}"] for n in (1, 2, 3)]


def test_a_service_that_is_deliberately_not_there():
    assert discover_services("closed")["lookups"] <= 3


def test_no_answer_for_services_does_harm():
    assert len(discover_services("hostile_services", limit=100 * PATIENCE)["seen"]) == 7


def test_many_services_and_no_search_domains_for_their_targets():
    assert discover_services("many_services") == {"result": [1], "servers": 301}


# ---- with those of others ----------------------------------------------------------


def test_dnsmasq():
    program("dnsmasq")
    report = discover_by_daemons("dnsmasq")
    assert report["errors"] == []
    assert report["service"] == [1]


def test_dnsmasq_in_front_of_a_port_as_that_of_consul():
    for each in ("dnsmasq", "dig"):
        program(each)
    assert discover_by_daemons("consul") == {
        "dns:users.service.consul:9999": ["users.service.consul/127.0.1.1:9999"],
        "srv:_users._tcp.service.consul": [
            "a.node.dc1.consul:9999",
            "b.node.dc1.consul:10000",
        ],
    }


def test_bind9_with_dynamic_updates():
    """This also holds while it is frozen."""
    for each in ("named", "nsupdate", "dig"):
        program(each)
    report = discover_by_daemons("bind9")
    assert report["errors"] == []
    assert report["seen"] == [f"backend.test/127.0.1.{n}:9999" for n in (2, 3)]
