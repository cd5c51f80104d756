"""
Clients that find their servers by name: what the programs share.

They run in namespaces of their own, with a name server at port 53, and servers at
addresses of the loopback network.
"""

import contextlib
import json
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path

import kernel
from history import METHODS

from jsonrpcc.testing import Server

PORT = 9999
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


def report(scenarios):
    """Run the scenario that the command line names, and print what it returns."""
    with stack:
        print(json.dumps(scenarios[sys.argv[1]]()))
