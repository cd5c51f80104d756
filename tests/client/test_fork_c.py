"""fork() without Python's hooks, as called by C code in an extension."""

import asyncio
import os

import pytest
from children import CHILD_LIMIT, run_program
from time_limits import TSAN

from jsonrpcc.testing import Server

ACTIONS = [
    "bound", "cancel", "close", "drain", "each", "exit", "fork", "look", "threads",
    "use", "used_exit",
]  # fmt: skip


class Holding:
    """Answers two calls of *held* when released."""

    def __init__(self):
        self.held = 0
        self.one = asyncio.Event()
        self.both = asyncio.Event()
        self.going = asyncio.Event()

    async def hold(self, value):
        self.held += 1
        self.one.set()
        if self.held == 2:
            self.both.set()
        await self.going.wait()
        self.held -= 1
        if self.held == 0:
            self.going.clear()
            self.one.clear()
        return value

    async def await_both(self):
        await self.both.wait()
        self.both.clear()

    async def await_one(self):
        await self.one.wait()

    async def never(self):
        await asyncio.Event().wait()

    def go(self):
        self.going.set()


def fail(value):
    raise ValueError(value)


@pytest.fixture
def server():
    holding = Holding()
    methods = {
        "first": lambda value: value,
        "held": holding.hold,
        "held_one": holding.await_one,
        "held_both": holding.await_both,
        "never": holding.never,
        "fail": fail,
        "go": holding.go,
    }
    with Server(methods, keep=100) as server:
        yield server


def fork(server, action, count, *more):
    limit = CHILD_LIMIT + count  # a child that cancels waits half a second
    program = run_program(
        "c_forks.py", action, count, server.address, *more, limit=limit
    )
    assert program.report() == [0] * count
    assert server.invalid == []


# How the parent comes to fork.
FORKING = ["aio", "event", "failures", "handler", "map", "results"]
IN_THREADS = {"event", "failures", "results"}  # which are the child's only ones


@pytest.mark.parametrize("action", [*ACTIONS, *FORKING])
def test_a_child_that_was_forked_in_c(server, action):
    if TSAN and action in IN_THREADS:
        pytest.skip(
            "TSan has ended the last thread when that calls exit(), and crashes"
        )
    fork(server, action, 5)


@pytest.mark.parametrize("action", ["bound", "each", "fork", "look", "threads", "use"])
def test_the_first_use_is_in_a_child_that_was_forked_in_c(server, action):
    fork(server, action, 5, "unused")


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("action", [*ACTIONS, *FORKING])
def test_many_children_that_were_forked_in_c(server, action):
    fork(server, action, int(os.environ.get("JSONRPCC_FORKS", "100")))
