"""Client.typed: classes whose methods are those of the server."""

import asyncio
import inspect
from typing import Any, Protocol, TypedDict

import msgspec
import pytest

from jsonrpcc import AsyncClient, InvalidResponse, RemoteError, RequestTimeout, rpc
from jsonrpcc.testing import Drop


class User(msgspec.Struct):
    id: int
    name: str = ""


class Users(Protocol):
    """The methods of the tests' server."""

    def add(self, a: int, b: int, /) -> int: ...
    def echo(self, *, id: int, name: str = "x") -> User: ...  # noqa: A002
    def first(self, value: Any) -> Any: ...

    @rpc("first")
    def as_user(self, value: Any) -> User: ...

    @rpc("echo")
    def listed(self, first: int = 1, *others: int) -> list[int]: ...

    @rpc("echo", by="name")
    def named(self, a: int = 1, b: int = 2, **more: int) -> Any: ...

    @rpc("echo")
    def later(self, a: int = 1, b: int = 2, c: int = 3) -> Any: ...

    @rpc("first")
    def nothing(self, value: Any) -> None: ...

    @rpc("note", notification=True)
    def note(self, text: str) -> None: ...

    @rpc("never", timeout=0.03, idempotent=True)
    def never(self): ...

    def fail(self): ...


class AsyncUsers(Protocol):
    async def add(self, a: int, b: int) -> int: ...

    @rpc("first")
    async def as_user(self, value: Any) -> User: ...

    @rpc(notification=True, block=False)
    async def note(self, text: str) -> None: ...


def test_methods_send_what_their_arguments_say(serve, client_for):
    server = serve()
    users = client_for(server).typed(Users)
    assert users.add(1, 2) == 3
    assert users.echo(id=1, name="a") == User(1, "a")
    assert users.echo(id=1) == User(1)
    assert server.requests[-1].params == {"id": 1}
    assert users.as_user({"id": 5}) == User(5)
    assert users.as_user(value={"id": 5}) == User(5)
    assert users.nothing(7) is None
    assert users.first(7) == 7


def test_what_is_left_out_is_not_sent_unless_something_behind_it_is(serve, client_for):
    server = serve()
    users = client_for(server).typed(Users)
    for use, params in (
        (users.later, None),
        (lambda: users.later(5), [5]),
        (lambda: users.later(c=9), [1, 2, 9]),
        (lambda: users.later(b=9), [1, 9]),
        (users.named, None),
        (lambda: users.named(5), {"a": 5}),
        (lambda: users.named(b=5, c=6), {"b": 5, "c": 6}),
        (lambda: users.listed(1, 2, 3), [1, 2, 3]),
    ):
        use()
        assert server.requests[-1].params == params


def test_a_result_of_another_shape_is_refused(serve, client_for):
    users = client_for(serve()).typed(Users)
    with pytest.raises(InvalidResponse, match=r"\$\.id"):
        users.as_user({"id": "no"})
    with pytest.raises(RemoteError):
        users.fail()


def test_options_and_notifications(serve, client_for):
    server = serve(faults={"never": Drop()})
    users = client_for(server).typed(Users)
    with pytest.raises(RequestTimeout):
        users.never()
    assert users.note("hello") is None
    request = server.wait_for_requests(2)[-1]
    assert request.notification
    assert request.params == ["hello"]


def test_a_prefix_comes_before_each_name(serve, client_for):
    class Sums(Protocol):
        def add(self, a: int, b: int) -> int: ...

        @rpc("plus")
        def other(self, a: int, b: int) -> int: ...

    server = serve(methods={"m.add": lambda a, b: a + b, "m.plus": lambda a, b: a + b})
    sums = client_for(server).typed(Sums, prefix="m.")
    assert sums.add(1, 2) == sums.other(1, 2) == 3


def test_wrong_arguments_are_those_of_a_function(serve, client_for):
    server = serve()
    users = client_for(server).typed(Users)
    for wrong in (
        lambda: users.add(1),
        lambda: users.add(1, 2, 3),
        lambda: users.add(a=1, b=2),
        lambda: users.echo(1),
        lambda: users.as_user(other=1),
    ):
        with pytest.raises(TypeError, match=r"^Users\.[a-z_]+\(\): "):
            wrong()
    assert server.requests == []


def test_async_methods_are_awaited(serve, run):
    server = serve()

    async def main():
        async with AsyncClient(server.address) as client:
            users = client.typed(AsyncUsers)
            assert inspect.iscoroutinefunction(users.add)
            assert await users.add(1, 2) == 3
            sums = await asyncio.gather(*(users.add(n, n) for n in range(50)))
            assert sums == [2 * n for n in range(50)]
            assert await users.as_user({"id": 1}) == User(1)
            assert await users.note("hello") is None
            await client.call("echo")
            assert any(each.notification for each in server.requests)

    run(main())


def test_it_looks_like_the_class(serve, client_for):
    client = client_for(serve())
    assert client.wait_ready(5)  # its repr says whether it is connected
    users = client.typed(Users)
    assert users.__doc__ == Users.__doc__
    assert (
        str(inspect.signature(users.later))
        == "(a: int = 1, b: int = 2, c: int = 3) -> Any"
    )
    assert repr(users) == f"<Users of {client!r}>"
    assert users.later.__name__ == "later"
    with pytest.raises(AttributeError):
        _ = users.other


class Mixed(Protocol):
    def f(self, a, /, *, b): ...


class MixedPlain(Protocol):
    def f(self, a, *, b): ...


class PositionalByName(Protocol):
    @rpc(by="name")
    def f(self, a, /): ...


class NamedByPosition(Protocol):
    @rpc(by="position")
    def f(self, *, a): ...


class Strange:
    pass


class UnknownType(Protocol):
    def f(self) -> Strange: ...


class UnknownName(Protocol):
    def f(self) -> "Nowhere": ...  # noqa: F821


class NoSelf(Protocol):
    def f(): ...


class Constant(Protocol):
    f = 5


class Shape(TypedDict):
    x: int


@pytest.mark.parametrize(
    ("cls", "said"),
    [
        (Mixed, r"Mixed\.f\(\): params are positional or named, not both"),
        (MixedPlain, r"MixedPlain\.f\(\): params are positional or named, not both"),
        (PositionalByName, "positional or named"),
        (NamedByPosition, "positional or named"),
        (UnknownType, r"UnknownType\.f\(\): result_type .* cannot be decoded"),
        (UnknownName, r"UnknownName\.f\(\): .*Nowhere"),
        (NoSelf, r"NoSelf\.f\(\) has no self"),
        (Constant, r"Constant\.f is no method"),
        (AsyncUsers, r"AsyncUsers\.add\(\) must be def, for a Client"),
        (Strange, "Strange has no methods"),
        (5, "typed.. takes a class"),
    ],
)
def test_a_class_is_checked_when_the_object_is_made(serve, client_for, cls, said):
    server = serve()
    with pytest.raises(TypeError, match=said):
        client_for(server).typed(cls)
    assert server.requests == []


def test_an_async_client_wants_async_methods(serve, run):
    async def main():
        async with AsyncClient(serve().address) as client:
            with pytest.raises(
                TypeError, match="must be async def, for an AsyncClient"
            ):
                client.typed(Users)

    run(main())


@pytest.mark.parametrize(
    ("args", "options", "error"),
    [
        ((lambda: 0,), {}, TypeError),
        ((), {"by": "order"}, ValueError),
        ((), {"retries": 3}, TypeError),
        ((), {"notification": True, "idempotent": True}, TypeError),
    ],
)
def test_rpc_refuses_what_it_does_not_know(args, options, error):
    with pytest.raises(error):
        rpc(*args, **options)


def test_methods_of_base_classes_are_there_too(serve, client_for):
    class More(Users, Protocol):
        def now(self) -> float: ...

    users = client_for(serve()).typed(More)
    assert users.now() > 0
    assert users.add(1, 2) == 3
