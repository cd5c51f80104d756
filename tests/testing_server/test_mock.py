"""`jsonrpcc.testing.MockServer`: canned replies, and reports of what was unexpected."""

import asyncio
import threading
from unittest.mock import ANY

import pytest

import jsonrpcc
from jsonrpcc.testing import Delay, Drop, Error, MockServer, Request

UNEXPECTED = "unexpected request: "


@pytest.fixture
def mock():
    with MockServer() as mock:
        yield mock


@pytest.fixture
def client(mock):
    with jsonrpcc.Client(mock.address, reconnect_delay=0.01) as client:
        yield client


def test_answers_are_given_as_they_were_canned(mock, client):
    mock.on("null")
    mock.on("add").returns({"sum": 3})
    mock.on("fail").raises(-32001, "no such user", {"id": 7})
    mock.on("double").calls(lambda n: 2 * n)
    mock.on("refuse").calls(lambda: (_ for _ in ()).throw(Error(5, "five")))

    async def slow(n):
        await asyncio.sleep(0)
        return -n

    mock.on("slow").calls(slow)

    assert client.call("null") is None
    assert client.call("add", [1, 2]) == {"sum": 3}
    with pytest.raises(jsonrpcc.RemoteError) as failed:
        client.call("fail")
    assert (failed.value.code, failed.value.data) == (-32001, {"id": 7})
    assert client.call("double", [4]) == 8
    assert client.call("double", {"n": 5}) == 10
    assert client.call("slow", [3]) == -3
    with pytest.raises(jsonrpcc.RemoteError, match="five"):
        client.call("refuse")
    mock.verify(timeout=0)


def test_what_cannot_be_json_is_refused_where_it_is_canned(mock):
    for can in (mock.on("a").returns, lambda data: mock.on("a").raises(1, "", data)):
        with pytest.raises(TypeError):
            can(threading.Lock())


def test_an_expectation_can_be_of_certain_params(mock, client):
    mock.on("get", [1]).returns("one")
    mock.on("get", (2,)).returns("two")
    mock.on("get", {"id": ANY}).returns("named")
    mock.on("get", None).returns("none")
    assert [client.call("get", p) for p in ([1], [2], {"id": 9})] == [
        "one",
        "two",
        "named",
    ]
    assert client.call("get") == "none"
    with pytest.raises(jsonrpcc.RemoteError, match=r"unexpected request: get \[3\]"):
        client.call("get", [3])


def test_answers_queue_up(mock, client):
    mock.on("poll").returns("wait").times(2).then().raises(1, "busy").then().returns(0)
    assert [client.call("poll") for _ in range(2)] == ["wait", "wait"]
    with pytest.raises(jsonrpcc.RemoteError, match="busy"):
        client.call("poll")
    assert [client.call("poll") for _ in range(3)] == [0, 0, 0]
    mock.verify(timeout=0)


def test_a_request_is_not_expected_more_often_than_its_times(mock, client):
    mock.on("add").returns(1).once()
    mock.on("add").returns(2).once()
    assert [client.call("add") for _ in range(2)] == [1, 2]
    with pytest.raises(jsonrpcc.RemoteError, match=UNEXPECTED) as refused:
        client.call("add")
    assert refused.value.code == -32601
    assert [each.method for each in mock.unexpected] == ["add"]


def test_the_newest_without_a_number_of_times_overrides(mock, client):
    mock.on("add").returns("fixture's")
    mock.on("add").returns("once").once()
    mock.on("add").returns("test's")
    assert [client.call("add") for _ in range(3)] == ["once", "test's", "test's"]


def test_faults_go_with_their_answer(mock, client):
    mock.on("add").returns(1).faults(Drop()).then().returns(2).faults(Delay(0.01))
    with pytest.raises(jsonrpcc.RequestTimeout):
        client.call("add", timeout=0.1)
    assert client.call("add") == 2


def test_faults_of_the_server_apply_as_well(mock, client):
    mock.on("add").returns(1)
    mock.misbehave(Drop(times=1))
    with pytest.raises(jsonrpcc.RequestTimeout):
        client.call("add", timeout=0.1)
    assert client.call("add") == 1


def test_methods_of_the_server_take_precedence_over_canned_replies(client, mock):
    mock.add_method("add", lambda a, b: a + b)
    mock.on("add").returns("canned").optional()
    assert client.call("add", [1, 2]) == 3
    mock.verify(timeout=0)


def test_a_batch_is_answered_one_by_one(mock):
    mock.on("a").returns(1).once()
    mock.on("b").returns(2).once()
    assert [mock._stub.answer(each) for each in requests("a", "b", "c")][:2] == [
        b'"result":1',
        b'"result":2',
    ]
    assert [each.method for each in mock.unexpected] == ["c"]


def requests(*methods):
    return [Request(each, None, 1, 1, 0.0, b"") for each in methods]


def test_verify_names_what_was_too_much_and_too_little(mock, client):
    mock.on("login", ["bob"]).returns(1).once()
    mock.on("poll").times(3)
    mock.on("maybe").once().optional()
    client.call("poll")
    with pytest.raises(jsonrpcc.RemoteError):
        client.call("logout", {"user": "x" * 500})
    with pytest.raises(AssertionError) as wrong:
        mock.verify(timeout=0)
    text = str(wrong.value)
    assert 'not expected:\n- logout {"user":"xxx' in text
    assert max(map(len, text.splitlines())) < 250
    assert 'not made:\n- login ["bob"] (0 of 1)\n- poll (1 of 3)' in text
    assert "maybe" not in text
    with pytest.raises(AssertionError, match="logout"):
        mock.verify(unused_ok=True)
    with pytest.raises(AssertionError, match="login"):
        mock.verify(unexpected_ok=True, timeout=0)
    mock.verify(unexpected_ok=True, unused_ok=True)


def test_assertions_wait_for_notifications(mock, client):
    mock.on("log").once()
    later = threading.Timer(0.05, client.notification, ["log", ["late"]])
    later.start()
    mock.assert_called("log", ["late"], timeout=10)
    mock.verify(timeout=10)
    later.join()


def test_assert_called_counts_and_says_what_was_called(mock, client):
    mock.on("add")
    client.call("add", [1, 2])
    client.call("add", [1, 3])
    mock.assert_called("add")
    mock.assert_called("add", [1, ANY], times=2)
    mock.assert_called("add", (1, 3), times=1)
    mock.assert_not_called("sub")
    with pytest.raises(AssertionError, match=r"(?s)3 times.*- add \[1,2\]\n- add"):
        mock.assert_called("add", times=3, timeout=0)
    with pytest.raises(AssertionError, match="was called 2 times"):
        mock.assert_not_called("add")
    with pytest.raises(AssertionError, match=r"sub \[1\] was called 0 times"):
        mock.assert_called("sub", [1], timeout=0)


def test_reset_forgets_all(mock, client):
    mock.on("add").once()
    with pytest.raises(jsonrpcc.RemoteError):
        client.call("x")
    mock.reset()
    mock.verify(timeout=0)
    assert mock.calls == []


def test_many_threads_share_the_answers(mock, client):
    """Each canned answer is given once, whichever thread asks."""
    count = 200
    for n in range(count):
        mock.on("take").returns(n).once()
    taken = [client.submit("take") for _ in range(count)]
    assert sorted(each.result() for each in taken) == list(range(count))
    mock.verify(timeout=0)


def test_times_is_at_least_one(mock):
    with pytest.raises(ValueError, match="1 or more, not 0"):
        mock.on("add").times(0)


def test_it_shows_itself(mock):
    assert repr(mock.on("add", [1]).once()) == "<Expectation add [1]: 0/1>"
    assert "any" in repr(mock.on("add"))
    assert repr(mock).startswith("<MockServer 127.0.0.1:")
