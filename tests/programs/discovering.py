"""
A client that finds addresses by name, from a name server of ours.

    discovering.py SCENARIO

Reports as JSON.
"""

import time

from discovery import (
    NAMES,
    PORT,
    hosts_of,
    report,
    servers,
    set_up,
    shares,
    stack,
    under_load,
    up,
)
from dns_server import LIES, NXDOMAIN, A, NameServer, silence, with_code
from history import METHODS, History, until

from jsonrpcc import Client, ServerFailure
from jsonrpcc.testing import Server


def every_address():
    """All addresses of the name get their share of the calls."""
    set_up()
    three = servers(3)
    history = History()
    with NameServer() as dns:
        dns.serve("backend.test", *hosts_of(three))
        with Client(f"dns:backend.test:{PORT}") as client:
            until(lambda: up(client) == 3)
            counts = shares(client, history)
            entries = client.entries()
    history.check(*three)
    return {"shares": counts, "servers": entries[0].servers}


def a_change():
    """Addresses come and go under load: no call fails, and the shares follow."""
    set_up()
    four = servers(4)
    history = History()
    with NameServer() as dns:
        dns.serve("backend.test", *hosts_of(four[:2]))
        with Client(f"dns:backend.test:{PORT}", **NAMES) as client:
            until(lambda: up(client) == 2)
            with under_load(client, history):
                began = time.monotonic()
                dns.serve("backend.test", *hosts_of(four[1:]))
                until(lambda: up(client) == 3 and len(client.servers()) == 3)
                took = time.monotonic() - began
            counts = shares(client, history)
            four[0].clear()
            shares(client, history)
            left = len(four[0].requests)
            losses = sum(s.losses for s in client.servers())
    history.check_outcomes()
    return {"took": took, "errors": list(map(repr, history.errors())), "losses": losses,
            "shares": counts, "left": left, "calls": len(history.entries)}  # fmt: skip


def a_lost_server_is_looked_up_at_once():
    """A server dies and its name has moved: that is not found after 86400 s."""
    set_up()
    old, new = servers(2)
    history = History()
    with NameServer() as dns:
        dns.serve("backend.test", old.host)
        with Client(
            f"dns:backend.test:{PORT}", dns_refresh=86400, reconnect_delay=5
        ) as client:
            until(lambda: up(client) == 1)
            history.call(client)
            time.sleep(1.1)  # dns_min
            dns.serve("backend.test", new.host)
            began = time.monotonic()
            old.stop()
            entry = history.call(client, wait_for_ready=True)
            took = time.monotonic() - began
    history.check_outcomes()
    return {"took": took, "error": repr(entry.error)}


def outages():
    """Whatever the name server does, no server leaves; later changes are seen again."""
    set_up()
    three = servers(3)
    history = History()
    failed = []
    with NameServer() as dns:
        dns.serve("backend.test", *hosts_of(three[:2]))
        with Client(f"dns:backend.test:{PORT}", **NAMES) as client:
            until(lambda: up(client) == 2)
            with under_load(client, history):
                for how, fault in {**LIES, "silence": silence}.items():
                    before = client.stats().lookups_failed
                    dns.fault = fault
                    until(lambda b=before: client.stats().lookups_failed > b, 20, how)
                    failed.append(how)
                    assert up(client) == 2, how
                    # libc takes some lies for "no data", of which three would do.
                    dns.fault = None
                    until(lambda: client.entries()[0].last_error is None, 20)
                dns.serve("backend.test", *hosts_of(three))
                until(lambda: up(client) == 3, 20)
            lost = sum(s.losses for s in client.servers())
    history.check_outcomes()
    return {"failed": failed, "lost": lost, "errors": list(map(repr, history.errors()))}


def no_such_name():
    """Only the third answer in a row removes servers, and they come back."""
    set_up()
    (one,) = servers(1)
    events = []
    with NameServer() as dns:
        dns.serve("backend.test", one.host)
        with Client(
            f"dns:backend.test:{PORT}", on_event=events.append, **NAMES
        ) as client:
            until(lambda: up(client) == 1)
            dns.fault = with_code(NXDOMAIN)
            first = len(dns.asked)
            until(lambda: not client.servers(), 20)
            lookups = sum(kind == A for _, kind in dns.asked[first:])
            try:
                client.call("echo", [1])
                error = None
            except ServerFailure as failure:
                error = str(failure)
            dns.fault = None
            until(lambda: up(client) == 1, 20)
    return {"lookups": lookups, "error": error,
            "events": [[e.kind, e.server] for e in events]}  # fmt: skip


def a_name_that_does_not_exist_yet():
    """Calls fail at once, say why, and wait_for_ready waits for the name."""
    set_up()
    (one,) = servers(1)
    history = History()
    with NameServer() as dns, Client(f"dns:new.test:{PORT}", **NAMES) as client:
        try:
            client.call("echo", [1])
            error = None
        except ServerFailure as failure:
            error = f"{failure.fate} {failure}"
        entry, _ = history.request(client, wait_for_ready=True, timeout=20)
        dns.serve("new.test", one.host)
        history.wait(30)
    history.check(one)
    return {"error": error, "waited": repr(entry.error)}


def families():
    set_up()
    v4 = stack.enter_context(Server(METHODS, host="127.0.0.1", port=PORT))
    stack.enter_context(Server(METHODS, host="::1", port=PORT))
    seen = {}
    with NameServer() as dns:
        dns.serve("both.test", "127.0.0.1", "::1")
        for scheme in ("dns", "dns4", "dns6"):
            with Client(f"{scheme}:both.test:{PORT}") as client:
                until(lambda c=client: c.servers() and up(c) == len(c.servers()))
                seen[scheme] = sorted(s.address for s in client.servers())
                assert client.call("echo", [1]) == [1]
    assert v4.requests
    return seen


def five_hundred():
    """More answers than UDP holds, and more than there may be servers."""
    set_up()
    addresses = [f"127.0.{2 + i // 250}.{1 + i % 250}" for i in range(500)]
    events = []
    with NameServer() as dns:
        dns.serve("many.test", *addresses)
        with Client(f"dns:many.test:{PORT}", connect_timeout=5) as client:
            until(lambda: len(client.servers()) == 500)
        with Client(
            f"127.0.1.77:1 dns:many.test:{PORT}", max_servers=20,
            on_event=events.append, **NAMES,
        ) as client:  # fmt: skip
            until(lambda: len(client.servers()) == 20)
            first = {s.address for s in client.servers()}
            lookups = client.stats().lookups
            until(lambda: client.stats().lookups >= lookups + 2)
            again = {s.address for s in client.servers()}
            entry = client.entries()[0]
    return {"same": first == again, "plain": "127.0.1.77:1" in first,
            "cut": [e.reason for e in events if e.kind == "list_cut"],
            "servers": entry.servers}  # fmt: skip


def search_domains():
    set_up("nameserver 127.0.0.1\nsearch wrong.test right.test\noptions timeout:1\n")
    (one,) = servers(1)
    with NameServer() as dns:
        dns.serve("backend.right.test", one.host)
        with Client(f"dns:backend:{PORT}") as client:
            return {"result": client.call("echo", [1])}


report(globals())
