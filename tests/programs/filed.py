"""
A client of a list in a file, in a process of its own: filed.py SCENARIO FILE ADDRESS...

It prints what came of it as JSON.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

from helpers import descriptors, threads
from history import History, until

from jsonrpcc import Client, ServerFailure

SCENARIO, FILE, *ADDRESSES = sys.argv[1:]
PATH = Path(FILE)
CHECK = 5.0  # seconds between looks that nothing hastens


def put(text):
    new = PATH.with_suffix(".new")
    new.write_text(text)
    new.rename(PATH)


def addresses(client):
    return [server.address for server in client.servers()]


def fork():
    """Return how many descriptors watch, in a parent and in its child."""
    put(ADDRESSES[0])

    def watches():
        links = (os.readlink(f"/proc/self/fd/{fd}") for fd in fds())
        return sum("inotify" in link for link in links)

    def fds():
        return [
            fd
            for fd in os.listdir("/proc/self/fd")
            if Path(f"/proc/self/fd/{fd}").exists()
        ]

    with Client(f"file:{FILE}") as client:
        client.call("echo", [1])
        before = watches()
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            inherited = watches()
            client.call("echo", [2])
            put(ADDRESSES[1])
            until(lambda: addresses(client) == [ADDRESSES[1]])
            client.call("echo", [3])
            os.write(write, json.dumps([inherited, watches()]).encode())
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        until(lambda: addresses(client) == [ADDRESSES[1]])  # here, too
        client.call("echo", [4])
        inherited, own = json.loads(os.read(read, 100))
        return {
            "code": code, "before": before, "inherited": inherited, "child": own,
            "after": watches(),
        }  # fmt: skip


def without_inotify():
    """Return the time until a change is seen where there is no inotify."""
    for name in ("instances", "watches"):
        limit = Path(f"/proc/sys/user/max_inotify_{name}")
        before = limit.read_text()
        limit.write_text("0")
        put(ADDRESSES[0])
        with Client(f"file:{FILE}") as client:
            client.call("echo", [1])
            until(lambda: client.entries()[0].lookups)
            began = time.monotonic()
            put(ADDRESSES[1])
            until(lambda: addresses(client) == [ADDRESSES[1]])
            took = time.monotonic() - began
            assert client.call("echo", [2]) == [2]
            assert took < CHECK + 2
        limit.write_text(before)
    return {"took": took}


def permission():
    """Return what is seen of a file that may not be read any more."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "servers")
        path.write_text(ADDRESSES[0])
        if os.geteuid() == 0:  # who may read everything
            os.chown(folder, 65534, 65534)
            os.chown(path, 65534, 65534)
            os.setgid(65534)
            os.setuid(65534)
        events = []
        with Client(f"file:{path}", on_event=events.append) as client:
            client.call("echo", [1])
            path.chmod(0)
            until(lambda: any(e.kind == "list_refused" for e in events))
            error = client.entries()[0].last_error
            client.call("echo", [2])
            path.chmod(0o600)
            until(lambda: client.entries()[0].last_error is None)
            return {"error": error, "servers": addresses(client)}


def slow():
    """Return how calls, close() and the exit fare while a file system hangs."""
    history = History()
    longest = 0.0
    client = Client(f"{ADDRESSES[0]} file:{FILE}")
    for _ in range(200):
        began = time.monotonic()
        history.call(client)
        longest = max(longest, time.monotonic() - began)
    lookups = client.stats().lookups
    before = threads()
    client.set_servers(f"{ADDRESSES[0]} file:{FILE} file:{FILE}2")
    history.call(client)
    until(lambda: threads() > before or client.stats().lookups > lookups)
    began = time.monotonic()
    client.close()
    return {
        "errors": history.errors(), "longest": longest,
        "close": time.monotonic() - began, "lookups": lookups,
    }  # fmt: skip


def comes_and_goes():
    """Return the descriptors of a client whose list has a file at times."""
    put(ADDRESSES[0])
    counts = []
    with Client(ADDRESSES[0]) as client:
        client.call("echo", [1])
        for _ in range(20):
            client.set_servers(f"file:{FILE}")
            until(client.entries)
            until(lambda: client.entries()[0].lookups)
            counts.append(descriptors())
            client.set_servers(ADDRESSES[0])
            until(lambda: not client.entries())
    return {"counts": counts}


try:
    print(json.dumps(globals()[SCENARIO]()))
except ServerFailure as error:
    print(json.dumps({"failure": str(error)}))
