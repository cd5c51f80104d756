"""
A client whose servers are those that are registered in etcd (3.4 or later).

Each server has a key below PREFIX; its value is an entry of a servers string:

    etcdctl put /services/users/a 10.0.0.7:9999,2

It speaks JSON with etcd's gateway, so it needs nothing but Python.  Where a program
forks, each process makes such a client of its own: a thread does not come along.
"""

import base64
import http.client
import json
import logging
import os
import threading
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import jsonrpcc

log = logging.getLogger("users.etcd")
ETCD = os.environ.get("ETCD", "http://127.0.0.1:2379")
PREFIX, END = "/services/users/", "/services/users0"  # "0" comes after "/"
KEYS = {
    "key": base64.b64encode(PREFIX.encode()).decode(),
    "range_end": base64.b64encode(END.encode()).decode(),
}


def ask(path: str, question: dict[str, Any]) -> http.client.HTTPResponse:
    """Put a question to etcd; it may be silent for a minute."""
    url, text = f"{ETCD}/v3/{path}", json.dumps(question).encode()
    answer: http.client.HTTPResponse = urllib.request.urlopen(url, text, timeout=60)
    return answer


def lists() -> Iterator[str]:
    """Yield the list of servers now, and after each change; never an empty one."""
    while True:
        try:
            with ask("kv/range", KEYS) as answer:
                found = json.load(answer)
            values = [base64.b64decode(each["value"]) for each in found.get("kvs", [])]
            if values:
                yield " ".join(value.decode() for value in values)
            after = {"start_revision": int(found["header"]["revision"]) + 1}
            with ask("watch", {"create_request": KEYS | after}) as changes:
                changes.readline()  # it watches
                changes.readline()  # something has changed, or etcd ends
        except (OSError, http.client.HTTPException, ValueError) as error:
            log.info("etcd: %s", error)  # the list stays as it is
        time.sleep(0.2)  # changes that come together are one


def follow(client: jsonrpcc.Client, servers: Iterator[str]) -> None:
    """Give the client each list."""
    for text in servers:
        try:
            client.set_servers(text)
        except jsonrpcc.ClientClosed:
            return
        except ValueError as error:  # someone registered what is no server
            log.warning("etcd: %s", error)


def make_client() -> jsonrpcc.Client:
    """Wait for a first list, and make a client that follows it from then on."""
    servers = lists()
    client = jsonrpcc.Client(next(servers), name="users", timeout=2.0)
    threading.Thread(
        target=follow, args=(client, servers), name="etcd", daemon=True
    ).start()
    return client
