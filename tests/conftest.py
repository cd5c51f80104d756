"""Fixtures: servers and clients that end with the test, and every call style."""

import asyncio
import contextlib
import itertools
import signal
import tempfile
import time

import everywhere
import history
import pytest
import uvloop
from helpers import LIMIT, STYLES, Wire
from time_limits import PATIENCE

from jsonrpcc import Client
from jsonrpcc.testing import Error, Server

# Shells make background jobs ignore Ctrl-C, and so would programs started here.
signal.signal(signal.SIGINT, signal.default_int_handler)


def fail(code=-32000, message="it failed", data=None):
    raise Error(code, message, data)


if everywhere.is_wished_for():
    everywhere.turn_on()

METHODS = {
    "add": lambda a, b: a + b,
    "echo": lambda *params, **named: named or list(params),
    "first": lambda value: value,
    "fail": fail,
    "now": time.monotonic,
}


@pytest.fixture
def serve():
    """Start a `Server`; it is stopped when the test ends."""
    with contextlib.ExitStack() as stack:

        def start(fault=(), *, methods=METHODS, **options):
            return stack.enter_context(Server(methods, fault=fault, **options))

        yield start


@pytest.fixture
def server():
    """A server for a `history.History`."""
    with Server(history.METHODS) as server:
        yield server


@pytest.fixture
def nowhere():
    """The address of a server that is down, on a port that nobody else can get."""
    with Server() as server:
        server.stop()
        yield server.address


@pytest.fixture
def tcp_servers():
    """Make servers for a `history.History`; they are stopped when the test ends."""
    with contextlib.ExitStack() as stack:

        def make(count, **options):
            return [
                stack.enter_context(Server(history.METHODS, **options))
                for _ in range(count)
            ]

        yield make


@pytest.fixture
def servers(tcp_servers):
    """Make servers as `tcp_servers` does; test files may override where."""
    return tcp_servers


@pytest.fixture
def socket_path():
    """Make paths for Unix sockets, which must be shorter than those of tmp_path."""
    with tempfile.TemporaryDirectory(prefix="jrc-") as folder:
        numbers = itertools.count()
        yield lambda: f"{folder}/{next(numbers)}"


@pytest.fixture(params=["tcp", "unix"])
def any_servers(request, tcp_servers, socket_path):
    """Make servers as `tcp_servers` does: run each test with ports, then with paths."""
    if request.param == "tcp":
        return tcp_servers
    return lambda count, **options: [
        server
        for _ in range(count)
        for server in tcp_servers(1, path=socket_path(), **options)
    ]


@pytest.fixture
def client_for():
    """Make a client for servers or a servers string; it is closed at the end."""
    with contextlib.ExitStack() as stack:

        def make(*servers, **options):
            text = " ".join(getattr(each, "address", each) for each in servers)
            patient = {"timeout": 5 * PATIENCE, **options}
            return stack.enter_context(Client(text, **patient))

        yield make


@pytest.fixture
def wire():
    """A `Wire` server."""
    with Wire() as server:
        yield server


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop])
def run(request):
    """Run a coroutine to its end on a new loop, of asyncio and of uvloop."""

    def run_it(coroutine):
        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(asyncio.wait_for(coroutine, 2 * LIMIT))

    return run_it


@pytest.fixture(params=STYLES)
def ask(request):
    """Ask(servers, method, params, **options) in each call style, one after another."""
    return STYLES[request.param]
