"""Reading responses: results, errors, invalid ones, and those that match no call."""

import math

import pytest
from helpers import QUICK, Told, until

from jsonrpcc import ConnectionLost, InvalidResponse, RemoteError, RequestTimeout
from jsonrpcc.testing import Around, Delay, Drop, Frame, Payload, Raw, netstring

OK = '{"jsonrpc":"2.0","id":$id,"result":%s}'

# ---- results ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "result"),
    [
        (OK % "null", None),
        (OK % "false", False),
        (OK % "0", 0),
        (OK % '""', ""),
        (OK % "[]", []),
        (OK % "{}", {}),
        (OK % "1 \n\t\r", 1),
        ('{"jsonrpc":"2.0","id":$id,"result":7,"error":null}', 7),
        ('{"error":null,"result":null,"id":$id}', None),
        ('{"id":$id,"result":7}', 7),
        ('{"jsonrpc":"1.0","id":$id,"result":7}', 7),
        ('{"jsonrpc":"2.0","id":"$id","result":7}', 7),
        ('{"result":7,"more":{"id":5,"result":8},"id":$id,"jsonrpc":"2.0"}', 7),
        ('{"\\u0069d":$id,"r\\u0065sult":7}', 7),
        ('{"id":$id,"result":7,"method":"m"}', 7),
        (' \n{ "id" : $id , "result" : [ 1 , 2 ] } ', [1, 2]),
    ],
)
def test_a_result_is_what_the_server_said(serve, ask, payload, result):
    server = serve(Payload(payload))
    value = ask(server.address, "m", None)
    assert value == result
    assert type(value) is type(result)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (str(2**53 + 1), 2**53 + 1),
        (str(2**64 - 1), 2**64 - 1),
        (str(2**64), 2**64),
        (str(-(2**63) - 1), -(2**63) - 1),
        (str(10**100 + 1), 10**100 + 1),
        ("0.1", 0.1),
        ("1e2", 100.0),
        ("1.7976931348623157e308", 1.7976931348623157e308),
        ("5e-324", 5e-324),
        ("0.30000000000000004", 0.30000000000000004),
    ],
)
def test_numbers_arrive_exact(serve, ask, text, value):
    server = serve(Payload(OK % f'[{text},{{"a":{text}}}]'))
    assert ask(server.address, "m", None) == [value, {"a": value}]


def test_minus_zero_keeps_its_sign(serve, ask):
    server = serve(Payload(OK % "-0.0"))
    assert math.copysign(1, ask(server.address, "m", None)) == -1


@pytest.mark.parametrize("text", ["1e400", "-1e400", "1" + "0" * 5000])
def test_a_number_that_cannot_be_exact_is_an_error(serve, ask, text):
    server = serve(Payload(OK % text))
    with pytest.raises(InvalidResponse, match="cannot be decoded"):
        ask(server.address, "m", None)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'"a\u0000b"', "a\0b"),
        (r'{"a\u0000b":1,"a":2}', {"a\0b": 1, "a": 2}),
        (r'"\ud83d\ude00"', "😀"),
        ('"é😀"', "é😀"),
        (r'"\"\\\/\b\f\n\r\t"', '"\\/\b\f\n\r\t'),
    ],
)
def test_strings_arrive_whole(serve, ask, text, value):
    server = serve(Payload(OK % text))
    assert ask(server.address, "m", None) == value


def test_a_lone_surrogate_in_a_result_is_an_error(serve, ask):
    """It is not a character: msgspec makes no str from it."""
    server = serve(Payload(OK % r'"\ud800"'))
    with pytest.raises(InvalidResponse, match="cannot be decoded"):
        ask(server.address, "m", None)


def test_one_undecodable_result_harms_no_other(serve, client_for):
    def some(request):
        return Payload(OK % ("1e400" if request.params[0] % 3 == 0 else "$result"))

    client = client_for(serve(some))
    told = [Told() for _ in range(300)]
    for i, each in enumerate(told):
        client.request("first", [i], each.on_result, each.on_error)
    for i, each in enumerate(told):
        if i % 3 == 0:
            assert isinstance(each.error(), InvalidResponse)
        else:
            assert each.result() == i
    got = list(client.map("first", ([i] for i in range(300)), return_exceptions=True))
    for i, value in enumerate(got):
        assert value == i if i % 3 else isinstance(value, InvalidResponse)


def test_an_undecodable_result_says_whose_and_when(serve, ask):
    server = serve([Delay(0.02), Payload(OK % "1e400")])
    with pytest.raises(InvalidResponse) as caught:
        ask(server.address, "m", [1])
    assert caught.value.server == server.address
    assert 0.02 <= caught.value.elapsed < 2


def test_params_as_text_make_no_difference_to_that(serve, client_for):
    """Then Python code makes the call, not C code."""
    server = serve([Delay(0.02), Payload(OK % "1e400")])
    with pytest.raises(InvalidResponse) as caught:
        client_for(server).call("m", "[1]")
    assert caught.value.server == server.address
    assert 0.02 <= caught.value.elapsed < 2


# ---- errors --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code", "message", "data"),
    [
        ('{"code":-32000,"message":"no"}', -32000, "no", None),
        ('{"code":1,"message":"no","data":[{"a":1}]}', 1, "no", [{"a": 1}]),
        ('{"message":"no"}', None, "no", None),
        ('{"code":1}', 1, "", None),
        ('{"code":"E1","message":"no"}', "E1", "no", None),
        ('{"code":1,"message":[1,2]}', 1, "[1, 2]", None),
        ("{}", None, "", None),
        ('"no"', None, "no", None),
        ('""', None, "", None),
        ("42", None, "", 42),
        ("0", None, "", 0),
        ("false", None, "", False),
        ("[1]", None, "", [1]),
    ],
)
@pytest.mark.parametrize("beside", ["", ',"result":null'])
def test_an_error_of_any_shape_is_a_remote_error(
    serve, ask, error, code, message, data, beside
):
    server = serve(Payload('{"jsonrpc":"2.0","id":$id,"error":' + error + beside + "}"))
    with pytest.raises(RemoteError) as caught:
        ask(server.address, "m", None)
    got = caught.value
    assert (got.code, got.message, got.data) == (code, message, data)
    said = "" if code is None else f"{code} "
    assert str(got) == f"m at {server.address}: {said}{message or 'error'}"
    assert (got.method, got.server, got.fate) == ("m", server.address, "answered")


# ---- invalid: their own call fails, at once -------------------------------------

BROKEN = [
    '{"jsonrpc":"2.0","id":$id,"result":}',
    '{"jsonrpc":"2.0","id":$id,"result":NaN}',
    '{"jsonrpc":"2.0","id":$id,"result":Infinity}',
    '{"jsonrpc":"2.0","id":$id,"result":[1,]}',
    '{"jsonrpc":"2.0","id":$id,"result":01}',
    '{"jsonrpc":"2.0","id":$id,"result":1.}',
    '{"jsonrpc":"2.0","id":$id,"result":\'a\'}',
    '{"jsonrpc":"2.0","id":$id,"result":"\n"}',
    '{"jsonrpc":"2.0","id":$id,"result":"\0"}',
    '{"jsonrpc":"2.0","id":$id,"result":1,}',
    '{"jsonrpc":"2.0","id":$id,"result":1}}',
    '{"jsonrpc":"2.0","id":$id,"result":1} x',
    '{"jsonrpc":"2.0","id":$id,"result":1',
    '{"jsonrpc":"2.0","id":"$id","result":tru}',
    '\ufeff{"jsonrpc":"2.0","id":$id,"result":1}',
    b'{"jsonrpc":"2.0","id":$id,"result":"\xff"}',
    b'{"jsonrpc":"2.0","id":$id,"result":"\xc0\x80"}',
    b'{"jsonrpc":"2.0","id":$id,"result":"\xed\xa0\x80"}',
]


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        ('{"jsonrpc":"2.0","id":$id,"result":1,"error":{}}', "both result and error"),
        ('{"jsonrpc":"2.0","id":$id,"result":0,"error":0}', "both result and error"),
        ('{"jsonrpc":"2.0","id":$id}', "neither result nor error"),
        ('{"jsonrpc":"2.0","id":$id,"error":null}', "neither result nor error"),
        ('{"jsonrpc":"3.0","id":$id,"result":1}', "jsonrpc"),
        ('{"jsonrpc":2.0,"id":$id,"result":1}', "jsonrpc"),
        ('{"jsonrpc":null,"id":$id,"result":1}', "jsonrpc"),
        ('{"jsonrpc":"2.0","id":$id,"result":1,"result":2}', "twice"),
        ('{"jsonrpc":"2.0","id":$id,"result":1,"r\\u0065sult":1}', "twice"),
        ('{"jsonrpc":"2.0","id":$id,"error":{},"error":null}', "twice"),
        ('{"jsonrpc":"2.0","id":$id,"id":$id,"result":1}', "twice"),
        ('{"jsonrpc":"2.0","id":$id,"result":1,"id":$id}', "twice"),
        ('{"jsonrpc":"2.0","jsonrpc":"2.0","id":$id,"result":1}', "twice"),
        ('{"jsonrpc":"2.0","id":$id,"result":1,"jsonrpc":"2.0"}', "twice"),
        *((payload, "invalid response: ") for payload in BROKEN),
    ],
)
def test_an_invalid_response_fails_its_own_call_at_once(serve, ask, payload, why):
    server = serve(Payload(payload))
    with pytest.raises(InvalidResponse, match=why) as caught:
        ask(server.address, "m", None, timeout=30)
    error = caught.value
    assert error.elapsed < 5
    assert (error.method, error.server, error.fate) == ("m", server.address, "answered")
    assert str(error).startswith("invalid response")


@pytest.mark.parametrize("payload", BROKEN)
def test_an_invalid_response_harms_no_other_call(serve, client_for, payload):
    server = serve(faults={"bad": Payload(payload), "kept": Drop()})
    client = client_for(server, timeout=30)
    kept = Told()
    client.request("kept", None, kept.on_result, kept.on_error)
    with pytest.raises(InvalidResponse):
        client.call("bad")
    assert client.call("add", [1, 2]) == 3
    assert server.accepted == 1
    assert not kept.outcomes


@pytest.mark.parametrize(("depth", "fine"), [(511, True), (512, True), (513, False)])
def test_nesting_has_a_limit(serve, ask, depth, fine):
    """The response's own braces count."""
    text = "[" * (depth - 1) + "]" * (depth - 1)
    server = serve(Payload(OK % text))
    if fine:
        value = ask(server.address, "m", None)
        assert str(value) == text
    else:
        with pytest.raises(InvalidResponse, match="nested"):
            ask(server.address, "m", None)


# ---- nobody's: counted, and nothing else ------------------------------------------


def before_the_answer(text):
    """Send a frame with the text before the true response."""

    def fault(request):
        data = text if isinstance(text, bytes) else text.encode()
        return Around(before=netstring(data.replace(b"$id", b"%d" % request.id)))

    return fault


@pytest.mark.parametrize(
    "response_id",
    [
        "0", "-$id", "$id0", "1$id", "$id.0", "$ide0", "null", "true", "[$id]", '""',
        '{"$id":$id}', '"0$id"', '" $id"', '"$id "', '"+$id"', '"$id.0"', '"abc"',
        "9007199254740993", "99999999999999999999",
    ],
)  # fmt: skip
def test_a_response_with_another_id_is_ignored(serve, client_for, response_id):
    text = '{"jsonrpc":"2.0","result":"wrong","id":' + response_id + "}"
    server = serve(before_the_answer(text))
    client = client_for(server)
    assert client.call("first", ["right"]) == "right"
    stats = client.stats()
    assert (stats.unmatched, stats.ignored, stats.bad_frames) == (1, 0, 0)
    assert stats.ok == 1


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "null", "7", '"text"', "true", "[]", "{}", "[1,2]", "no", "{", "}",
        '[{"jsonrpc":"2.0","id":$id,"result":"wrong"}]',
        '{"jsonrpc":"2.0","result":"wrong"}',
        '{"jsonrpc":"2.0","method":"alert","params":[1]}',
        '{"jsonrpc":"2.0","method":"ask_back","params":[1],"id":$id}',
        '{"jsonrpc":"2.0","id":nul,"result":"wrong"}',
        '{"jsonrpc":"2.0","result":{"id":$id',
        b"\xff\xfe\x00",
    ],
)  # fmt: skip
def test_what_is_not_a_response_is_ignored(serve, client_for, text):
    client = client_for(serve(before_the_answer(text)))
    assert client.call("first", ["right"]) == "right"
    stats = client.stats()
    assert (stats.unmatched, stats.ignored, stats.bad_frames) == (0, 1, 0)


def test_a_servers_own_request_gets_no_answer(serve, client_for):
    asked = '{"jsonrpc":"2.0","method":"ask_back","id":1}'
    server = serve(before_the_answer(asked))
    client = client_for(server)
    client.call("first", [1])
    client.call("first", [2])
    assert [request.method for request in server.requests] == ["first", "first"]
    assert not server.invalid


def test_a_response_on_another_connection_is_ignored(serve, client_for):
    """An id is only good on the connection that the request went to."""
    asked, other = serve(Drop()), serve()
    client = client_for(f"{asked.address},2", f"{other.address},1", timeout=0.3)
    until(lambda: all(each.state == "up" for each in client.servers()))
    other.wait_for_connections(1)
    told = Told()
    client.request("first", ["right"], told.on_result, told.on_error)
    [request] = asked.wait_for_requests(1)
    other.send(netstring(b'{"id":%d,"result":"wrong"}' % request.id))
    until(lambda: client.stats().unmatched == 1)
    assert isinstance(told.error(), RequestTimeout)


# ---- a broken frame ----------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        Frame("0$len:"), Frame("+$len:"), Frame(" $len:"), Frame("$len :"),
        Frame("$len;"), Frame(comma=";"), Frame(comma="\n"), Frame(off=-1),
        Frame("-1:"), Frame(":"), Raw(b"x"), Raw(b","), Raw(b"0:x"), Raw(b"00:,"),
        Raw(b"\r\n"), Raw(b'{"jsonrpc":"2.0","id":1,"result":1}\n'),
        Raw(b"HTTP/1.1 400 Bad Request\r\n"), Raw(b"16777217:"),
        Raw(b"99999999999999999999999:"), Raw(b"18446744073709551617:"),
    ],
)  # fmt: skip
def test_a_broken_frame_ends_the_connection_and_fails_its_calls(
    serve, client_for, fault
):
    server = serve(faults={"bad": fault, "kept": Drop()})
    client = client_for(server, timeout=30, **QUICK)
    kept = Told()
    client.request("kept", None, kept.on_result, kept.on_error)
    with pytest.raises(ConnectionLost) as caught:
        client.call("bad")
    assert caught.value.fate == "unknown"
    assert caught.value.elapsed < 5
    lost = kept.error()
    assert isinstance(lost, ConnectionLost)
    assert str(lost).startswith("failure")
    assert client.stats().bad_frames == 1
    assert client.call("add", [1, 2], wait_for_ready=True) == 3
    assert server.accepted == 2


def test_what_was_left_of_a_frame_is_not_continued_after_a_reconnect(serve, client_for):
    server = serve()
    client = client_for(server, **QUICK)
    client.call("add", [1, 2])
    server.send(b'100:{"jsonrpc":"2.0",')
    server.drop_connections()
    until(lambda: client.servers()[0].connects == 2)
    assert client.call("add", [1, 2]) == 3
    assert client.stats().bad_frames == 0
