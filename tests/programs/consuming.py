"""The package in tests/consumer at work: argv says how many calls each way does.

Prints one line a step.  Run on an installed jsonrpcc and an installed consumer.
"""

import gc
import sys
import threading
import warnings
import weakref

import consumer

import jsonrpcc
from jsonrpcc.testing import Server

COUNT = int(sys.argv[1])
WANTED = (COUNT * (COUNT - 1) // 2 + COUNT, COUNT, 0)

methods = {"add": lambda a, b: a + b, "table": lambda: {"one": 1, "two": [{"x": 2}]}}


def own(server):
    """A client that is created and freed in C."""
    assert consumer.add_own(server.address, COUNT) == WANTED
    try:
        consumer.add_own("localhost:70000", 1)
    except ValueError as error:
        assert "port" in str(error), error
    else:
        raise AssertionError("a wrong servers string was taken")


def shared(server):
    """One client, used from C (two ways) and from Python at the same time."""
    told = {}
    with jsonrpcc.Client(server.address, timeout=30) as client:
        adder = consumer.Adder(client)

        def plain():
            told["plain"] = adder.add(COUNT)

        def by_cffi():
            told["cffi"] = consumer.add_by_cffi(client, COUNT)

        threads = [threading.Thread(target=each) for each in (plain, by_cffi)]
        for thread in threads:
            thread.start()
        params = [[i, 1] for i in range(COUNT)]
        total = sum(client.map("add", params))
        for thread in threads:
            thread.join()
        assert adder.names("table") == ["one", "two", "x"]
        assert client.stats().requests == 3 * COUNT + 1
        # What C sees is what Python sees.
        assert client.stats().in_flight == 0
    assert told == {"plain": WANTED, "cffi": WANTED}
    assert total == WANTED[0]
    # Closed for one is closed for both.
    assert adder.add(3) == (0, 0, 3)


def kept_alive(server):
    """The extension's reference keeps the client, and is the last to."""
    client = jsonrpcc.Client(server.address, timeout=30)
    gone = weakref.ref(client)
    adder = consumer.Adder(client)
    del client
    gc.collect()
    assert gone() is not None
    assert adder.add(10) == (55, 10, 0)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "unclosed <Client", ResourceWarning)
        del adder
        gc.collect()
    assert gone() is None


def foreign(server):
    """Objects that are not clients are refused, whatever they look like."""

    class Fake:
        _handle = 1

    class Half(jsonrpcc.Client):
        def __init__(self):
            pass

    for thing in (None, 1, object(), Fake(), jsonrpcc.Client, Half()):
        for use in (consumer.Adder, lambda it: consumer.add_by_cffi(it, 1)):
            try:
                use(thing)
            except TypeError as error:
                assert "Client" in str(error) or "Half" in str(error), error
            else:
                raise AssertionError(f"{thing!r} was taken for a client")


with Server(methods) as server:
    for step in (own, shared, kept_alive, foreign):
        step(server)
        print(step.__name__, flush=True)
