"""result_type: what each style of call returns, for results that fit and others."""

import asyncio
import dataclasses
import enum
import subprocess
import sys
from typing import Annotated, Literal, NamedTuple, TypedDict

import attrs
import msgspec
import pydantic
import pytest
from helpers import LIMIT

from jsonrpcc import AsyncClient, Client, InvalidResponse, RemoteError
from jsonrpcc.testing import Payload


class User(msgspec.Struct):
    id: int
    roles: list[str] = []


@dataclasses.dataclass
class Point:
    x: int
    y: float = 0.0


class Movie(TypedDict):
    title: str


class Pair(NamedTuple):
    left: int
    right: str


class Colour(enum.Enum):
    RED = "red"


@attrs.define
class Box:
    width: int


class Model(pydantic.BaseModel):
    id: int
    names: list[str] = []


@pydantic.dataclasses.dataclass
class Validated:
    id: int


class Cat(msgspec.Struct, tag=True):
    lives: int


class Dog(msgspec.Struct, tag=True):
    age: int


GOOD = [
    (User, {"id": 1, "roles": ["a"]}, User(1, ["a"])),
    (Point, {"x": 1, "y": 2}, Point(1, 2.0)),
    (Movie, {"title": "M"}, {"title": "M"}),
    (Pair, [1, "b"], Pair(1, "b")),
    (Colour, "red", Colour.RED),
    (Box, {"width": 3}, Box(3)),
    (Model, {"id": 1, "names": ["n"]}, Model(id=1, names=["n"])),
    (list[Model], [{"id": 1}], [Model(id=1)]),
    (pydantic.TypeAdapter(list[int]), [1, 2], [1, 2]),
    (int, 12345678901234567890123, 12345678901234567890123),
    (float, 1, 1.0),
    (list[User], [{"id": 1}], [User(1)]),
    (dict[str, Point], {"a": {"x": 1}}, {"a": Point(1)}),
    (User | None, None, None),
    (Cat | Dog, {"type": "Dog", "age": 3}, Dog(3)),
    (Literal["a"], "a", "a"),
    (Annotated[int, msgspec.Meta(ge=5)], 5, 5),
    (Annotated[int, ["cannot be hashed"]], 5, 5),
    (msgspec.Raw, {"a": [1.10]}, msgspec.Raw(b'{"a":[1.1]}')),
    (type(None), None, None),
]  # fmt: skip
BAD = [
    (User, {"id": 1, "roles": ["a", 2]}, "$.roles[1]"),
    (User, {"id": "1"}, "$.id"),
    (User, {}, "missing required field `id`"),
    (Point, {"x": None}, "$.x"),
    (Pair, [1, 2], "$[1]"),
    (Colour, "blue", "blue"),
    (Model, {"id": "no"}, "$.id"),
    (list[Model], [{"id": 1}, {"id": 1, "names": [1]}], "$[1].names[0]"),
    (Validated, {"id": "no"}, "$.id"),
    (int, 1.5, "int"),
    (int, None, "int"),
    (str, 5, "str"),
    (list[User], [{"id": 1}, {}], "$[1]"),
    (Annotated[int, msgspec.Meta(ge=5)], 4, ">= 5"),
]
ids = [f"{number}" for number in range(len(GOOD))]


def by_call(client, params, result_type):
    return client.call("first", params, result_type=result_type)


def by_request(client, params, result_type):
    got = []
    client.request("first", params, got.append, got.append, result_type=result_type)
    client.drain()
    (outcome,) = got
    if isinstance(outcome, InvalidResponse):
        raise outcome
    return outcome


def by_submit(client, params, result_type):
    return client.submit("first", params, result_type=result_type).result(LIMIT)


def by_map(client, params, result_type):
    (result,) = client.map("first", [params], result_type=result_type)
    return result


def by_await(client, params, result_type):
    async def main():
        async with AsyncClient(client.servers()[0].address) as other:
            return await other.call("first", params, result_type=result_type)

    return asyncio.run(main())


def by_async_request(client, params, result_type):
    async def main():
        async with AsyncClient(client.servers()[0].address) as other:
            got = []
            await other.request(
                "first", params, got.append, got.append, result_type=result_type
            )
            await other.drain()
            return got[0]

    outcome = asyncio.run(main())
    if isinstance(outcome, InvalidResponse):
        raise outcome
    return outcome


def by_async_map(client, params, result_type):
    async def main():
        async with AsyncClient(client.servers()[0].address) as other:
            results = other.map("first", [params], result_type=result_type)
            return [result async for result in results][0]  # noqa: RUF015

    return asyncio.run(main())


STYLES = [
    by_call, by_request, by_submit, by_map, by_await, by_async_request, by_async_map,
]  # fmt: skip


@pytest.mark.parametrize("style", STYLES)
def test_a_result_is_of_the_type_that_was_named(serve, client_for, style):
    client = client_for(serve())
    for result_type, sent, wanted in GOOD:
        got = style(client, [sent], result_type)
        if isinstance(wanted, msgspec.Raw):
            assert bytes(got) == bytes(wanted)
        else:
            assert got == wanted
        assert type(got) is type(wanted)


@pytest.mark.parametrize("style", STYLES)
def test_a_result_that_does_not_fit_says_where(serve, client_for, style):
    client = client_for(serve())
    for result_type, sent, where in BAD:
        with pytest.raises(InvalidResponse) as caught:
            style(client, [sent], result_type)
        assert where in str(caught.value)
        assert caught.value.fate == "answered"
        assert caught.value.method == "first"
        assert isinstance(caught.value.__cause__, ValueError)
        # It may be secret, and is not in the text.
        assert "input" not in str(caught.value)


@pytest.mark.parametrize("style", STYLES)
def test_a_type_that_no_codec_decodes_is_refused_at_the_call(serve, client_for, style):
    server = serve()
    client = client_for(server)

    class Unknown:
        pass

    for wrong in (Unknown, list[Unknown], User | Point, "User", 5):
        with pytest.raises(
            TypeError, match=r"result_type .*(cannot be|must be a type)"
        ):
            style(client, [1], wrong)
    assert server.requests == []


@pytest.mark.parametrize("codec", ["msgspec", "json", "orjson"])
def test_types_are_the_same_with_each_codec(serve, client_for, codec):
    client = client_for(serve(), codec=codec)
    assert client.call("first", [{"id": 1}], result_type=User) == User(1)
    assert client.call("first", [{"id": 1}]) == {"id": 1}
    assert list(client.map("first", [[{"id": n}] for n in range(9)], result_type=User))


def test_errors_of_the_server_are_not_of_the_type(serve, client_for):
    client = client_for(serve())
    with pytest.raises(RemoteError):
        client.call("fail", result_type=User)


def test_raw_is_the_text_as_it_came(serve, client_for):
    exact = b'{"n": 1.10, "big": 1e400, "text": "\\u00fc"}'
    server = serve()
    server.misbehave(
        Payload(
            lambda request: (
                b'{"jsonrpc": "2.0", "id": %d, "result": %s}' % (request.id, exact)
            )
        )
    )
    client = client_for(server)
    for style in STYLES:
        assert bytes(style(client, [1], msgspec.Raw)) == exact


def test_what_a_type_raises_ends_nothing(serve, client_for):
    class Evil(msgspec.Struct):
        def __post_init__(self):
            raise KeyError("x")

    client = client_for(serve())
    for style in STYLES:
        with pytest.raises(InvalidResponse, match="cannot be decoded"):
            style(client, [{}], Evil)
    assert client.call("first", [1]) == 1


NO_PYDANTIC = """
import sys
import jsonrpcc
client = jsonrpcc.Client("127.0.0.1:1")
class Unknown: pass
try:
    client.call("x", result_type=list[Unknown])
except TypeError as error:
    print(error)
client.close()
assert "pydantic" not in sys.modules and "msgspec.inspect" in sys.modules
"""


def test_pydantic_is_not_imported_by_us():
    done = subprocess.run(
        [sys.executable, "-c", NO_PYDANTIC],
        check=True, capture_output=True, text=True, timeout=LIMIT * 4,
    )  # fmt: skip
    assert "is none of msgspec's types, nor of pydantic's if that is" in done.stdout


def test_a_typed_call_of_a_closed_client(serve):
    client = Client(serve().address)
    client.close()
    with pytest.raises(Exception, match="client closed"):
        client.call("first", [1], result_type=User)
