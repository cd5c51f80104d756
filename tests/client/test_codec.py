"""The option codec: what encodes params and decodes results."""

import asyncio
import gc
import json
from dataclasses import dataclass

import msgspec
import orjson
import pytest
from helpers import LIMIT, STYLES

from jsonrpcc import (
    AsyncClient,
    Codec,
    InvalidResponse,
    RemoteError,
)
from jsonrpcc._codec import nan_fault, resolve
from jsonrpcc.testing import Payload


class Wrapping:
    """A custom codec: dumps and loads, texts, and arrays do not become lists."""

    @staticmethod
    def dumps(value):
        return json.dumps(value)

    @staticmethod
    def loads(data):
        return {"decoded": json.loads(data)}


@pytest.mark.parametrize(
    "codec", [None, "msgspec", msgspec.json, "json", json, "orjson", orjson]
)
def test_codecs_do_the_same_for_plain_values(serve, ask, codec):
    server = serve()
    params = {"a": [1, -2.5, 'é\0"', None, True, {"b": []}], "": {}}
    assert ask(server.address, "echo", params, codec=codec) == params
    assert ask(server.address, "echo", [2**63], codec=codec) == [2**63]


def test_a_custom_codec_decodes_each_result(serve, ask):
    server = serve()
    assert ask(server.address, "echo", ["a"], codec=Wrapping) == {"decoded": ["a"]}


def test_a_custom_codec_never_sees_a_batch(serve, client_for):
    """How many results arrive at once must not change what they are decoded to."""
    server = serve()
    client = client_for(server, codec=Wrapping)
    want = [{"decoded": i} for i in range(500)]
    assert list(client.map("first", ([i] for i in range(500)))) == want
    futures = [client.submit("first", [i]) for i in range(500)]
    assert [future.result(LIMIT) for future in futures] == want

    async def main():
        async with AsyncClient(server.address, codec=Wrapping) as client:
            return await asyncio.gather(
                *(client.call("first", [i]) for i in range(500))
            )

    assert asyncio.run(main()) == want


def test_a_typed_codec_is_for_results_not_for_errors(serve, ask):
    class Typed:
        encode = staticmethod(msgspec.json.encode)
        decode = staticmethod(msgspec.json.Decoder(list[int]).decode)

    server = serve()
    assert ask(server.address, "echo", [1, 2], codec=Typed) == [1, 2]
    with pytest.raises(InvalidResponse):
        ask(server.address, "first", [1], codec=Typed)
    with pytest.raises(RemoteError, match="it failed") as caught:
        ask(server.address, "fail", None, codec=Typed)
    assert caught.value.code == -32000


@pytest.mark.parametrize("codec", ["msgspec", "json"])
def test_integers_of_any_size_are_exact(serve, ask, codec):
    server = serve()
    for number in (2**53 + 1, 2**64, -(2**64), 10**200):
        server.misbehave(Payload(f'{{"id":$id,"result":{number}}}'))
        assert ask(server.address, "m", None, codec=codec) == number


HUGE = ["1e400", "-1e400", "1" + "0" * 400 + ".0", '[1.5,{"a":1E+999}]']


@pytest.mark.parametrize("codec", ["msgspec", "json", "orjson"])
@pytest.mark.parametrize("number", HUGE)
def test_numbers_beyond_a_float_do_not_become_infinite(serve, ask, codec, number):
    """Numbers are exact, or an error, in results and in the data of errors."""
    server = serve(Payload(f'{{"id":$id,"result":{number}}}'))
    with pytest.raises(InvalidResponse, match=r"range|infinity"):
        ask(server.address, "m", None, codec=codec)
    server.misbehave(
        Payload(f'{{"id":$id,"error":{{"code":1,"message":"","data":{number}}}}}')
    )
    with pytest.raises(InvalidResponse, match=r"range|infinity"):
        ask(server.address, "m", None, codec=codec)
    server.misbehave(Payload('{"id":$id,"result":[1e308,-1.5,1e-400]}'))
    assert ask(server.address, "m", None, codec=codec) == [1e308, -1.5, 0.0]


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_python_constants_are_not_json(constant):
    """The core refuses them before that; this tests the codec by itself."""
    with pytest.raises(ValueError, match="not a JSON number"):
        resolve("json").decode(f"[{constant}]".encode())


@dataclass
class Point:
    x: float


class Record(msgspec.Struct):
    x: object


REFUSED = r"(?i)nan|inf|compliant|serializable"
NESTS = [
    lambda bad: [bad],
    lambda bad: {"a": [None, (1, {"b": bad})]},
    lambda bad: [Point(bad)],
    lambda bad: [None, Record([Point(1), {"a": Point(bad)}])],
]


@pytest.mark.parametrize("codec", ["msgspec", "json", "orjson", Wrapping])
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("nest", NESTS)
def test_no_codec_lets_nan_pass(serve, client_for, codec, bad, nest):
    server = serve()
    client = client_for(server, codec=codec)
    # TypeError: this codec does not know the type at all.
    for use in (client.request, client.notification, client.call, client.submit):
        with pytest.raises((ValueError, TypeError), match=REFUSED):
            use("echo", nest(bad))
    with pytest.raises((ValueError, TypeError), match=REFUSED):
        list(client.map("echo", [nest(bad)]))
    client.call("echo", [None, 1.5])
    assert len(server.requests) == 1


def test_null_beside_a_good_number_is_fine():
    assert nan_fault({"a": [None, 1.5, "null"]}) is None
    assert resolve("orjson").hides_nan


def test_a_codec_that_fails_fails_one_call(serve, client_for):
    class Picky:
        encode = staticmethod(msgspec.json.encode)

        @staticmethod
        def decode(data):
            if b"bad" in data:
                raise KeyError("bad")
            return msgspec.json.decode(data)

    client = client_for(serve(), codec=Picky)
    with pytest.raises(InvalidResponse) as caught:
        client.call("first", ["bad"])
    assert isinstance(caught.value.__cause__, KeyError)
    words = ["good", "bad"] * 100
    got = list(client.map("first", ([w] for w in words), return_exceptions=True))
    assert got[::2] == ["good"] * 100
    assert all(isinstance(each, InvalidResponse) for each in got[1::2])


def test_a_codec_that_exits_ends_no_thread(serve, client_for):
    """SystemExit would silently end the thread that runs all callbacks."""

    class Exiting:
        dumps = json.dumps

        @staticmethod
        def loads(text):
            if b"exit" in text:
                raise SystemExit
            return json.loads(text)

    client = client_for(serve(), codec=Exiting)
    for _ in range(2):
        with pytest.raises(InvalidResponse, match="cannot be decoded"):
            client.submit("first", ["exit"]).result(LIMIT)
    assert client.submit("first", [1]).result(LIMIT) == 1


@pytest.mark.parametrize("style", [each for each in STYLES if each != "request"])
def test_no_memory_for_a_result_is_not_blamed_on_the_response(serve, style):
    class Full:
        encode = staticmethod(msgspec.json.encode)

        @staticmethod
        def decode(data):
            raise MemoryError

    with pytest.raises(MemoryError):
        STYLES[style](serve().address, "first", [1], codec=Full)


@pytest.fixture
def eager_gc():
    """A garbage collector that runs for every ten new objects."""
    limits = gc.get_threshold()
    gc.set_threshold(10)
    yield
    gc.set_threshold(*limits)


def collections():
    return gc.get_stats()[0]["collections"]


@pytest.mark.parametrize("codec", ["msgspec", "orjson"])
def test_the_garbage_collector_is_paused_while_a_result_is_decoded(
    serve, client_for, eager_gc, codec
):
    """Everything made then is part of the result: a collection would find nothing."""
    rows = json.dumps([{"n": i} for i in range(20_000)])
    server = serve()
    server.misbehave(Payload('{"id":$id,"result":' + rows + "}"))
    client = client_for(server, codec=codec)
    for ask in (
        lambda: client.call("rows"),
        lambda: client.submit("rows").result(LIMIT),
        lambda: next(client.map("rows", [[]])),
    ):
        before = collections()
        assert len(ask()) == 20_000
        assert collections() - before < 1000  # 2000 without the rest
        assert gc.isenabled()
    server.misbehave(Payload('{"id":$id,"result":"\\ud800"}'))
    with pytest.raises(InvalidResponse):
        client.call("half a character")
    assert gc.isenabled()


@pytest.mark.parametrize("codec", [Wrapping, "json"])
def test_it_works_beside_a_decoder_in_python(serve, client_for, codec, monkeypatch):
    """Other threads run meanwhile, and their garbage is collected as always."""
    seen = []
    loads = json.loads

    def watched(data, **options):
        seen.append(gc.isenabled())
        return loads(data, **options)

    monkeypatch.setattr(json, "loads", watched)
    client = client_for(serve(), codec=codec)
    client.call("echo", [1])
    client.submit("echo", [1]).result(LIMIT)
    assert len(seen) >= 2
    assert all(seen)


def test_the_garbage_collector_stays_off_where_it_was_off(serve, client_for):
    client = client_for(serve())
    gc.disable()
    try:
        client.call("echo", [1])
        assert not gc.isenabled()
    finally:
        gc.enable()


def counted(function, calls):
    def counting(argument):
        calls.append(argument)
        return function(argument)

    return counting


def test_a_codec_object_is_used_as_it_is(serve, client_for):
    """Its functions are called directly, and once for all results of a batch."""
    texts, ones, batches = [], [], []
    codec = Codec(
        encode=counted(orjson.dumps, texts),
        decode=counted(orjson.loads, ones),
        decode_many=counted(orjson.loads, batches),
    )
    assert resolve(codec) is codec
    client = client_for(serve(), codec=codec)
    want = [{"n": i} for i in range(2000)]
    assert list(client.map("first", [[each] for each in want])) == want
    assert 0 < len(batches) < len(want) / 4
    assert not ones
    assert client.call("first", [{"n": 1}]) == {"n": 1}
    assert len(ones) == 1
    assert texts[-1] == [{"n": 1}]


def test_a_codec_object_without_decode_many_decodes_each_result(serve, ask):
    codec = Codec(orjson.dumps, lambda text: ["mine", orjson.loads(text)])
    assert ask(serve().address, "first", [7], codec=codec) == ["mine", 7]


def test_a_codec_object_with_its_own_types(serve, ask):
    """What the documentation shows."""
    codec = Codec(
        lambda value: orjson.dumps(value, default=str),
        orjson.loads,
        orjson.loads,
        native=True,
    )
    assert ask(serve().address, "first", [1j], codec=codec) == "1j"


def test_a_codec_object_that_encodes_to_str_is_refused(serve, client_for):
    client = client_for(serve(), codec=Codec(json.dumps, json.loads))
    with pytest.raises(TypeError, match="bytes"):
        client.call("first", [1])


@pytest.mark.parametrize("name", ["encode", "decode", "decode_many"])
def test_a_codec_object_has_functions(name):
    functions = {"encode": orjson.dumps, "decode": orjson.loads} | {name: 7}
    with pytest.raises(TypeError, match=f"codec: {name} must be callable, not 7"):
        resolve(Codec(**functions))
