"""The interpreter exits within 3 s of the last statement, whatever is in flight."""

import concurrent.futures
import os
import signal

import pytest
from children import run_program
from history import METHODS
from time_limits import PATIENCE, SANITIZED

from jsonrpcc.testing import Server

# Of each ending, with the server alive and with it dead; "make soak" asks for more.
RUNS = int(os.environ.get("JSONRPCC_EXITS", "4"))
# LSan looks through all memory at the end: 0.4 s alone, 2 s of four on one machine.
AT_ONCE = 1 if SANITIZED else 4
# A second at most, and what a busy machine adds.
EXIT_LIMIT = 5 if SANITIZED else 3 * PATIENCE

CODES = {
    "exception": 1,
    "sys.exit": 3,
    "os._exit": 4,
    "SIGTERM": -signal.SIGTERM,
    "SIGINT": -signal.SIGINT,
}
ENDINGS = [
    "normal",
    "exception",
    "sys.exit",
    "os._exit",
    "SIGTERM",
    "SIGINT",
    "del",
    "never closed",
    "close races",
    "daemons",
    "callback runs",
    "callback blocks",
    "asyncio, pending",
    "asyncio, never closed",
    "sys.exit in a callback",
]


@pytest.fixture(scope="module")
def server():
    with Server(METHODS, keep=1) as server:
        yield server


@pytest.fixture(scope="module")
def dead():
    with Server(METHODS) as server:
        server.stop()
        yield server


def in_parallel(count, function):
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        return [
            future.result() for future in [pool.submit(function) for _ in range(count)]
        ]


@pytest.mark.parametrize("state", ["alive", "dead"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_ends_at_once_and_without_output(ending, state, server, dead):
    address = (server if state == "alive" else dead).address
    for ended in in_parallel(RUNS, lambda: run_program("ending.py", ending, address)):
        assert ended.code == CODES.get(ending, 0), ended
        assert ended.time - float(ended.out) < EXIT_LIMIT, ended
        allowed = {"exception": "LookupError: the end", "SIGINT": "KeyboardInterrupt"}
        if ending in allowed:
            assert ended.err.splitlines()[-1] == allowed[ending]
            assert ended.err.count("Traceback") == 1, ended.err
        else:
            assert ended.err == ""
