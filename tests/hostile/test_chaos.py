"""
Everything at once, over real sockets: each call still has its one true outcome.

A failing seed is repeated by "python tests/programs/chaos.py SEED SECONDS".
"""

from itertools import islice

import pytest
from children import run_program
from misbehaviour import RATES, Misbehaviour, plan
from time_limits import PATIENCE
from witness import Frame, netstring, take_payloads


def check(report):
    """No promise is broken, and enough went wrong for that to mean something."""
    print(report)
    assert report["broken"] == []
    assert report["garbage"] == 0  # no server received bytes that were not netstrings
    outcomes = report["outcomes"]
    assert sum(outcomes.values()) > 500
    assert outcomes["ok"] > 100
    assert sum(report["faults"].values()) > 5
    assert sum(report["misbehaved"].values()) > 50
    assert report["calms"] > 0


@pytest.mark.parametrize("seed", [1, 2])
def test_chaos(seed):
    check(run_program("chaos.py", seed, 8, limit=55 * PATIENCE).report())


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", range(100, 104))
def test_longer_chaos(seed):
    check(run_program("chaos.py", seed, 60, limit=300).report())


def test_the_same_seed_means_the_same_faults():
    faults = ["a", "b", "c"]
    first, again, other = (
        list(islice(plan(seed, faults, 4), 500)) for seed in (7, 7, 8)
    )
    assert first == again != other
    assert {step.fault for step in first if step} == set(faults)


def frames(count):
    payload = b'{"jsonrpc":"2.0","method":"echo","id":%d,"params":[%d]}'
    return [Frame(1, 0.0, payload % (i + 1, i)) for i in range(count)]


def test_the_same_seed_means_the_same_answers():
    first, again, other = (Misbehaviour(seed) for seed in (7, 7, 8))
    answers = [
        [each(frame) for frame in frames(4000)] for each in (first, again, other)
    ]
    assert answers[0] == answers[1] != answers[2]
    assert first.counts.keys() == RATES.keys()  # all of it happens


def test_the_witness_reads_any_chunking():
    data = netstring(b"") + netstring(b"{}") * 3 + netstring(b"x" * 1000)
    for size in (1, 2, 3, 7, 100, len(data)):
        buffer, payloads = bytearray(), []
        for i in range(0, len(data), size):
            buffer += data[i : i + size]
            payloads += take_payloads(buffer)
        assert payloads == [b"", b"{}", b"{}", b"{}", b"x" * 1000]
        assert not buffer
