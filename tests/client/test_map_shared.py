"""One map iterator, and others that use it meanwhile: refused, without harm."""

import contextlib
import itertools
import json
import signal
import threading
import time

import pytest
from helpers import LIMIT, in_threads

from jsonrpcc.testing import Delay

BUSY = "already executing"
COUNT = 400


@pytest.mark.parametrize("window", [1, 2, 8, 1024])
def test_threads_on_one_iterator_lose_nothing(serve, client_for, window):
    """Threads that find it busy get an error; each result goes to one, in order."""
    client = client_for(serve(), timeout=LIMIT)
    results = client.map("first", ([i] for i in range(COUNT)), window=window)
    taken = [[] for _ in range(4)]
    refused = []
    never = threading.Event()

    def pull(mine):
        end = time.monotonic() + LIMIT
        while time.monotonic() < end:
            try:
                mine.append(next(results))
            except StopIteration:
                return
            except ValueError as error:
                refused.append(str(error))
                never.wait(0.0001)
        pytest.fail("it never ends")

    in_threads(*(lambda mine=mine: pull(mine) for mine in taken))
    assert sorted(itertools.chain(*taken)) == list(range(COUNT))
    assert all(mine == sorted(mine) for mine in taken)
    assert all(BUSY in text for text in refused)
    # What the core has for all who wait is whole.
    assert client.call("first", [7]) == 7
    assert list(client.map("first", [[1], [2]])) == [1, 2]


def test_a_second_thread_is_refused_at_once(serve, client_for):
    """Even while the first one waits for an answer, or for its params."""
    server = serve(Delay(0.2))
    client = client_for(server, timeout=LIMIT)
    entered, leave = threading.Event(), threading.Event()

    def params():
        yield [0]
        entered.set()
        assert leave.wait(LIMIT)
        yield [1]

    results = client.map("first", params())
    got = []
    first = threading.Thread(target=lambda: got.extend(results))
    first.start()
    assert entered.wait(LIMIT)
    for use in (results.__next__, results.close):
        with pytest.raises(ValueError, match=BUSY):
            use()
    leave.set()
    server.wait_for_requests(2)
    with pytest.raises(ValueError, match=BUSY):
        next(results)
    first.join(LIMIT)
    assert got == [0, 1]
    with pytest.raises(StopIteration):
        next(results)


class Reentrant:
    """A codec whose every use takes the next result, or tries to."""

    results = None
    refused = 0

    def _take(self):
        if self.results is not None:
            with pytest.raises(ValueError, match=BUSY):
                next(self.results)
            self.refused += 1

    def encode(self, value):
        self._take()
        return json.dumps(value)

    def decode(self, text):
        self._take()
        return json.loads(text)


def test_it_is_refused_in_the_codec(serve, client_for):
    codec = Reentrant()
    client = client_for(serve(), codec=codec)
    results = codec.results = client.map("first", ([i] for i in range(50)))
    assert list(results) == list(range(50))
    assert codec.refused >= 50


def test_it_is_refused_in_the_params(serve, client_for):
    client = client_for(serve())

    def params():
        for i in range(50):
            for use in (results.__next__, results.close):
                with pytest.raises(ValueError, match=BUSY):
                    use()
            yield [i]

    results = client.map("first", params(), window=4)
    assert list(results) == list(range(50))


@contextlib.contextmanager
def alarm(handler, *seconds):
    """Call it with such an alarm; then restore the one that limits each test."""
    before = signal.signal(signal.SIGALRM, handler)
    limit = signal.setitimer(signal.ITIMER_REAL, *seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *limit)
        signal.signal(signal.SIGALRM, before)


def test_it_is_refused_in_a_signal_handler(serve, client_for):
    client = client_for(serve(Delay(0.002)), timeout=LIMIT)
    refused = []

    def handler(*_):
        # Between two results it is free: what is taken then is the handler's.
        try:
            taken.append(next(results))
        except ValueError as error:
            refused.append(str(error))
        except StopIteration:
            pass

    taken = []
    results = client.map("first", ([i] for i in range(COUNT)), window=4)
    with alarm(handler, 0.001, 0.001):
        got = list(results)
    assert sorted(got + taken) == list(range(COUNT))
    assert got == sorted(got)
    assert refused
    assert all(BUSY in text for text in refused)


@pytest.mark.parametrize("error", [OSError, ValueError, KeyboardInterrupt])
def test_what_a_signal_handler_raises_is_raised(serve, client_for, error):
    """It is neither the outcome of a call nor caused by the params."""
    client = client_for(serve(Delay(0.001)), timeout=LIMIT)

    def handler(*_):
        raise error("from outside")

    params = ([i] for i in itertools.count())
    end = time.monotonic() + LIMIT
    with alarm(handler, 0.05), pytest.raises(error, match="outside"):  # noqa: PT012
        for value in client.map("first", params, return_exceptions=True):
            assert isinstance(value, int)
            assert time.monotonic() < end, "what the handler raised is lost"
    assert client.call("first", [7]) == 7
