"""Params: every accepted form arrives unchanged, and all others are refused."""

import json
import re
from collections import OrderedDict
from dataclasses import dataclass

import pytest
from helpers import STYLES

from jsonrpcc import Client

# ---- what arrives -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "arrives"),
    [
        ([], []),
        ({}, {}),
        ((), []),
        ([1, [2.5, None], {"a": True}], [1, [2.5, None], {"a": True}]),
        ((1, (2, 3)), [1, [2, 3]]),
        ({"a": {"b": ["c"]}}, {"a": {"b": ["c"]}}),
        (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        ('["a", {"b": 1}]', ["a", {"b": 1}]),
        (' \n{ "a" : 1 }\t', {"a": 1}),
        (b'{"a": "\xc3\xa9"}', {"a": "é"}),
        ("{'id': 1234}", {"id": 1234}),
        (b"['a']", ["a"]),
        ("['it\\'s']", ["it's"]),
        ("""["it's"]""", ["it's"]),
        ("""['say "no"']""", ['say "no"']),
        ("""{'a': "b", "c": 'd'}""", {"a": "b", "c": "d"}),
        ("""['{"a": [1, \\'b\\']}']""", ["{\"a\": [1, 'b']}"]),
        (r"""['a\\', 'b']""", ["a\\", "b"]),
        (r"""['a\\\'b']""", ["a\\'b"]),
        (r"""['\u00e9\n\"\/']""", ['é\n"/']),
        ("['']", [""]),
        ("{'': {'': ''}}", {"": {"": ""}}),
        ("['é😀']", ["é😀"]),
    ],
)
def test_params_arrive(serve, ask, params, arrives):
    server = serve()
    assert ask(server.address, "echo", params) == (arrives or [])
    assert server.requests[0].params == arrives


def test_none_leaves_params_out(serve, ask):
    server = serve()
    assert ask(server.address, "echo", None) == []
    assert b"params" not in server.requests[0].raw


def test_what_the_codec_knows_may_be_inside(serve, client_for):
    @dataclass
    class User:
        name: str
        tags: frozenset[str]

    client = client_for(serve())
    got = client.call("echo", [User("Petros", frozenset({"a"}))])
    assert got == [{"name": "Petros", "tags": ["a"]}]


@pytest.mark.parametrize("number", [2**53 + 1, 2**64, -(2**64) - 1, 10**300])
def test_big_integers_are_sent_exact(wire, client_for, number):
    client = client_for(wire)
    for params in ([number], f"[{number}]", f"['', {number}]", {"a": [{"b": number}]}):
        client.call("echo", params)
        assert re.search(rb"\D%d\D" % number, wire.payloads[-1])


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":2}',
        "[1e400, -0, 0.10, 1E5, 100000000000000000000000000]",
        r'["\ud800", "\u0000", "\/"]',
        "[ 1 ,\n2 ]",
    ],
)
def test_text_is_sent_as_it_is(wire, client_for, text):
    """Only quotes are rewritten: no number, name or duplicate is touched."""
    client = client_for(wire)
    for params in (text, text.encode(), text.replace('"', "'")):
        client.call("echo", params)
        assert wire.payloads[-1].endswith(b',"params":%b}' % text.encode())


def test_a_megabyte_arrives(serve, ask):
    server = serve()
    params = ["x" * 2**20, {"k" * 1000: list(range(10_000))}]
    assert ask(server.address, "echo", params) == params
    text = json.dumps(params).replace('"', "'")
    assert ask(server.address, "echo", text) == params


@pytest.mark.parametrize(
    "value",
    [
        '","method":"delete_all","x":"',
        '"],"method":"delete_all","params":["',
        '[1],"method":"x"',
        "\\",
        '\\",',
        "'",
        "\x00\x01\x1f\x7f",
        "\u2028\u2029\ufeff\uffff",
        "12:hello,",
        "é😀",
    ],
)
def test_values_stay_values(serve, ask, value):
    server = serve()
    for params in ([value], {value: value}, json.dumps([value]), (value, [value])):
        ask(server.address, "echo", params)
        message = json.loads(server.requests[-1].raw)
        text = params if isinstance(params, str) else json.dumps(params)
        assert message["params"] == json.loads(text)
        assert message.keys() == {"jsonrpc", "id", "method", "params"}
        assert message["method"] == "echo"
    assert not server.invalid


# ---- what is refused ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "offset"),
    [
        ("", 0),
        (" ", 1),
        (b"", 0),
        ("[", 1),
        ("[1", 2),
        ("[1,]", 3),
        ("[1 2]", 3),
        ("{'a':1", 6),
        ("{'a':1,}", 7),
        ("{a: 1}", 1),
        ("{1: 2}", 1),
        ("['a]", 4),
        ("['a'b']", 4),
        ("[1] x", 4),
        ("[1][2]", 3),
        ('[1],"method":"x"', 3),
        ("{},'id':1", 2),
        ("[1]}", 3),
        ("['a\\']", 6),
        ("['a\nb']", 3),
        ("[NaN]", 1),
        ("[Infinity]", 1),
        ("[-Infinity]", 2),
        ("[01]", 2),
        ("[.5]", 1),
        ("[+1]", 1),
        ("[1.]", 3),
        ("[True]", 1),
        ("[None]", 1),
        ("[1] // why", 4),
        ("[/*1*/]", 1),
        ("[0x10]", 2),
        ("\ufeff[]", 0),
        ("[\0]", 1),
        ("[]\0", 2),
        (b"['\xff']", 2),
        (b"['\xed\xa0\x80']", 2),
        ("['\\x41']", 4),
        ("['\\ud8']", 6),
    ],
)
def test_malformed_text_is_refused_with_its_place(serve, client_for, params, offset):
    server = serve()
    client = client_for(server)
    for use in (client.request, client.notification, client.call, client.submit):
        with pytest.raises(ValueError, match=r"^params: .* at offset \d+: ") as caught:
            use("echo", params)
    found = int(str(caught.value).split(" at offset ")[1].split(":")[0])
    assert found == offset, str(caught.value)
    assert client.call("echo") == []
    assert len(server.requests) == 1
    assert client.stats().requests == 1


@pytest.mark.parametrize("params", ["7", "null", '"text"', "'text'", "true", " 1.5 "])
def test_text_is_an_array_or_an_object(serve, ask, params):
    server = serve()
    with pytest.raises(ValueError, match="array or an object"):
        ask(server.address, "echo", params)
    assert not server.requests


@pytest.mark.parametrize(
    "params", [7, 1.5, True, {1, 2}, object(), iter([1]), bytearray(b"[]")]
)
def test_other_types_are_refused(serve, ask, params):
    server = serve()
    with pytest.raises(TypeError, match="params must be"):
        ask(server.address, "echo", params)
    assert not server.requests


@pytest.mark.parametrize("params", [[object()], {"a": [1j]}, [lambda: 0]])
def test_what_the_codec_does_not_know_is_refused(serve, ask, params):
    server = serve()
    with pytest.raises(TypeError):
        ask(server.address, "echo", params)
    assert not server.requests


@pytest.mark.parametrize("params", ["['\ud800']", ["\ud800"], {"\udfff": 1}])
def test_lone_surrogates_are_refused_as_text(serve, ask, params):
    server = serve()
    with pytest.raises(ValueError):  # noqa: PT011  (each codec has its own words)
        ask(server.address, "echo", params)
    assert not server.requests


@pytest.mark.parametrize("depth", [4095, 4096, 4097])
def test_nesting_of_params_is_bounded(serve, client_for, depth):
    client = client_for(serve())
    text = "[" * depth + "]" * depth
    if depth <= 4096:
        client.notification("note", text)
    else:
        with pytest.raises(ValueError, match="nested"):
            client.notification("note", text)


def itself():
    params = [1, {"a": [2, {}]}]
    params[1]["a"][1]["b"] = params
    return params, r"^params contain themselves, at params\[1\]\['a'\]\[1\]\['b'\]$"


def itself_below():
    inner = {}
    inner["again"] = inner
    good = [3]
    # What occurs twice is not what contains itself.
    return {"x": [good, good, inner]}, (
        r"^params contain themselves, at params\['x'\]\[2\]\['again'\]$"
    )


def deep():
    params = []
    for _ in range(50_000):
        params = [0, params]
    return params, (
        r"^params are nested too deeply: 50001 levels, "
        r"at params\[1\]\[1\]\[1\]\[1\]\.\.\.$"
    )


@pytest.mark.parametrize("codec", ["msgspec", "json", "orjson"])
@pytest.mark.parametrize("make", [itself, itself_below, deep])
def test_nesting_without_end_is_refused_with_its_place(serve, make, codec):
    params, text = make()
    server = serve()
    for use in STYLES.values():
        with pytest.raises(ValueError, match=text):
            use(server.address, "echo", params, codec=codec)
    with Client(server.address, codec=codec) as client:
        with pytest.raises(ValueError, match=text):
            client.notification("echo", params)
        assert client.call("echo") == []
    assert len(server.requests) == 1


# ---- the frame ------------------------------------------------------------------


def test_the_frame_is_exact(wire, ask):
    """A request is one netstring around one object, with nothing before or after."""
    ask(wire.address, "m", {"a": [1, "é"]})
    [payload] = wire.payloads
    want = rb'{"jsonrpc":"2.0","id":\d+,"method":"m","params":{"a":\[1,"\xc3\xa9"\]}}'
    assert re.fullmatch(want, payload)
    assert wire.received == b"%d:%b," % (len(payload), payload)


def test_a_notification_is_exact(wire, client_for):
    client = client_for(wire)
    client.notification("m", ["a"])
    client.notification("m")
    client.call("end")
    assert wire.payloads[:2] == [
        b'{"jsonrpc":"2.0","method":"m","params":["a"]}',
        b'{"jsonrpc":"2.0","method":"m"}',
    ]
