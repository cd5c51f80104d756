"""What type checkers are to say of calls; they read this, and nobody runs it."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json
from collections import deque
from collections.abc import AsyncIterator, Iterator
from typing import Any, Protocol, assert_type

import msgspec

from jsonrpcc import AsyncClient, Call, Client, Codec, rpc


class User(msgspec.Struct):
    id: int


@dataclasses.dataclass
class Point:
    x: int


class Users(Protocol):
    def get(self, id_: int) -> User: ...

    @rpc("user.all", by="name", timeout=0.2)
    def all(self, *, page: int = 0) -> list[User]: ...


def protocol(client: Client) -> None:
    users = client.typed(Users)
    assert_type(users, Users)
    assert_type(users.get(1), User)
    assert_type(users.all(page=2), list[User])
    users.get("no")  # error


def on_user(user: User) -> None:
    print(user.id)


def blocking(client: Client) -> None:
    assert_type(client.call("get", [1], result_type=User), User)
    assert_type(client.call("get", [1], result_type=list[User]), list[User])
    assert_type(client.call("get", [1], timeout=1.0, block=False), Any)
    assert_type(client.call("get", result_type=None), Any)
    nobody: User | None = client.call("get", result_type=User | None)
    print(nobody)
    assert_type(client.submit("get", result_type=User), concurrent.futures.Future[User])
    assert_type(client.submit("get"), concurrent.futures.Future[Any])
    assert_type(client.map("get", [[1]], result_type=User), Iterator[User])
    assert_type(
        client.map("get", [[1]], result_type=User, return_exceptions=True),
        Iterator[User | Exception],
    )
    assert_type(client.map("get", [[1]], window=2), Iterator[Any])
    assert_type(client.request("get", [1], on_user, result_type=User), Call)


def params(client: Client) -> None:
    client.call("get", {"id": 1})
    client.call("get", (1, "b"))
    client.call("get", range(3))
    client.call("get", deque([1]))
    client.call("get", User(1))
    client.call("get", Point(1))
    client.call("get", "{'id': 1}")
    client.call("get", b"[1]")
    user = client.call("get", result_type=User)
    print(user.name)  # error
    client.call("get", 1)  # error
    client.call("get", {1, 2})  # error
    client.call("get", {1: 2})  # error


async def awaited(client: AsyncClient) -> None:
    assert_type(await client.call("get", [1], result_type=User), User)
    assert_type(await client.call("get", [1]), Any)
    assert_type(client.map("get", [[1]], result_type=User), AsyncIterator[User])
    assert_type(await client.request("get", [1], on_user, result_type=User), Call)


class Own:
    @staticmethod
    def encode(value: Any) -> bytes:
        return msgspec.json.encode(value)

    @staticmethod
    def decode(text: bytes) -> Any:
        return msgspec.json.decode(text)


def codecs() -> None:
    Client("a:1", codec="orjson")
    Client("a:1", codec=msgspec.json)
    Client("a:1", codec=json)
    Client("a:1", codec=Own)
    AsyncClient("a:1", codec=Own())
    Client("a:1", codec=Codec(msgspec.json.encode, msgspec.json.decode))
    Client("a:1", codec="json5")  # error
    Client("a:1", codec=print)  # error
    Client("a:1", codec=3)  # error
