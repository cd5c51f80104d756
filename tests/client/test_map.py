"""Client.map: results in order, limits, errors in their turn."""

import itertools
import threading

import pytest
from helpers import LIMIT, until
from time_limits import PATIENCE

from jsonrpcc import (
    ClientClosed,
    ConnectionLost,
    InvalidResponse,
    RemoteError,
    RequestTimeout,
)
from jsonrpcc.testing import Chaos, Close, Delay, Drop, Payload


@pytest.mark.parametrize("count", [0, 1, 255, 256, 257, 1024, 1025, 5000])
def test_results_come_in_order(serve, client_for, count):
    client = client_for(serve())
    assert list(client.map("first", ([i] for i in range(count)))) == list(range(count))


def test_results_come_in_order_though_answers_do_not(serve, client_for):
    server = serve(Chaos(1, {Delay(0.001): 0.2, Delay(0.003): 0.2}))
    client = client_for(server)
    assert list(client.map("first", ([i] for i in range(2000)))) == list(range(2000))


@pytest.mark.parametrize("window", [1, 2, 255, 256, 257, 1000])
def test_no_more_than_the_window_is_read_ahead(serve, client_for, window):
    client = client_for(serve())
    taken = 0

    def params():
        nonlocal taken
        for i in range(3 * window):
            taken += 1
            yield [i]

    for yielded, value in enumerate(client.map("first", params(), window=window)):
        assert value == yielded
        assert taken <= yielded + 1 + window
        assert client.stats().in_flight <= window
    assert taken == 3 * window


def test_the_window_bounds_what_a_server_sees(serve, client_for):
    server = serve(Drop())
    client = client_for(server, timeout=0.2)
    with pytest.raises(RequestTimeout):
        next(client.map("echo", itertools.repeat([]), window=7))
    assert len(server.requests) == 7


def test_nothing_is_read_before_the_first_next(serve, client_for):
    client = client_for(serve())
    params = iter([[1], [2]])
    results = client.map("first", params)
    assert next(params) == [1]
    assert list(results) == [2]


def test_params_may_be_of_all_kinds_mixed(serve, client_for):
    client = client_for(serve())
    params = [[1], "['a']", {"b": 2}, b'{"c": "d"}', None, (3,), "{'e': [\"f'\"]}"]
    want = [[1], ["a"], {"b": 2}, {"c": "d"}, [], [3], {"e": ["f'"]}]
    assert list(client.map("echo", params * 100)) == want * 100
    assert list(client.map("echo", [None] * 3)) == [[], [], []]


def test_texts_with_brackets_and_quotes_are_cut_right(serve, client_for):
    client = client_for(serve())
    values = ['a"b', "a\\", "[1,2]", "}{", ",", '\\"', "\u2028é😀\0", "", "'", " "]
    params = [[value] for value in values] + [{"k": [v, {v: v}]} for v in values]
    want = params[:10] + params[10:]
    assert list(client.map("echo", params)) == want


def test_the_first_error_is_raised_in_its_turn(serve, client_for):
    def fault(request):
        return Payload('{"id":$id,"error":"no"}') if request.params[0] == 5 else None

    client = client_for(serve(fault))
    got = []
    with pytest.raises(RemoteError, match="no"):  # noqa: PT012
        for value in client.map("first", ([i] for i in range(1000))):
            got.append(value)  # noqa: PERF402
    assert got == [0, 1, 2, 3, 4]
    assert client.call("first", [7]) == 7


def test_errors_may_stand_among_the_results(serve, client_for):
    kinds = [
        Payload('{"id":$id,"error":"no"}'),
        Payload('{"id":$id}'),
        Payload('{"id":$id,"result":1e999}'),
        Drop(),
        (),
    ]
    client = client_for(serve(lambda request: kinds[request.params[0] % 5]))
    params = ([i] for i in range(500))
    classes = [RemoteError, InvalidResponse, InvalidResponse, RequestTimeout]
    limit = 0.5 * PATIENCE  # all that are answered are answered sooner
    results = list(client.map("first", params, timeout=limit, return_exceptions=True))
    for i, value in enumerate(results):
        assert value == i if i % 5 == 4 else isinstance(value, classes[i % 5])


def test_a_lost_connection_fails_its_calls_only(serve, client_for):
    server = serve(lambda request: Close(0) if request.params[0] == 700 else None)
    client = client_for(server, reconnect_delay=0.01)
    results = client.map(
        "first", ([i] for i in range(2000)), return_exceptions=True,
        wait_for_ready=True, window=100,
    )  # fmt: skip
    lost = 0
    for i, value in enumerate(results):
        if isinstance(value, ConnectionLost):
            assert 601 <= i <= 800
            lost += 1
        else:
            assert value == i
    assert 1 <= lost <= 100


def test_closing_the_generator_early_leaves_nothing_behind(serve, client_for):
    server = serve(Delay(0.01))
    client = client_for(server)
    results = client.map("first", ([i] for i in itertools.count()), window=300)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    results.close()
    with pytest.raises(StopIteration):
        next(results)
    del results
    until(lambda: client.stats().in_flight == 0)
    assert client.call("first", [7]) == 7
    assert client.stats().undelivered_bytes == 0


def test_a_map_outlives_the_callers_interest(serve, client_for):
    """The answers for a generator that is gone find no queue."""
    client = client_for(serve(Delay(0.005)))
    for _ in range(50):
        next(client.map("first", ([i] for i in range(10))))
    assert client.call("first", [7]) == 7
    until(lambda: client.stats().in_flight == 0)


def test_what_the_iterable_raises_comes_through(serve, client_for):
    client = client_for(serve())

    def params():
        yield [0]
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        list(client.map("first", params()))
    assert client.call("first", [7]) == 7


@pytest.mark.parametrize(
    ("bad", "error", "text"),
    [
        ("[1", ValueError, "offset"),
        (7, TypeError, "params must be"),
        ([float("nan")], ValueError, "NaN|nan"),
        ([object()], TypeError, ""),
        ("7", ValueError, "array or an object"),
    ],
)
def test_wrong_params_are_refused(serve, client_for, bad, error, text):
    client = client_for(serve())
    with pytest.raises(error, match=text or None):
        list(client.map("first", [[0], [1], bad]))
    assert client.call("first", [7]) == 7


@pytest.mark.parametrize("window", [0, -1, 1.5, "7", True])
def test_a_window_is_a_positive_integer(serve, client_for, window):
    with pytest.raises(ValueError, match="window"):
        client_for(serve()).map("first", [], window=window)


def test_arguments_are_checked_at_the_call(serve, client_for):
    client = client_for(serve())
    with pytest.raises(ValueError, match="timeout"):
        client.map("first", [], timeout=0)
    with pytest.raises(TypeError, match="method"):
        client.map(7, [])
    with pytest.raises(TypeError, match="iterable"):
        client.map("first", 7)


def test_more_calls_than_the_client_takes_at_once(serve, client_for):
    client = client_for(serve(), max_in_flight=3)
    assert list(client.map("first", ([i] for i in range(1000)))) == list(range(1000))


def test_many_runs_share_a_client(serve, client_for):
    client = client_for(serve(), max_in_flight=50)
    got = {}

    def work(name):
        got[name] = list(client.map("echo", ([name, i] for i in range(500))))

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    assert got == {name: [[name, i] for i in range(500)] for name in range(4)}


def test_close_ends_a_run(serve, client_for):
    server = serve(Delay(60))
    client = client_for(server, timeout=60)
    server_saw = threading.Thread(
        target=lambda: (server.wait_for_requests(1), client.close())
    )
    server_saw.start()
    with pytest.raises(ClientClosed):
        list(client.map("first", [[1], [2]]))
    server_saw.join(LIMIT)
