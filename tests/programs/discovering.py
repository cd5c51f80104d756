"""
A client that finds its servers by name, in namespaces of its own.

    discovering.py SCENARIO

The name server is ours or a real one, at port 53 of the namespace; servers are at
addresses of the loopback network.  Reports as JSON.
"""

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import kernel
from dns_server import LIES, NXDOMAIN, A, NameServer, silence, srv, with_code
from history import METHODS, History, until

from jsonrpcc import Client, ServerFailure
from jsonrpcc.testing import Server

PORT = 9999
QUICK = {"reconnect_delay": 0.05, "reconnect_delay_max": 0.1}
NAMES = {"dns_refresh": 1, "dns_min": 1, "min_srv_ttl": 1}
stack = contextlib.ExitStack()


def must(*command):
    code, text = kernel.run(*command)
    assert code == 0, f"{command}: {text}"


def set_up(resolv="nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"):
    must("ip", "link", "set", "lo", "up")
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    conf = Path(folder, "resolv.conf")
    conf.write_text(resolv)
    must("mount", "--bind", str(conf), "/etc/resolv.conf")
    hosts = Path(folder, "nsswitch.conf")
    hosts.write_text("hosts: files dns\n")
    must("mount", "--bind", str(hosts), "/etc/nsswitch.conf")
    return folder


def servers(count, first=1, port=PORT):
    return [
        stack.enter_context(Server(METHODS, host=f"127.0.1.{first + i}", port=port))
        for i in range(count)
    ]


def hosts_of(some):
    return [each.host for each in some]


def shares(client, history, count=300, **options):
    before = {s.address: s.sent for s in client.servers()}
    for _ in range(count):
        history.request(client, **options)
    history.wait()
    return Counter(
        {s.address: s.sent - before.get(s.address, 0) for s in client.servers()}
    )


def up(client):
    return sum(s.state in {"up", "proving"} for s in client.servers())


def traffic(client, history, stop):
    while not stop.is_set():
        history.call(client)


@contextlib.contextmanager
def under_load(client, history):
    stop = threading.Event()
    threads = [
        threading.Thread(target=traffic, args=(client, history, stop)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


# ---- F4 and F5: every address, and changes ----------------------------------------


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
    """Whatever the name server does, nobody leaves; and then changes come again."""
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


# ---- SRV --------------------------------------------------------------------------


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
            for each in best:
                each.stop()
            until(lambda: not history.call(client).error)
    history.check_outcomes()
    return {"shares": counts, "seen": seen, "ttl": entry.ttl, "text": entry.text}


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
    """No answer crashes anything or removes anybody."""
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


# ---- real name servers -------------------------------------------------------------


def wait_for_port(port):
    def answers():
        code, _ = kernel.run("dig", "+time=1", "+tries=1", "@127.0.0.1", "x.test")
        return code == 0

    until(answers)


def dnsmasq():
    folder = set_up()
    three = servers(3)
    hosts = Path(folder, "hosts")

    def write(some):
        hosts.write_text("".join(f"{each.host} backend.test\n" for each in some))

    write(three[:2])
    history = History()
    daemon = subprocess.Popen(
        [shutil.which("dnsmasq", path=kernel.ENVIRONMENT["PATH"]),
         "--keep-in-foreground", "--no-resolv", "--no-hosts",
         f"--addn-hosts={hosts}", "--pid-file=", "--user=root",
         "--listen-address=127.0.0.1", "--bind-interfaces", "--local=/test/",
         f"--srv-host=_rpc._tcp.test,backend.test,{PORT}"],
        stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        wait_for_port(53)
        with Client(f"dns:backend.test:{PORT}", **NAMES) as client:
            until(lambda: up(client) == 2)
            with under_load(client, history):
                write(three)
                daemon.send_signal(1)  # SIGHUP: read again
                until(lambda: up(client) == 3, 20)
                write(three[2:])
                daemon.send_signal(1)
                until(lambda: len(client.servers()) == 1, 20)
        with Client("srv:_rpc._tcp.test") as client:
            service = client.call("echo", [1])
    finally:
        daemon.kill()
        daemon.communicate()
    history.check_outcomes()
    return {"errors": list(map(repr, history.errors())), "service": service}


ZONE = """$TTL 1
@ IN SOA ns.test. root.test. 1 60 60 60 1
@ IN NS ns
ns IN A 127.0.0.1
backend IN A 127.0.1.1
_rpc._tcp IN SRV 1 1 9999 backend
"""

NAMED = """options {{ directory "{0}"; pid-file none; listen-on {{ 127.0.0.1; }};
 listen-on-v6 {{ none; }}; recursion no; dnssec-validation no; session-keyfile none; }};
controls {{ }};
zone "test" {{ type master; file "{0}/zone"; allow-update {{ 127.0.0.1; }}; }};
"""


def bind9():
    """A dynamic zone, changed by nsupdate, and frozen for a while."""
    folder = set_up()
    three = servers(3)
    Path(folder).chmod(0o755)
    Path(folder, "zone").write_text(ZONE)
    Path(folder, "named.conf").write_text(NAMED.format(folder))

    def update(*lines):
        text = "\n".join(["server 127.0.0.1", "zone test", *lines, "send", ""])
        nsupdate = shutil.which("nsupdate")
        subprocess.run([nsupdate], input=text, text=True, check=True, timeout=20)

    history = History()
    named = subprocess.Popen(
        [shutil.which("named", path=kernel.ENVIRONMENT["PATH"]), "-f", "-u", "root",
         "-c", f"{folder}/named.conf"],
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_for_port(53)
        with (
            Client(f"dns:backend.test:{PORT}", **NAMES) as client,
            Client("srv:_rpc._tcp.test", **NAMES) as by_service,
        ):
            until(lambda: up(client) == 1 and up(by_service) == 1)
            with under_load(client, history), under_load(by_service, history):
                update("update add backend.test 1 A 127.0.1.2",
                       "update add backend.test 1 A 127.0.1.3")  # fmt: skip
                until(lambda: up(client) == 3, 20)
                named.send_signal(19)  # SIGSTOP
                failed = client.stats().lookups_failed
                until(lambda: client.stats().lookups_failed > failed, 20)
                named.send_signal(18)
                update("update delete backend.test A 127.0.1.1")
                update(
                    "update delete _rpc._tcp.test SRV",
                    "update add other.test 1 A 127.0.1.3",
                    "update add _rpc._tcp.test 1 SRV 1 1 9999 other.test",
                )
                until(lambda: len(client.servers()) == 2, 20)
                until(lambda: any("other" in s.host for s in by_service.servers()), 20)
            seen = sorted(s.address for s in client.servers())
    finally:
        named.kill()
        named.communicate()
    history.check_outcomes()
    assert three[2].requests
    return {"errors": list(map(repr, history.errors())), "seen": seen}


with stack:
    print(json.dumps(globals()[sys.argv[1]]()))
