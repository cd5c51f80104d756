"""
A client that finds its servers through real name servers: dnsmasq and BIND.

    discovering_by_daemons.py SCENARIO

Reports as JSON.
"""

import shutil
import subprocess
from pathlib import Path

import kernel
from discovery import NAMES, PORT, report, servers, set_up, under_load, up
from history import History, until

from jsonrpcc import Client


def wait_for_name_server():
    def answers():
        code, _ = kernel.run("dig", "+time=1", "+tries=1", "@127.0.0.1", "x.test")
        return code == 0

    until(answers)


def start_dnsmasq(*options):
    return subprocess.Popen(
        [shutil.which("dnsmasq", path=kernel.ENVIRONMENT["PATH"]),
         "--keep-in-foreground", "--no-resolv", "--no-hosts", "--pid-file=",
         "--user=root", "--listen-address=127.0.0.1", "--bind-interfaces", *options],
        env=kernel.ENVIRONMENT,
        stderr=subprocess.PIPE,
    )  # fmt: skip


def dnsmasq():
    folder = set_up()
    three = servers(3)
    hosts = Path(folder, "hosts")

    def write(some):
        hosts.write_text("".join(f"{each.host} backend.test\n" for each in some))

    write(three[:2])
    history = History()
    daemon = start_dnsmasq(
        f"--addn-hosts={hosts}", "--local=/test/",
        f"--srv-host=_rpc._tcp.test,backend.test,{PORT}",
    )  # fmt: skip
    try:
        wait_for_name_server()
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


def consul():
    """What docs/discovery.md has dnsmasq do for Consul, whose answers are made up."""
    set_up()
    one, two = servers(1)[0], servers(1, first=2, port=PORT + 1)[0]
    consul = start_dnsmasq(
        "--port=8600", "--local=/consul/",
        f"--host-record=users.service.consul,{one.host}",
        f"--host-record=a.node.dc1.consul,{one.host}",
        f"--host-record=b.node.dc1.consul,{two.host}",
        f"--srv-host=_users._tcp.service.consul,a.node.dc1.consul,{PORT}",
        f"--srv-host=_users._tcp.service.consul,b.node.dc1.consul,{PORT + 1}",
    )  # fmt: skip
    front = start_dnsmasq("--server=/consul/127.0.0.1#8600")
    try:
        wait_for_name_server()
        seen = {}
        for entry in (f"dns:users.service.consul:{PORT}",
                      "srv:_users._tcp.service.consul"):  # fmt: skip
            with Client(entry) as client:
                client.call("echo", [1])
                seen[entry] = sorted(each.address for each in client.servers())
    finally:
        for each in (front, consul):
            each.kill()
            each.communicate()
    return seen


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
        subprocess.run(
            [nsupdate], env=kernel.ENVIRONMENT, input=text, text=True, check=True,
            timeout=20,
        )  # fmt: skip

    history = History()
    named = subprocess.Popen(
        [shutil.which("named", path=kernel.ENVIRONMENT["PATH"]), "-f", "-u", "root",
         "-c", f"{folder}/named.conf"],
        env=kernel.ENVIRONMENT,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_for_name_server()
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


report(globals())
