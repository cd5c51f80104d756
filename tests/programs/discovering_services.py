"""
A client that finds services by SRV records, from a name server of ours.

    discovering_services.py SCENARIO

Reports as JSON.
"""

import subprocess
import sys

from discovery import NAMES, PORT, report, servers, set_up, shares, up
from dns_server import LIES, NameServer, srv
from history import History, until

from jsonrpcc import Client

QUICK = {"reconnect_delay": 0.05, "reconnect_delay_max": 0.1}


def services():
    """Priorities, ports and weights are those of the records."""
    set_up()
    best = servers(1, 1, 9001) + servers(1, 2, 9002)
    worse = servers(1, 3, 9003)
    history = History()
    with NameServer() as dns:
        for each in [*best, *worse]:
            dns.serve(f"h{each.port}.test", each.host)
        dns.records["_rpc._tcp.d.test"] = [
            srv(10, 3, 9001, "h9001.test"), srv(10, 1, 9002, "h9002.test"),
            srv(20, 0, 9003, "h9003.test"),
        ]  # fmt: skip
        dns.ttl = 77
        with Client("srv:_rpc._tcp.d.test,5") as client:
            until(lambda: up(client) == 3)
            counts = shares(client, history, 400)
            seen = {s.address: [s.priority, s.srv_priority] for s in client.servers()}
            entry = client.entries()[0]
            command = [sys.executable, "-m", "jsonrpcc", "servers"]
            table = subprocess.check_output([*command, "srv:_rpc._tcp.d.test,5"])
            for each in best:
                each.stop()
            until(lambda: not history.call(client).error)
    history.check_outcomes()
    table = [line.split() for line in table.decode().splitlines()]
    return {"shares": counts, "seen": seen, "ttl": entry.ttl, "text": entry.text,
            "table": table}  # fmt: skip


def both_priorities():
    """The entry's priority, larger first, comes before that of the records."""
    set_up()
    first, second, third = (
        servers(1, 1, 9001) + servers(1, 2, 9002) + servers(1, 3, 9003)
    )
    history = History()
    order = []
    with NameServer() as dns:
        for each in (first, second, third):
            dns.serve(f"h{each.port}.test", each.host)
        dns.records["_a._tcp.test"] = [
            srv(9, 0, 9002, "h9002.test"), srv(7, 0, 9001, "h9001.test"),
        ]  # fmt: skip
        dns.records["_b._tcp.test"] = [srv(0, 0, 9003, "h9003.test")]
        with Client("srv:_b._tcp.test,1 srv:_a._tcp.test,2", **QUICK) as client:
            until(lambda: up(client) == 3)
            for each in (first, second, third):
                counts = shares(client, history, 30)
                order.append([host for host, n in counts.items() if n])
                each.stop()
                until(
                    lambda port=each.port: any(
                        s.port == port and s.losses for s in client.servers()
                    )
                )
    history.check_outcomes()
    return {"order": order}


def closed():
    """Target "." removes the servers at once."""
    set_up()
    (one,) = servers(1)
    with NameServer() as dns:
        dns.serve("h.test", one.host)
        dns.records["_rpc._tcp.test"] = [srv(1, 1, PORT, "h.test")]
        with Client("srv:_rpc._tcp.test", **NAMES) as client:
            until(lambda: up(client) == 1)
            dns.records["_rpc._tcp.test"] = [srv(0, 0, 0, "")]
            began = len(dns.asked)
            until(lambda: not client.servers(), 20)
            lookups = dns.asked[began:].count(("_rpc._tcp.test", 33))
    return {"lookups": lookups}


def hostile_services():
    """No answer crashes anything or removes a server."""
    set_up()
    (one,) = servers(1)
    history = History()
    seen = []
    with NameServer() as dns:
        dns.serve("h.test", one.host)
        dns.records["_rpc._tcp.test"] = [srv(1, 1, PORT, "h.test")]
        with Client("srv:_rpc._tcp.test", **NAMES) as client:
            until(lambda: up(client) == 1)
            for how, fault in LIES.items():
                before = client.stats().lookups_failed
                dns.fault = lambda q, d, f=fault: f(q, d) if b"_rpc" in q else d
                until(lambda b=before: client.stats().lookups_failed > b, 20, how)
                seen.append(how)
                assert not history.call(client).error
            dns.fault = None
            dns.records["_rpc._tcp.test"] = [
                srv(1, 1, 0, "h.test"),
                srv(1, 1, 9, "a b"),
            ]
            before = client.stats().lookups_failed
            until(lambda: client.stats().lookups_failed > before, 20)
            assert not history.call(client).error
    history.check(one)
    return {"seen": seen}


def many_services():
    """Over TCP, and targets whose search domain would lie."""
    set_up(
        "nameserver 127.0.0.1\nsearch evil.test\noptions timeout:1 attempts:1 ndots:5\n"
    )
    (one,) = servers(1)
    with NameServer() as dns:
        dns.serve("h.good.test", one.host)
        dns.serve("h.good.test.evil.test", "127.0.1.99")
        dns.records["_rpc._tcp.test"] = [
            srv(1, 1, PORT, "h.good.test"),
            *(srv(2, 1, 1000 + i, "h.good.test") for i in range(300)),
        ]
        with Client("srv:_rpc._tcp.test", max_servers=400) as client:
            result = client.call("echo", [1])
            count = len(client.servers())
            return {"result": result, "servers": count}


report(globals())
