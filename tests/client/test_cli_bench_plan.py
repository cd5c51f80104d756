"""``jsonrpcc bench``: what it calls, and when."""

import collections
import itertools
import json

import msgspec
import pytest
from bench_plans import plan
from command_line import in_process

from jsonrpcc._cli.bench_plan import Share, arrivals, calls, read_shares


@pytest.fixture
def run(capsys, monkeypatch):
    """Run a command in this process; the code, stdout and the lines of stderr."""
    monkeypatch.delenv("JSONRPCC_SERVERS", raising=False)

    return lambda *args: in_process(["bench", *args], capsys)


def test_constant_arrivals_of_processes_interleave():
    merged = sorted(
        itertools.chain.from_iterable(
            itertools.islice(arrivals(plan(index=i, processes=3)), 10) for i in range(3)
        )
    )
    assert merged == pytest.approx([n / 200 for n in range(30)])


def test_poisson_arrivals_have_the_rate_and_differ_by_process():
    random = plan(arrivals="poisson", processes=2)
    first, second = (
        list(itertools.islice(arrivals(msgspec.structs.replace(random, index=i)), 5000))
        for i in range(2)
    )
    assert first != second
    assert first == sorted(first)
    assert first[-1] == pytest.approx(5000 / 100, rel=0.1)
    gaps = [b - a for a, b in itertools.pairwise(first)]
    mean = sum(gaps) / len(gaps)
    variance = sum((gap - mean) ** 2 for gap in gaps) / len(gaps)
    assert variance == pytest.approx(mean**2, rel=0.2)  # as in all Poisson processes


def test_numbers_in_params_are_those_of_all_processes():
    made = [
        params
        for i in range(2)
        for _, params in itertools.islice(calls(plan(index=i, processes=2)), 3)
    ]
    assert made == ["[0, 1]", "[2, 1]", "[4, 1]", "[1, 1]", "[3, 1]", "[5, 1]"]


def test_random_params_repeat_with_the_seed():
    def some(**changes):
        shares = [Share("add", "[{random}, {random}]")]
        each = calls(plan(shares=shares, **changes))
        return [json.loads(params)[0] for _, params in itertools.islice(each, 50)]

    assert some() == some()
    assert some() != some(seed=2)
    assert some() != some(index=1, processes=2)
    assert len(set(some())) > 45
    assert all(0 <= number < 2**31 for number in some())


def test_methods_come_by_weight(tmp_path):
    file = tmp_path / "methods"
    file.write_text("# what users do\n3 get [{n}]\n\n1 put {'a': 1}\n0.0001 list\n")
    shares = read_shares(None, None, str(file))
    assert shares == [
        Share("get", "[{n}]", 3),
        Share("put", "{'a': 1}", 1),
        Share("list", None, 0.0001),
    ]  # fmt: skip
    made = itertools.islice(calls(plan(shares=shares)), 4000)
    counts = collections.Counter(method for method, _ in made)
    assert counts["get"] == pytest.approx(3000, rel=0.1)
    assert counts["put"] == pytest.approx(1000, rel=0.2)


@pytest.mark.parametrize(
    "line", ["get", "x get", "0 get", "-1 get", "inf get", "nan a"]
)
def test_a_wrong_line_of_methods_says_where(tmp_path, run, line):
    file = tmp_path / "methods"
    file.write_text(f"1 get\n{line}\n")
    code, _, (error,) = run("127.0.0.1:1", "--methods", str(file))
    assert code == 2
    assert f"{file}:2: WEIGHT METHOD [PARAMS] is expected" in error
