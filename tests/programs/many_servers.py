"""
A client of 4,096 servers, and then of 4,096 of which half are others.

    many_servers.py DESCRIPTORS

They are one server whose address is written in as many ways.  Reports as JSON how
many were up, and how few and how many calls one of them got.
"""

import json
import resource
import sys
import time

from history import METHODS, History, until

from jsonrpcc import Client
from jsonrpcc.testing import Server

SERVERS = 4096


def spellings(port):
    """127.0.0.1 in octal, whose numbers may begin with any number of zeros."""
    return [
        f"{'0' * (1 + n % 100)}177.0.0.{'0' * (1 + n // 100)}1:{port}"
        for n in range(SERVERS + SERVERS // 2)
    ]


def look(client, history):
    until(lambda: sum(s.state == "up" for s in client.servers()) == SERVERS, 100)
    up = [server for server in client.servers() if server.state == "up"]
    before = {server.address: server.sent for server in up}
    for _ in range(2 * SERVERS):
        history.request(client, timeout=60)
    history.wait(60)
    sent = [server.sent - before[server.address] for server in client.servers()]
    return len(up), [min(sent), max(sent)]


def main():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), most))
    history = History()
    seen = []
    with Server(METHODS) as server:
        every = spellings(server.port)
        began = time.monotonic()
        with Client(
            " ".join(every[:SERVERS]), max_servers=SERVERS, connect_timeout=60
        ) as client:
            seen.append(look(client, history))
            client.set_servers(" ".join(every[-SERVERS:]))
            until(lambda: every[0] not in {s.address for s in client.servers()}, 60)
            seen.append(look(client, history))
        seconds = time.monotonic() - began
    report = {
        "up": [up for up, _ in seen],
        "shares": [share for _, share in seen],
        "errors": [repr(error) for error in history.errors()][:3],
        "seconds": seconds,
    }
    print(json.dumps(report))


main()
