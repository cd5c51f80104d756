"""A WSGI application with one client for all its processes, made at import."""

import contextlib
import json
import os
import threading
import time

import everywhere

from jsonrpcc import Client, ClientClosed

everywhere.heed()
client = Client(os.environ["JSONRPC_SERVER"], timeout=10)
# It is in full use when the workers are forked.


def load():
    with contextlib.suppress(ClientClosed):  # by the master's end
        while True:
            client.call("first", [0])


LOAD = os.environ.get("LOAD", "")
assert LOAD in {"", "threads", "flood"}, LOAD
if LOAD == "threads":
    threading.Thread(target=load, daemon=True).start()
assert client.call("first", [1]) == 1
# Until the thread of callbacks has told that the client is connected: if it waited for
# the GIL when uWSGI forks, the child would hang in CPython's own code.
time.sleep(0.2)
# Bound before fork(), as many a host keeps them.
ask, tell = client.request, client.notification
if LOAD == "flood":
    for _ in range(20_000):  # the event thread sends them while uWSGI forks
        tell("first", [0])


def application(environ, start_response):
    """Answer with who we are and what came of 20 calls in each style."""
    numbers = list(range(20))
    futures = [client.submit("first", [n]) for n in numbers]
    got = [
        [client.call("first", [n]) for n in numbers],
        [future.result(10) for future in futures],
        list(client.map("first", [[n] for n in numbers])),
    ]
    answers = []
    for n in numbers:
        ask("first", [n], answers.append, answers.append)
        tell("first", [n])
    client.drain(10)
    got.append([n for n in numbers if answers.count(n) == 1])
    body = json.dumps({"pid": os.getpid(), "right": got == [numbers] * 4}).encode()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [body]
