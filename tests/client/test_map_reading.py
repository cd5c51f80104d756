"""How Client.map reads params: what it reads is sent, and errors have their turn."""

import itertools
import os
import queue
import threading

import pytest
from helpers import LIMIT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jsonrpcc import Client, ClientClosed, RemoteError
from jsonrpcc.testing import Delay, Error, Server

# "make soak" asks for more.
EXAMPLES = int(os.environ.get("JSONRPCC_EXAMPLES", "60"))


def pause(seconds):
    threading.Event().wait(seconds)


# ---- from the invariant -------------------------------------------------------------

BAD = {"object": TypeError, "nan": ValueError, "text": ValueError, "number": TypeError}
KINDS = ["good", "good", "good", "dict", "fails", "slow", "pause", *BAD]

steps = st.lists(st.sampled_from(KINDS), max_size=40)
endings = st.sampled_from(["ends", "raises"])


class Seen(dict):
    """Return what the server was asked, by run."""

    def ask(self, run, number, kind):
        self.setdefault(run, []).append(number)
        if kind == "fails":
            raise Error(7, "no")
        if kind == "slow":
            pause(0.003)
        return number


@pytest.fixture(scope="module")
def seen():
    return Seen()


@pytest.fixture(scope="module")
def client(seen):
    methods = {"ask": seen.ask}
    with Server(methods, keep=0) as server, Client(server.address) as client:
        yield client


def params_of(kind, run, number):
    return {
        "object": [object()],
        "nan": [float("nan")],
        "text": "[1",
        "number": 7,
        "dict": {"run": run, "number": number, "kind": kind},
    }.get(kind, [run, number, kind])


class Input:
    """The params of one run; it looks at the client whenever it is asked for more."""

    def __init__(self, client, run, kinds, ending, window):
        self.client, self.run, self.window = client, run, window
        self.kinds, self.ending = kinds, ending
        self.given = self.good = self.returned = 0
        self.accepted = client.stats().requests

    def look(self):
        # No more than a quarter of what came quickly is kept for a group.
        sent = self.client.stats().requests - self.accepted
        assert sent >= self.good - self.given // 4
        assert self.given - self.returned <= self.window

    def __iter__(self):
        for number, kind in enumerate(self.kinds):
            self.look()
            if kind == "pause":
                pause(0.06)
            self.given += 1
            self.good += kind not in BAD
            yield params_of(kind, self.run, number)
        self.look()
        if self.ending == "raises":
            raise OSError("the input")


runs = itertools.count()


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    steps, endings, st.sampled_from([1, 2, 3, 7, 1024]), st.booleans(), st.booleans()
)
def test_every_outcome_once_and_in_its_turn(
    client, seen, kinds, ending, window, keep, at_hand
):
    run = next(runs)
    source = Input(client, run, kinds, ending, window)
    if at_hand:
        params, ending = [params_of(k, run, i) for i, k in enumerate(kinds)], "ends"
    else:
        params = source
    got, raised = [], None
    try:
        for value in client.map("ask", params, window=window, return_exceptions=keep):
            got.append(value)
            source.returned += 1
    except (RemoteError, TypeError, ValueError, OSError) as error:
        raised = error
    errors = {**BAD, "fails": RemoteError}
    if not keep:
        first = next((i for i, kind in enumerate(kinds) if kind in errors), None)
        if first is not None:
            assert isinstance(raised, errors[kinds[first]])
            kinds, ending = kinds[:first], ""
    assert len(got) == len(kinds)
    for number, (kind, value) in enumerate(zip(kinds, got, strict=True)):
        if kind in errors:
            assert isinstance(value, errors[kind])
        else:
            assert value == number
    if ending:
        assert (type(raised) is OSError) == (ending == "raises")
    asked = seen.pop(run, [])
    assert asked == sorted(set(asked))
    assert {i for i, kind in enumerate(kinds) if kind not in BAD} <= set(asked)
    assert client.call("ask", [run, 1, "good"]) == 1
    # What was sent behind an error may come only now, before this one.
    assert seen.pop(run)[-1] == 1


# ---- input that raises ------------------------------------------------------------


@pytest.mark.parametrize("keep", [False, True])
def test_what_the_input_raises_comes_after_the_results(serve, client_for, keep):
    server = serve()

    def params():
        for i in range(5):
            yield [i]
        raise OSError("a bad line")

    got = []
    with pytest.raises(OSError, match="a bad line"):  # noqa: PT012
        for value in client_for(server).map("first", params(), return_exceptions=keep):
            got.append(value)  # noqa: PERF402
    assert got == [0, 1, 2, 3, 4]
    assert len(server.requests) == 5


def test_an_interrupt_in_the_input_is_raised_at_once(serve, client_for):
    def params():
        yield [0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        next(client_for(serve(Delay(LIMIT))).map("first", params()))


def test_nothing_is_sent_behind_params_that_end_it(serve, client_for):
    server = serve()
    client = client_for(server)
    results = client.map("first", [[0], [1], [object()], [3], [4]])
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(TypeError):
        next(results)
    assert client.call("first", [7]) == 7
    assert [r.params for r in server.requests] == [[0], [1], [7]]


def test_params_too_large_are_refused_in_their_turn(serve, client_for):
    client = client_for(serve(), max_request=1000)
    params = [[i] if i % 3 else ["x" * 2000] for i in range(30)]
    got = list(client.map("first", params, return_exceptions=True))
    assert [i for i in range(30) if i % 3] == [v for v in got if isinstance(v, int)]
    assert all("larger than max_request" in str(v) for v in got[::3])


@pytest.mark.parametrize("keep", [False, True])
def test_a_client_that_is_closed_ends_it_after_the_results(serve, client_for, keep):
    client = client_for(serve())

    def params():
        for i in range(3):
            yield [i]
        client.close()
        yield from ([i] for i in itertools.count(3))

    got = []
    with pytest.raises(ClientClosed):  # noqa: PT012
        for value in client.map("first", params(), return_exceptions=keep):
            got.append(value)  # noqa: PERF402
    assert len(got) <= 4


# ---- input that takes its time ----------------------------------------------------


def test_a_slow_input_keeps_no_result_back(serve, client_for):
    """Each result is there before the input is asked twice more, unless it is late."""
    client = client_for(serve())
    given = 0

    def params():
        nonlocal given
        for i in range(8):
            given += 1
            yield [i]
            pause(0.1)

    came = [(value, given) for value in client.map("first", params())]
    assert [value for value, _ in came] == list(range(8))
    assert sum(given <= value + 2 for value, given in came) >= 5


def test_what_is_read_is_sent_before_an_input_that_blocks(serve, client_for):
    """If what was read were held back, this input would wait for ever."""
    server = serve()
    client = client_for(server)

    def params():
        for i in range(1, 5):
            yield [i]
            server.wait_for_requests(i, LIMIT)

    assert list(client.map("first", params())) == [1, 2, 3, 4]


@pytest.mark.parametrize("window", [1, 2, 3, 16])
def test_results_that_make_params(serve, client_for, window):
    """Of a window's size there is always one more than are in flight."""
    todo = queue.Queue()
    for i in range(window):
        todo.put(i)

    def params():
        while (value := todo.get(timeout=LIMIT)) is not None:
            yield [value]

    got = []
    for value in client_for(serve()).map("first", params(), window=window):
        got.append(value)
        todo.put(value + window if value + window < 100 else None)
    assert got == list(range(100))


def test_a_full_client_keeps_no_result_back(serve, client_for):
    """Others fill it: what has come is returned though not all read is sent."""
    server = serve(lambda request: None if request.params[0] < 4 else Delay(LIMIT))
    client = client_for(server, max_in_flight=4, timeout=2 * LIMIT)
    results = client.map("first", [[i] for i in range(100)])
    assert [next(results) for _ in range(4)] == [0, 1, 2, 3]
