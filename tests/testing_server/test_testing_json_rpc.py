"""How the server of jsonrpcc.testing answers requests, by the rules of JSON-RPC."""

import asyncio
import collections
import functools

import pytest
from peer import LIMIT, Peer, add, error_code, notification, request, result, serving

from jsonrpcc.testing import Error

pytestmark = pytest.mark.usefixtures("transport")


def test_positional_named_and_no_params():
    with serving({"add": add, "ping": lambda: "pong"}) as server, Peer(server) as peer:
        assert peer.call("add", [1, 2]) == result(3)
        assert peer.call("add", {"a": 1, "b": 2}) == result(3)
        assert peer.call("ping") == result("pong")
        assert peer.call("ping", []) == result("pong")
        assert peer.call("ping", {}) == result("pong")


def test_the_exact_bytes():
    with serving() as server, Peer(server) as peer:
        peer.request("add", [1, 2])
        assert peer.exactly(39) == b'35:{"jsonrpc":"2.0","id":1,"result":3},'


@pytest.mark.parametrize(
    "request_id", [0, -1, 2**53 + 1, 2**80, 1.5, "", "a\u20ac\n", None]
)
def test_ids_come_back_as_they_are(request_id):
    with serving() as server, Peer(server) as peer:
        response = peer.call("add", [1, 2], request_id)
        assert response == result(3, request_id)
        assert type(response["id"]) is type(request_id)


@pytest.mark.parametrize("value", [None, True, 2**200, -1.5, "\u20ac", [], {"a": [1]}])
def test_values_come_back_as_they_are(value):
    with serving() as server, Peer(server) as peer:
        assert peer.call("echo", [value]) == result([value])


@pytest.mark.parametrize(
    ("payload", "code", "request_id"),
    [
        (b"", -32700, None),
        (b"{", -32700, None),
        (b"[" * 100_000, -32700, None),
        (b'"\xff"', -32700, None),
        (b"[]", -32600, None),
        (b"1", -32600, None),
        (b"{}", -32600, None),
        (b'{"jsonrpc":"2.0","method":1,"params":"bar"}', -32600, None),
        (b'{"jsonrpc":"2.0","method":"add","params":"bar","id":5}', -32600, 5),
        (b'{"jsonrpc":"2.0","method":"add","params":null,"id":5}', -32600, 5),
        (b'{"jsonrpc":"1.0","method":"add","params":[1,2],"id":5}', -32600, 5),
        (b'{"method":"add","params":[1,2],"id":5}', -32600, 5),
        (b'{"jsonrpc":"2.0","method":"add","params":[1,2],"id":[]}', -32600, None),
        (b'{"jsonrpc":"2.0","method":"add","params":[1,2],"id":true}', -32600, None),
    ],
)
def test_invalid_frames(payload, code, request_id):
    with serving() as server, Peer(server) as peer:
        peer.send(payload)
        response = peer.response()
        assert (error_code(response), response["id"]) == (code, request_id)
        assert server.invalid == [payload]
        assert peer.call("add", [1, 2]) == result(3), "the connection goes on"
        assert len(server.requests) == 1


@pytest.mark.parametrize("params", [None, [1], [1, 2, 3], {"a": 1}, {"a": 1, "c": 2}])
def test_params_that_do_not_fit(params):
    with serving() as server, Peer(server) as peer:
        assert error_code(peer.call("add", params)) == -32602


def test_the_signature_decides_which_params_fit():
    def positional(a, /, b=1):
        return [a, b]

    def keyword(*, a):
        return a

    def many(a, *rest, **named):
        return [a, list(rest), named]

    methods = {"positional": positional, "keyword": keyword, "many": many, "max": max}
    with serving(methods) as server, Peer(server) as peer:
        assert peer.call("positional", [5]) == result([5, 1])
        assert error_code(peer.call("positional", {"a": 5})) == -32602
        assert peer.call("keyword", {"a": 5}) == result(5)
        assert error_code(peer.call("keyword", [5])) == -32602
        assert peer.call("many", [1, 2, 3]) == result([1, [2, 3], {}])
        assert peer.call("many", {"a": 1, "self": 2}) == result([1, [], {"self": 2}])
        assert error_code(peer.call("many", {"b": 1})) == -32602
        # A builtin without a signature.
        assert peer.call("max", [1, 3, 2]) == result(3)
        assert error_code(peer.call("max")) == -32602


def test_a_type_error_inside_the_function_is_internal():
    with serving() as server, Peer(server) as peer:
        response = peer.call("add", [1, "2"])
        assert error_code(response) == -32603
        assert response["error"]["data"].startswith("TypeError: ")


async def fail_later():
    raise KeyError("later")


def fail_with(error):
    raise error


async def fail_later_with(error):
    await asyncio.sleep(0)
    raise error


@pytest.mark.parametrize(
    "error",
    [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError()],
)
@pytest.mark.parametrize("function", [fail_with, fail_later_with])
def test_a_server_survives_what_is_no_exception(function, error):
    """As sys.exit() and pytest.fail() raise it."""
    bad = functools.partial(function, error)
    with serving({"bad": bad, "ping": lambda: "pong"}) as server, Peer(server) as peer:
        for _ in range(3):
            assert error_code(peer.call("bad")) == -32603
            assert peer.call("ping") == result("pong")
        peer.send(notification("bad"))
        assert peer.call("ping") == result("pong")


def test_a_server_survives_a_fault_that_leaves(caplog):
    """Only the connection ends, as after any exception of a fault."""
    with serving() as server:
        for error in (SystemExit(3), KeyboardInterrupt(), ValueError("no")):
            server.misbehave(lambda _, error=error: fail_with(error))
            with Peer(server) as peer:
                peer.request("add", [1, 2])
                server.wait_for_requests(1)
            server.behave()
            with Peer(server) as peer:
                assert peer.call("add", [1, 2]) == result(3)
    assert [r for r in caplog.records if r.name == "jsonrpcc.testing"]


@pytest.mark.parametrize(
    "function",
    [
        lambda: 1 / 0,
        object,
        lambda: "\ud800",
        fail_later,
        lambda: int("\ud800"),
        lambda: float("nan"),
        lambda: {"a": [None, float("inf")]},
        lambda: fail_with(Error(1, "bad data", [float("nan")])),
    ],
)
def test_what_a_function_cannot_answer_is_internal(function):
    with serving({"bad": function}) as server, Peer(server) as peer:
        assert error_code(peer.call("bad")) == -32603
        assert error_code(peer.call("nothing")) == -32601


def test_errors_of_ones_own():
    def fail(*args):
        raise Error(*args)

    with serving({"fail": fail}) as server, Peer(server) as peer:
        response = peer.call("fail", [7, "no"])
        assert response["error"] == {"code": 7, "message": "no"}
        response = peer.call("fail", [7, "no", None])
        assert response["error"] == {"code": 7, "message": "no", "data": None}
        response = peer.call("fail", [7, "no", {"id": 1}])
        assert response["error"] == {"code": 7, "message": "no", "data": {"id": 1}}
    unsendable = {"fail": lambda: fail(7, "no", object())}
    with serving(unsendable) as server, Peer(server) as peer:
        assert error_code(peer.call("fail")) == -32603


def test_notifications_get_no_response():
    with serving() as server, Peer(server) as peer:
        peer.send(
            notification("add", [1, 2]),
            notification("add", [1]),
            notification("nothing"),
            request("add", [3, 4], 9),
        )
        assert peer.response() == result(7, 9)
        assert [each.notification for each in server.requests] == [True] * 3 + [False]


def test_batch():
    """The example of the specification, section 7."""
    methods = {
        "sum": lambda *numbers: sum(numbers),
        "notify_hello": lambda _: None,
        "subtract": lambda a, b: a - b,
        "get_data": lambda: ["hello", 5],
    }
    batch = [
        request("sum", [1, 2, 4], "1"),
        notification("notify_hello", [7]),
        request("subtract", [42, 23], "2"),
        {"foo": "boo"},
        request("foo.get", {"name": "myself"}, "5"),
        request("get_data", None, "9"),
    ]
    with serving(methods) as server, Peer(server) as peer:
        peer.send(batch)
        answers = peer.response()
        assert [answer["id"] for answer in answers] == ["1", "2", None, "5", "9"]
        assert answers[0] == result(7, "1")
        assert error_code(answers[2]) == -32600
        assert error_code(answers[3]) == -32601
        peer.send([1, 2, 3])
        assert [error_code(answer) for answer in peer.response()] == [-32600] * 3
        peer.send([notification("sum", [1])], request("sum", [1]))
        assert peer.response() == result(1), "no response to nothing but notifications"
        peer.send([request("sum", [5])])
        assert peer.response() == [result(5)], "one is a batch, too"


def test_batch_of_async_functions_runs_at_once():
    async def meet():
        async with asyncio.timeout(LIMIT):
            await barrier.wait()
        return "met"

    barrier = asyncio.Barrier(3)
    with serving({"meet": meet}) as server, Peer(server) as peer:
        peer.send([request("meet", None, i) for i in range(3)])
        assert sorted(answer["id"] for answer in peer.response()) == [0, 1, 2]


def test_async_functions_answer_in_the_order_they_end():
    events = collections.defaultdict(asyncio.Event)

    async def wait(name):
        await events[name].wait()
        return name

    def let(name):
        events[name].set()

    with serving({"wait": wait, "let": let}) as server, Peer(server) as peer:
        peer.send(request("wait", ["a"], 1), request("wait", ["b"], 2))
        peer.send(notification("let", ["b"]))
        assert peer.response() == result("b", 2)
        peer.send(notification("let", ["a"]))
        assert peer.response() == result("a", 1)
