"""Client.map under random events, compared with an oracle."""

import itertools
import os
import queue
import random
import threading

import pytest
from helpers import LIMIT, in_threads

from jsonrpcc import Client, RemoteError
from jsonrpcc.testing import Error, Server

EXAMPLES = int(os.environ.get("JSONRPCC_EXAMPLES", "60"))
BUSY = "map iterator already executing"
# What becomes of an item; "later": its params are made of an earlier result.
BAD = {"object": TypeError, "nan": ValueError, "text": ValueError, "number": TypeError}
KINDS = [*["good"] * 5, "fails", "slow", "later", "pause", *BAD]


def ask(number, kind):
    if kind == "fails":
        raise Error(7, "no")
    if kind == "slow":
        threading.Event().wait(0.002)
    return number


@pytest.fixture(scope="module")
def client():
    # Few in flight: maps wait for room, and for each other.
    with (
        Server({"ask": ask}, keep=0) as server,
        Client(server.address, max_in_flight=16, timeout=LIMIT) as client,
    ):
        yield client


class Run:
    """A map with an input of random items, and threads that share the iterator."""

    def __init__(self, client, seed):
        self.dice = random.Random(seed)
        self.window = self.dice.choice([1, 2, 5, 64])
        self.kinds = self.dice.choices(KINDS, k=self.dice.randrange(60))
        self.raises = self.dice.random() < 0.3
        self.fed = queue.SimpleQueue()
        self.sharing = self.dice.choice([1, 1, 2, 4])
        self.taken, self.ended, self.refused = [], [], set()
        self.results = client.map(
            "ask", self.params(), window=self.window, return_exceptions=True
        )

    def params(self):
        returned = 0
        for number, kind in enumerate(self.kinds):
            if kind == "later" and number > 0:
                # Fed by results: by the first that was not returned yet, of a number
                # at the least a window before this one.
                while returned <= number - self.window:
                    self.fed.get(timeout=LIMIT)
                    returned += 1
            if kind == "pause":
                threading.Event().wait(self.dice.choice([0.001, 0.06]))
            yield {"object": [object()], "nan": [float("nan")], "text": "[1",
                   "number": 7}.get(kind, [number, kind])  # fmt: skip
        if self.raises:
            raise OSError("the input")

    def take(self):
        """Take results until the end, as one of several threads."""
        pause = threading.Event()
        while not self.ended:
            try:
                value = next(self.results)
            except StopIteration:
                self.ended.append("ends")
            except ValueError as error:
                self.refused.add(str(error))
                pause.wait(self.dice.choice([0, 0.0005]))
            except OSError as error:
                self.ended.append(str(error))
            else:
                # Before the next one can be taken by another thread, or behind it:
                # a shared iterator has an order, its takers have none.
                self.taken.append(value)
                self.fed.put(value)
            if self.dice.random() < 0.1:
                pause.wait(0.0005)

    def check(self):
        """Check against the oracle: each item has exactly one outcome, its own."""
        expected = [BAD.get(k, RemoteError if k == "fails" else i)
                    for i, k in enumerate(self.kinds)]  # fmt: skip
        found = [type(v) if isinstance(v, Exception) else v for v in self.taken]
        if self.sharing == 1:
            assert found == expected
        assert sorted(map(repr, found)) == sorted(map(repr, expected))
        assert ("the input" in self.ended) == self.raises
        assert self.refused <= {BUSY}
        with pytest.raises(StopIteration):
            next(self.results)


seeds = itertools.count(random.randrange(1 << 30))


def test_maps_at_random_beside_an_oracle(client):
    """Run several maps at a time, which share the client's room."""
    for _ in range(EXAMPLES // 6):
        seed = next(seeds)
        print(f"seed {seed}")  # of a failure
        runs = [Run(client, f"{seed} {n}") for n in range(3)]
        in_threads(*(run.take for run in runs for _ in range(run.sharing)))
        for run in runs:
            run.check()
    assert client.stats().in_flight == 0
    assert client.call("ask", [7, "good"]) == 7
