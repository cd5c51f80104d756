"""
Every entry point of jsonrpcc._speedups, once for each way out of it.

Each function leaves nothing behind; programs/references.py counts.  The server is
that of programs/server.py, the client a `Client`, or an `AsyncClient` where
calls are awaited.
"""

import asyncio
import contextlib
import ctypes
import logging
import signal
import threading

from history import LIMIT

from jsonrpcc import AsyncClient, Client, JsonRpcError, capi
from jsonrpcc import _capsule as capsule
from jsonrpcc._speedups import (
    Blocking,
    Call,
    Callbacks,
    Futures,
    Ordered,
    Pending,
    bind,
)

wrong = contextlib.suppress(TypeError, ValueError, OverflowError)
failing = contextlib.suppress(JsonRpcError)


def address_of(client):
    server = client.servers()[0]
    return f"{server.host}:{server.port}"


def fail(*_):
    raise ValueError("on purpose")


def ignore(*_):
    pass


# ---- callbacks ---------------------------------------------------------------------


def request(client):
    client.request("echo", [1], ignore, ignore)
    client.request("echo", {"nonce": 1})
    client.request("echo", params=(1,), on_result=ignore, on_error=ignore,
                   timeout=2.0, idempotent=True, wait_for_ready=False)  # fmt: skip


def request_unusual(client):
    client.request("echo", "[1]", ignore, timeout=2, idempotent=1)
    client.request("echo", [1], ignore, block=False)


def request_wrong(client):
    for args in ((), (7,), ("",), ("a\ud800",), ("echo", 7), ("echo", [object()]),
                 ("echo", "{"), ("echo", [1], None, None, None)):  # fmt: skip
        with wrong:
            client.request(*args)
    for options in ({"timeout": -1}, {"params": [], "x": 1}, {"timeout": "x"}):
        with wrong:
            client.request("echo", **options)


def request_errors(client):
    client.request("nobody", [1], None, ignore)
    client.request("nobody", [1], ignore)  # logged
    client.request("broken", None, ignore, ignore)


def callback_raises(client):
    client.request("echo", [1], fail)
    client.request("nobody", [1], None, fail)
    client.drain(LIMIT)


def callback_submits(client):
    done = threading.Event()
    client.request("echo", [1], lambda _: client.request(
        "echo", [2], lambda _: done.set()))  # fmt: skip
    assert done.wait(LIMIT)


def request_cancel(client):
    call = client.request("silence", None, ignore, ignore)
    assert "silence" in repr(call)
    assert call.method == "silence"
    call.cancel()
    call.cancel()


def request_full(client):
    with Client(address_of(client), max_in_flight=2, timeout=0.5) as small:
        for _ in range(4):
            with failing:
                small.request("silence", None, ignore, ignore, block=False)


def request_closed(client):
    closed = Client(address_of(client))
    closed.close()
    for method in ("request", "notification", "call", "submit"):
        with failing:
            getattr(closed, method)("echo", [1])
    with failing:
        list(closed.map("echo", [[1]]))


def notification(client):
    client.notification("note", [1])
    client.notification("note", {"a": 1}, timeout=2.0)
    client.notification("note", "[1]", timeout=2)
    with wrong:
        client.notification("note", 7)
    with wrong:
        client.notification("note", [1], idempotent=True)
    client.drain(LIMIT)


# ---- blocking ----------------------------------------------------------------------


def call(client):
    assert client.call("echo", [1]) == [1]
    assert client.call("echo", params={"nonce": 1}, timeout=2.0) == [1]


def call_unusual(client):
    assert client.call("echo", "[1]", timeout=2, idempotent=1) == [1]


def call_wrong(client):
    for args in ((), (7,), ("",), ("echo", 7), ("echo", [object()]), ("echo", "{")):
        with wrong:
            client.call(*args)
    with wrong:
        client.call("echo", on_result=ignore)


def call_errors(client):
    for method in ("nobody", "broken"):
        with failing:
            client.call(method)


def call_timeout(client):
    with failing:
        client.call("silence", None, timeout=0.001)


def call_interrupted(client):
    with contextlib.suppress(InterruptedError):
        signal.setitimer(signal.ITIMER_REAL, 0.005)
        client.call("silence", None, timeout=5.0)


def call_nobody_there(client):
    with Client("127.0.0.1:1", timeout=1) as alone, failing:
        alone.call("echo", [1])


def call_by_json(client):
    with Client(address_of(client), codec="json") as plain:
        assert plain.call("echo", [None, 1]) == [None]
        with wrong:
            plain.call("echo", [float("nan")])


# ---- futures, bulk -----------------------------------------------------------------


def submit(client):
    assert client.submit("echo", [1]).result(LIMIT) == [1]
    with failing:
        client.submit("nobody").result(LIMIT)
    client.submit("silence").cancel()


def map_(client):
    assert list(client.map("echo", ([i] for i in range(9)), window=4))[8] == [8]


def map_errors(client):
    params = [[1], "[2]", {"nonce": 3}, None]
    assert len(list(client.map("echo", params, return_exceptions=True))) == 4
    with failing:
        list(client.map("nobody", params))


def map_wrong(client):
    with wrong:
        list(client.map("echo", [[1], 7]))
    with wrong:
        list(client.map("echo", map(fail, [1])))


def map_dropped(client):
    results = client.map("echo", [[i] for i in range(9)], window=4)
    next(results)
    results.close()
    assert next(results, None) is None
    next(client.map("echo", [[i] for i in range(9)], window=4))


# ---- slow calls --------------------------------------------------------------------

logger = logging.getLogger("jsonrpcc.slow")
logger.addHandler(logging.NullHandler())
logger.propagate = False


def slow(client):
    """Every call is slow here."""
    with Client(address_of(client), slow_call=0.000001) as each:
        assert each.call("echo", [1]) == [1]
        assert each.submit("echo", [1]).result(LIMIT) == [1]
        assert list(each.map("echo", [[1]])) == [[1]]
        with failing:
            each.call("nobody")


async def await_slow(client):
    async with AsyncClient(address_of(client), slow_call=0.000001) as each:
        assert await each.call("echo", [1]) == [1]
        with failing:
            await each.call("nobody")


# ---- asyncio -----------------------------------------------------------------------


async def await_(client):
    assert await client.call("echo", [1]) == [1]
    calls = [client.call("echo", params=[i], timeout=2.0) for i in range(5)]
    assert len(await asyncio.gather(*calls)) == 5
    pending = client.call("echo", [1])
    assert "echo" in repr(pending)
    assert pending.method == "echo"
    await pending
    await asyncio.create_task(client.call("echo", {"nonce": 1}))


async def await_unusual(client):
    await client.call("echo", "[1]", timeout=2, idempotent=1)
    await client.notification("note", [1])
    await client.notification("note", "[1]", timeout=1)


async def await_wrong(client):
    for args in ((7,), ("",), ("echo", 7), ("echo", [object()]), ("echo", "{")):
        with wrong:
            await client.call(*args)


async def await_errors(client):
    for method in ("nobody", "broken"):
        with failing:
            await client.call(method)


async def await_cancel(client):
    for params in (None, "[]"):  # in _speedups, and in Python
        task = asyncio.create_task(client.call("silence", params))
        await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(client.call("silence"), 0.001)


async def await_nothing(client):
    client.call("silence").close()
    for _ in range(2):
        pending = client.call("silence")
        with contextlib.suppress(KeyError):
            pending.throw(KeyError("on purpose"))
        with contextlib.suppress(RuntimeError):
            await pending
        pending = client.call("silence")
        pending.send(None)
        pending.close()
        pending = client.call("silence")
        pending.send(None)  # dropped
        del pending
    with failing:
        await client.call("silence", timeout=0.001)


async def await_many(client):
    async with AsyncClient(address_of(client)) as fresh:
        left = [asyncio.ensure_future(fresh.call("silence")) for _ in range(3)]
        assert await fresh.call("echo", [1]) == [1]
    assert len(await asyncio.gather(*left, return_exceptions=True)) == 3


# ---- clients, and what is left -------------------------------------------------------


def clients(client):
    with Client(address_of(client)) as fresh:
        fresh.call("echo", [1])
        fresh.request("silence", None, ignore, ignore)


def clients_dropped(client):
    fresh = Client(address_of(client), on_event=ignore, codec="json")
    fresh.call("echo", [1])
    fresh.request("silence", None, ignore, ignore)
    fresh.itself = fresh


def clients_wrong(client):
    with wrong:
        Client("nothing")
    with wrong:
        Client(address_of(client), timeout=-1)
    with wrong:
        Client(address_of(client), codec=7)


def looks(client):
    repr(client)
    client.stats()
    client.servers()
    client.proxy.echo(1)
    client.drain(LIMIT)


def tables(client):
    assert capi.client_pointer(client)
    with wrong:
        capi.client_pointer(7)
    capsule.capsule(int(capi.ffi.cast("uintptr_t", capi.table())), capi._address_of)
    for args in ((), (0, ignore), ("x", ignore)):
        with wrong:
            capsule.capsule(*args)


def types_wrong(client):
    """Call with wrong arguments what only our own Python code calls."""
    for kind in (Blocking, Callbacks, Futures, Ordered, Call, Pending):
        for options in ({}, {"encode": 1}, {"window": 0}):
            with wrong:
                kind(**options)
    for kind in (Blocking, Callbacks, Futures, Ordered):
        kind.__new__(kind)
    for table in ({}, 0, "x"):
        with wrong:
            bind(table)


def planted(client):
    """Leak on purpose: the leak must be found."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(object()))


def nothing(client):
    """Do nothing: what the measurement itself leaves."""


BLOCKING = [
    request, request_unusual, request_wrong, request_errors, callback_raises,
    callback_submits, request_cancel, request_full, request_closed, notification, call,
    call_unusual, call_wrong, call_errors, call_timeout, call_interrupted,
    call_nobody_there, call_by_json, submit, map_, map_errors, map_wrong, map_dropped,
    clients, clients_dropped, clients_wrong, looks, tables, types_wrong, planted,
    nothing, slow,
]  # fmt: skip
AWAITING = [
    await_, await_unusual, await_wrong, await_errors, await_cancel, await_nothing,
    await_many, await_slow,
]  # fmt: skip
SLOW = [
    request_full, request_closed, call_interrupted, call_nobody_there, call_by_json,
    clients, clients_dropped, await_many, slow, await_slow,
]  # fmt: skip
