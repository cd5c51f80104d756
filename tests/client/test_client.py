"""The client for threads: callbacks, blocking calls, futures, proxy."""

import concurrent.futures
import gc
import logging
import queue
import threading
import time
import weakref

import pytest
from helpers import LIMIT, QUICK, Told, until

from jsonrpcc import (
    ClientClosed,
    ConnectionLost,
    QueueFull,
    RemoteError,
    RequestTimeout,
    ServerFailure,
)
from jsonrpcc.testing import Delay, Drop

# ---- request ------------------------------------------------------------------------


def test_a_result_goes_to_on_result_once(serve, client_for):
    client = client_for(serve())
    told = Told()
    client.request("add", [1, 2], told.on_result, told.on_error)
    assert told.next() == ("result", 3)
    client.close()
    assert told.outcomes == [("result", 3)]


def test_an_error_goes_to_on_error_once(serve, client_for):
    client = client_for(serve())
    told = Told()
    client.request("fail", [1, "no"], told.on_result, told.on_error)
    assert isinstance(told.error(), RemoteError)
    client.close()
    assert len(told.outcomes) == 1


@pytest.mark.parametrize("count", [1, 2, 255, 256, 257, 10_000])
def test_every_request_has_one_outcome_its_own(serve, client_for, count):
    # All at once: the last answer comes when the server has done all the others.
    client = client_for(serve(), timeout=LIMIT)
    told = [Told() for _ in range(count)]
    for i, each in enumerate(told):
        method = "fail" if i % 7 == 3 else "first"
        client.request(method, [i], each.on_result, each.on_error)
    assert client.drain(LIMIT)
    for i, each in enumerate(told):
        [(kind, value)] = each.outcomes
        if i % 7 == 3:
            assert (kind, value.code) == ("error", i)
        else:
            assert (kind, value) == ("result", i)


def test_callbacks_run_in_one_thread_that_is_not_the_callers(serve, client_for):
    client = client_for(serve())
    told = Told()
    for _ in range(50):
        client.request("echo", [], told.on_result, told.on_error)
    client.drain()
    assert told.threads == {"jsonrpcc"}


def test_responses_in_another_order_find_their_requests(serve, client_for):
    client = client_for(serve(faults={"echo": Delay(0.05)}))
    order = []
    for method in ("echo", "add", "add"):
        client.request(method, [1, 2], lambda _, method=method: order.append(method))
    client.drain(LIMIT)
    assert order == ["add", "add", "echo"]


def test_without_on_result_the_result_is_dropped(serve, client_for, caplog):
    client = client_for(serve())
    client.request("add", [1, 2])
    assert client.drain(LIMIT)
    assert client.stats().ok == 1
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]


def test_without_on_error_the_error_is_logged(serve, client_for, caplog):
    client = client_for(serve(faults={"never": Drop()}))
    assert client.wait_ready(LIMIT)  # or the time goes into connecting
    client.request("never", ["a secret"], print, timeout=0.2)
    client.request("fail", [1, "no"])
    client.drain(LIMIT)
    errors = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert [each.name for each in errors] == ["jsonrpcc"] * 2
    texts = sorted(each.getMessage() for each in errors)
    assert texts[0].startswith("RemoteError(code=1, message='no', method='fail'")
    assert texts[1].startswith("timeout: never at 127.0.0.1:")
    assert "a secret" not in caplog.text


class Stop(BaseException):
    pass


@pytest.mark.parametrize("raised", [ValueError("oops"), SystemExit(3), Stop("oops")])
@pytest.mark.parametrize("method", ["echo", "fail"])
def test_a_callback_that_raises_is_logged_and_harms_nobody(
    serve, client_for, caplog, method, raised
):
    client = client_for(serve())

    def callback(_):
        raise raised

    told = Told()
    for _ in range(2):
        client.request(method, None, callback, callback)
        client.request("add", [1, 2], told.on_result, told.on_error)
    client.drain(LIMIT)
    assert told.outcomes == [("result", 3)] * 2
    errors = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert len(errors) == 2
    for record in errors:
        assert record.exc_info[1] is raised
        assert repr(method) in record.getMessage()
    assert client.call("add", [3, 4]) == 7


def test_callbacks_may_use_the_client(serve, client_for):
    """Chains of requests in callbacks grow longer than a stack could hold."""
    client = client_for(serve())
    done = queue.SimpleQueue()

    def step(i):
        if i == 3000:
            done.put(i)
        else:
            client.request("first", [i + 1], step)

    client.request("first", [0], step)
    assert done.get(timeout=LIMIT) == 3000


def test_a_blocking_call_in_a_callback_works(serve, client_for):
    """Callbacks have their own thread, so they may block."""
    client = client_for(serve())
    told = Told()
    client.request("first", [1], lambda i: told.on_result(client.call("add", [i, 2])))
    assert told.result() == 3


def test_callbacks_are_released_when_they_have_run(serve, client_for):
    client = client_for(serve())

    class Callback:
        def __call__(self, _):
            pass

    callback = Callback()
    gone = weakref.ref(callback)
    client.request("echo", [], callback, callback)
    del callback
    client.drain(LIMIT)
    gc.collect()
    assert until(lambda: gone() is None)


@pytest.mark.parametrize("method", ["", "a\ud800"])
def test_a_method_is_a_non_empty_text(serve, client_for, method):
    client = client_for(serve())
    for use in (client.request, client.notification, client.call, client.submit):
        with pytest.raises(ValueError, match="method"):
            use(method)
    assert client.stats().requests == 0


@pytest.mark.parametrize("method", [None, 7, b"add", ["add"]])
def test_a_method_is_a_str(serve, client_for, method):
    client = client_for(serve())
    for use in (client.request, client.notification, client.call, client.submit):
        with pytest.raises(TypeError):
            use(method)


@pytest.mark.parametrize(
    "method",
    [
        "m",
        "m.n-o/p",
        "é😀",
        'a"b',
        "a\\b",
        "a\nb",
        "a\0b",
        '","id":1,"x":"',
        "x" * 100_000,
    ],
)
def test_any_method_arrives_as_it_is(serve, client_for, method):
    server = serve(methods={method: lambda: 7})
    assert client_for(server).call(method) == 7


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), 1e9])
def test_a_timeout_is_positive_and_finite(serve, client_for, timeout):
    client = client_for(serve())
    for use in (client.request, client.notification, client.call, client.submit):
        with pytest.raises(ValueError, match="timeout must be"):
            use("echo", timeout=timeout)
    with pytest.raises(TypeError, match="timeout must be"):
        client.call("echo", timeout="1")
    assert client.stats().requests == 0


# ---- notification -------------------------------------------------------------------


def test_a_notification_has_no_id_and_needs_no_answer(serve, client_for):
    server = serve()
    client = client_for(server)
    assert client.notification("note", {"a": 1}) is None
    client.notification("note", "{'a': 1}")
    client.notification("note")
    notes = server.wait_for_requests(3)
    assert [note.params for note in notes] == [{"a": 1}, {"a": 1}, None]
    assert notes[2].raw == b'{"jsonrpc":"2.0","method":"note"}'
    until(lambda: client.stats().ok == 3)
    assert client.stats().notifications == 3


def test_requests_and_notifications_arrive_in_order(serve, client_for):
    server = serve()
    client = client_for(server)
    for i in range(500):
        (client.notification if i % 3 else client.request)("note", [i])
    seen = server.wait_for_requests(500)
    assert [request.params for request in seen] == [[i] for i in range(500)]


def test_a_notification_that_no_server_takes_is_dropped_in_time(serve, client_for):
    server = serve()
    server.blackhole()
    client = client_for(server, connect_timeout=30)
    client.notification("note", timeout=0.02)
    until(lambda: client.stats().timeouts == 1)
    assert client.stats().in_flight == 0


# ---- call ---------------------------------------------------------------------------


def test_call_returns_the_result_or_raises(serve, client_for):
    client = client_for(serve(faults={"never": Drop()}))
    assert client.call("add", [1, 2]) == 3
    with pytest.raises(RemoteError, match="it failed"):
        client.call("fail")
    with pytest.raises(RemoteError, match="Method not found"):
        client.call("nothing")
    before = time.monotonic()
    with pytest.raises(RequestTimeout):
        client.call("never", timeout=0.05)
    assert 0.05 <= time.monotonic() - before < 1


def test_calls_of_many_threads_do_not_mix(serve, client_for):
    client = client_for(serve())

    def work(name):
        return all(client.call("echo", [name, i]) == [name, i] for i in range(200))

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))


# ---- submit -------------------------------------------------------------------------


def test_submit_gives_a_future(serve, client_for):
    client = client_for(serve())
    futures = [client.submit("first", [i]) for i in range(500)]
    concurrent.futures.wait(futures, LIMIT)
    assert [future.result(0) for future in futures] == list(range(500))
    failing = client.submit("fail")
    assert isinstance(failing.exception(LIMIT), RemoteError)
    with pytest.raises(RemoteError):
        failing.result()


def test_cancelling_the_future_cancels_the_call(serve, client_for):
    server = serve(Drop())
    client = client_for(server)
    future = client.submit("echo", timeout=60)
    server.wait_for_requests(1)
    assert future.cancel()
    assert future.cancelled()
    until(lambda: client.stats().cancelled == 1)
    until(lambda: client.stats().in_flight == 0)
    with pytest.raises(concurrent.futures.CancelledError):
        future.result(0)


def test_a_future_that_is_done_cannot_be_cancelled(serve, client_for):
    client = client_for(serve())
    future = client.submit("add", [1, 2])
    assert future.result(LIMIT) == 3
    assert not future.cancel()
    assert future.result() == 3


def test_close_fails_pending_futures(serve, client_for):
    server = serve(Drop())
    client = client_for(server)
    future = client.submit("echo")
    server.wait_for_requests(1)
    client.close()
    assert isinstance(future.exception(0), ClientClosed)


# ---- proxy --------------------------------------------------------------------------


def test_proxy_names_methods(serve, client_for):
    def named(**params):
        return params

    server = serve(methods={"math.add": lambda a, b: a + b, "n": named, "a.b.c": list})
    proxy = client_for(server).proxy
    assert proxy.math.add(1, 2) == 3
    assert proxy.math.add(a=1, b=2) == 3
    assert proxy.n(x=1) == {"x": 1}
    assert proxy.a.b.c() == []
    assert server.requests[-1].params is None
    with pytest.raises(TypeError, match="positional or named"):
        proxy.math.add(1, b=2)
    with pytest.raises(AttributeError):
        proxy.__wrapped__  # noqa: B018


# ---- what a call may do -------------------------------------------------------------


def test_a_full_client_refuses_or_waits(serve, client_for):
    server = serve(faults={"never": Drop()})
    client = client_for(server, max_in_flight=1)
    call = client.request("never", [], timeout=60)
    for use in (client.request, client.notification):
        with pytest.raises(QueueFull):
            use("echo", [], block=False)
        with pytest.raises(QueueFull):
            use("echo", [], timeout=0.05)
    with pytest.raises(QueueFull):
        client.call("echo", [], timeout=0.05)
    threading.Timer(0.05, call.cancel).start()
    assert client.call("echo", []) == []


def test_idempotent_calls_are_sent_again_others_are_not(serve, client_for):
    """Only the caller knows whether running twice is harmless."""
    server = serve(Drop())
    client = client_for(server, timeout=30, **QUICK)
    told = Told()
    for idempotent in (False, True):
        client.request(
            "echo", [idempotent], told.on_result, told.on_error, idempotent=idempotent,
            wait_for_ready=True,
        )  # fmt: skip
    server.wait_for_requests(2)
    server.behave()
    server.drop_connections()
    outcomes = sorted((told.next(), told.next()), key=lambda outcome: outcome[0])
    assert isinstance(outcomes[0][1], ConnectionLost)
    assert outcomes[1] == ("result", [True])
    sent = [request.params for request in server.requests]
    assert sorted(sent) == [[False], [True], [True]]
    assert client.stats().resent == 1


def test_wait_for_ready_waits_for_a_server_others_fail_at_once(serve, client_for):
    server = serve()
    server.stop()
    client = client_for(server, timeout=30, **QUICK)
    with pytest.raises(ServerFailure) as caught:
        client.call("add", [1, 2])
    assert caught.value.fate == "not_sent"
    future = client.submit("add", [1, 2], wait_for_ready=True)
    with pytest.raises(RequestTimeout) as late:
        client.call("add", [1, 2], wait_for_ready=True, timeout=0.05)
    assert late.value.fate == "not_sent"
    server.start()
    assert future.result(LIMIT) == 3
