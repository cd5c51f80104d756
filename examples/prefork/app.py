"""
A WSGI application whose workers inherit one client, with metrics of all workers.

    export JSONRPCC_SERVERS="localhost:9999,2 localhost:9998,1"
    cd examples/prefork && gunicorn app:app

gunicorn.conf.py imports this module in the master; each worker opens connections of
its own at its first call, and publishes what it counts.
"""

import json
import os
import struct
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

import jsonrpcc
from jsonrpcc.prometheus import Publisher

SERVERS = os.environ.get("JSONRPCC_SERVERS", "localhost:9999")

client = jsonrpcc.Client(SERVERS, name="prefork", timeout=0.5)
publisher = Publisher(client, every=0.5)


def add(query: str) -> tuple[str, Any]:
    """Return the status and the body for /sum?a=1&b=2."""
    values = parse_qs(query)
    try:
        params = [int(values[name][0]) for name in ("a", "b")]
    except (KeyError, ValueError):
        return "400 Bad Request", {"error": "a and b must be integers"}
    try:
        return "200 OK", {"sum": client.call("add", params), "worker": os.getpid()}
    except jsonrpcc.RequestTimeout:
        return "504 Gateway Timeout", {"error": "timeout"}
    except jsonrpcc.ServerFailure:
        return "503 Service Unavailable", {"error": "no server"}


def metrics() -> bytes:
    """Return the metrics of all workers, added up; those that ended included."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    while True:
        try:
            return generate_latest(registry)
        except struct.error:  # a worker is just creating its file
            time.sleep(0.01)


def app(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    """Answer a request."""
    if environ["PATH_INFO"] == "/metrics":
        start("200 OK", [("Content-Type", "text/plain; version=0.0.4")])
        return [metrics()]
    status, body = add(environ["QUERY_STRING"])
    start(status, [("Content-Type", "application/json")])
    return [json.dumps(body).encode()]
