"""result_type: what each style of call makes of results, whether they fit or not."""

import asyncio
import dataclasses
import enum
import gc
import random
import subprocess
import sys
import weakref
from typing import Annotated, Literal, NamedTuple, TypedDict

import attrs
import msgspec
import pydantic
import pytest
from helpers import LIMIT, QUICK

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
def test_a_type_that_nobody_decodes_is_refused_at_the_call(serve, client_for, style):
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


TYPES = {
    None: lambda n: ({"id": n}, {"id": n}),
    User: lambda n: ({"id": n}, User(n)),
    Point: lambda n: ({"x": n}, Point(n)),
    list[int]: lambda n: ([n] * (n % 7), [n] * (n % 7)),
    Model: lambda n: ({"id": n}, Model(id=n)),
    msgspec.Raw: lambda n: ([n], msgspec.Raw(b"[%d]" % n)),
}


def mixed(count, share_of_bad, seed):
    """So many calls: their types, what is sent, and what is to come (or is bad)."""
    dice = random.Random(seed)
    for n in range(count):
        kind = dice.choice(list(TYPES))
        sent, wanted = TYPES[kind](n)
        if kind not in {None, msgspec.Raw} and dice.random() < share_of_bad:
            sent, wanted = "no such thing", InvalidResponse
        yield kind, sent, wanted


def check(wanted, got):
    if wanted is InvalidResponse:
        assert isinstance(got, InvalidResponse)
    elif isinstance(wanted, msgspec.Raw):
        assert bytes(got) == bytes(wanted)
    else:
        assert got == wanted
        assert type(got) is type(wanted)


@pytest.mark.parametrize("share", [0, 0.02, 0.5])
def test_each_of_a_fetch_gets_its_own_type_and_its_own_error(serve, client_for, share):
    """Many types at once, good and bad, in one fetch: P4 and P5."""
    client = client_for(serve(), max_in_flight=4096)
    calls = list(mixed(3000, share, 5))
    got = {}
    for n, (kind, sent, _) in enumerate(calls):

        def done(outcome, n=n):
            assert n not in got
            got[n] = outcome

        client.request("first", [sent], done, done, result_type=kind)
    assert client.drain(LIMIT * 4)
    for n, (_, _, wanted) in enumerate(calls):
        check(wanted, got[n])


@pytest.mark.parametrize("share", [0, 0.02, 0.5])
def test_each_task_gets_its_own_type_and_its_own_error(serve, run, share):
    server = serve()
    calls = list(mixed(2000, share, 6))

    async def main():
        async with AsyncClient(server.address) as client:
            return await asyncio.gather(
                *(
                    client.call("first", [sent], result_type=kind)
                    for kind, sent, _ in calls
                ),
                return_exceptions=True,
            )

    for (_, _, wanted), got in zip(calls, run(main()), strict=True):
        check(wanted, got)


def test_map_puts_what_does_not_fit_in_its_place(serve, client_for):
    client = client_for(serve())
    sent = [[{"id": n} if n % 10 else "no"] for n in range(500)]
    got = list(client.map("first", sent, result_type=User, return_exceptions=True))
    for n, each in enumerate(got):
        check(User(n) if n % 10 else InvalidResponse, each)


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


def test_raw_does_not_keep_the_others_of_its_fetch(serve, client_for):
    class Held(msgspec.Struct):
        raw: msgspec.Raw

    client = client_for(serve())
    sent = [[{"raw": "x" * 100}] for _ in range(400)]
    for result in client.map("first", sent, result_type=Held):
        assert len(memoryview(result.raw).obj) < 200


def test_a_type_may_run_code_that_uses_the_client(serve, client_for):
    """A decoder is the user's code: it calls, raises and takes its time."""
    server = serve()
    client = client_for(server)

    class Asks(msgspec.Struct):
        id: int

        def __post_init__(self):
            if self.id % 3 == 0:
                raise ValueError("by three")
            if self.id % 50 == 1:
                client.call("first", [1], timeout=LIMIT)

    got = {}
    for n in range(300):
        client.request(
            "first", [{"id": n}],
            lambda result, n=n: got.setdefault(n, result.id),
            lambda error, n=n: got.setdefault(n, type(error)),
            result_type=Asks,
        )  # fmt: skip
    assert client.drain(LIMIT * 2)
    assert got == {n: InvalidResponse if n % 3 == 0 else n for n in range(300)}


def test_what_a_type_raises_is_no_end_of_anything(serve, client_for):
    class Evil(msgspec.Struct):
        def __post_init__(self):
            raise KeyError("x")

    client = client_for(serve())
    for style in STYLES:
        with pytest.raises(InvalidResponse, match="cannot be decoded"):
            style(client, [{}], Evil)
    assert client.call("first", [1]) == 1


def test_types_are_not_kept_for_ever(serve, client_for):
    client = client_for(serve())
    gone = []
    for n in range(1100):
        kind = msgspec.defstruct(f"Kind{n}", [("id", int)])
        assert client.call("first", [{"id": n}], result_type=kind).id == n
        gone.append(weakref.ref(kind))
        del kind
    gc.collect()
    assert sum(each() is not None for each in gone) < 1024


def test_a_cancelled_typed_call_leaves_nothing(serve, run):
    server = serve()

    async def main():
        async with AsyncClient(server.address, **QUICK) as client:
            for _ in range(200):
                task = asyncio.create_task(
                    client.call("first", [{"id": 1}], result_type=User)
                )
                await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
            assert await client.call("first", [2]) == 2
            assert (await client.call("first", [{"id": 1}], result_type=User)).id == 1

    run(main())


def test_a_full_client_keeps_the_type(serve, run):
    server = serve()

    async def main():
        async with AsyncClient(server.address, max_in_flight=2) as client:
            calls = (
                client.call("first", [{"id": n}], result_type=User) for n in range(40)
            )
            assert await asyncio.gather(*calls) == [User(n) for n in range(40)]

    run(main())


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
