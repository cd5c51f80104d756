"""result_type, when many calls of many types are in flight."""

import asyncio
import dataclasses
import gc
import random
import weakref

import msgspec
import pydantic
import pytest
from helpers import LIMIT, QUICK

from jsonrpcc import AsyncClient, InvalidResponse


class User(msgspec.Struct):
    id: int
    roles: list[str] = []


@dataclasses.dataclass
class Point:
    x: int
    y: float = 0.0


class Model(pydantic.BaseModel):
    id: int
    names: list[str] = []


TYPES = {
    None: lambda n: ({"id": n}, {"id": n}),
    User: lambda n: ({"id": n}, User(n)),
    Point: lambda n: ({"x": n}, Point(n)),
    list[int]: lambda n: ([n] * (n % 7), [n] * (n % 7)),
    Model: lambda n: ({"id": n}, Model(id=n)),
    msgspec.Raw: lambda n: ([n], msgspec.Raw(b"[%d]" % n)),
}


def mixed(count, share_of_bad, seed):
    """That many calls: their types, what is sent, and what is expected (or bad)."""
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


@pytest.mark.parametrize("every", [1, 7, 400])
def test_one_type_for_all_of_a_fetch(serve, client_for, every):
    """What does not fit says where in its own text, not where in the fetch."""
    client = client_for(serve(), max_in_flight=4096)
    got = {}
    for n in range(800):
        role = 1 if n % every == 0 else "user"
        client.request(
            "first", [{"id": n, "roles": ["admin", role]}],
            lambda result, n=n: got.setdefault(n, result),
            lambda error, n=n: got.setdefault(n, str(error)),
            result_type=User,
        )  # fmt: skip
    assert client.drain(LIMIT * 2)
    for n in range(800):
        if n % every == 0:
            assert "`$.roles[1]`" in got[n]
        else:
            assert got[n] == User(n, ["admin", "user"])


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
