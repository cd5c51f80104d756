"""A WSGI application whose workers publish what their client counts."""

import json
import os

import everywhere

from jsonrpcc import Client, RemoteError
from jsonrpcc.prometheus import Publisher

everywhere.heed()
client = Client(os.environ["JSONRPC_SERVER"], timeout=10, name="app")
publisher = Publisher(client, every=float(os.environ["EVERY"]))
assert client.call("first", [1]) == 1
publisher.publish()  # so that there is something that workers must not take for theirs


def application(environ, start_response):
    """Make calls that end differently; the last is on its way when we answer."""
    right = [client.call("first", [n]) for n in range(5)] == [*range(5)]
    try:
        client.call("fail")
    except RemoteError:
        client.notification("note")
    else:
        right = False
    body = json.dumps({"pid": os.getpid(), "right": right}).encode()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [body]
