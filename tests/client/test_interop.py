"""With an independent implementation: Twisted's NetstringReceiver and pjrpc."""

import subprocess
import sys
from pathlib import Path

import pytest
from helpers import LIMIT, Told

from jsonrpcc import RemoteError

pytest.importorskip("twisted")
pytest.importorskip("pjrpc")

PROGRAM = Path(__file__).parents[1] / "programs" / "twisted_server.py"


@pytest.fixture(scope="module")
def twisted():
    """The address of a server in a process of its own."""
    with subprocess.Popen(
        [sys.executable, PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        yield f"127.0.0.1:{int(process.stdout.readline())}"
        process.stdin.close()
        assert process.wait(LIMIT) == 0


@pytest.mark.parametrize(
    ("method", "params", "result"),
    [
        ("math.add", [1, 2], 3),
        ("math.add", {"a": 1, "b": 2}, 3),
        ("math.add", "{'a': 'x', 'b': \"y\"}", "xy"),
        ("first", None, None),
        ("first", [], None),
        ("first", [None], None),
        ("first", [[False, 0, "", [], {}]], [False, 0, "", [], {}]),
        ("first", ["é😀\0\u2028\"\\'"], "é😀\0\u2028\"\\'"),
        ("first", {"value": [1.5, -2, 2**70]}, [1.5, -2, 2**70]),
        ("first", ["x" * 1_000_000], "x" * 1_000_000),
    ],
)
def test_results(twisted, ask, method, params, result):
    assert ask(twisted, method, params) == result


def test_errors_of_the_method(twisted, ask):
    with pytest.raises(RemoteError) as caught:
        ask(twisted, "fail", [-32001, "no such user", {"id": 7}])
    error = caught.value
    assert (error.code, error.message, error.data) == (
        -32001,
        "no such user",
        {"id": 7},
    )


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("nothing", [], -32601),
        ("math.add", [1], -32602),
        ("math.add", {"c": 1}, -32602),
    ],
)
def test_errors_of_the_protocol(twisted, ask, method, params, code):
    with pytest.raises(RemoteError) as caught:
        ask(twisted, method, params)
    assert caught.value.code == code


def test_notifications(twisted, client_for):
    client = client_for(twisted)
    for i in range(100):
        client.notification("note", [i])
    assert client.call("notes") == list(range(100))


def test_many_at_once(twisted, client_for):
    client = client_for(twisted)
    told = Told()
    for i in range(2000):
        client.request("math.add", [i, i], told.on_result, told.on_error)
    assert client.drain(2 * LIMIT)
    assert sorted(told.outcomes) == [("result", 2 * i) for i in range(2000)]
    params = [{"a": i, "b": 1} for i in range(2000)]
    assert list(client.map("math.add", params)) == list(range(1, 2001))
