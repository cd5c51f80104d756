"""The documentation's tables of params and codecs, cell by cell."""

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import re
import uuid
from pathlib import Path
from typing import NamedTuple

import attrs
import msgspec
import pydantic
import pytest

from jsonrpcc import InvalidResponse
from jsonrpcc.testing import Payload

TEXT = (Path(__file__).parents[2] / "docs" / "calls.md").read_text()
CODECS = ("msgspec", "json", "orjson")


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: int


class Struct(msgspec.Struct):
    x: int


class Array(msgspec.Struct, array_like=True):
    x: int


@attrs.define
class Attrs:
    x: int


class Model(pydantic.BaseModel):
    x: int = pydantic.Field(alias="the x")


class Named(NamedTuple):
    x: int


class Text(str):
    __slots__ = ()


VALUES = {
    "`tuple`": (1, 2),
    "`NamedTuple`": Named(1),
    "`set`": {1},
    "`deque`": collections.deque([1]),
    "`dict` with integers as keys": {1: 2},
    "`OrderedDict`": collections.OrderedDict(a=1),
    "`msgspec.Struct`": Struct(1),
    "dataclass": Point(1),
    "attrs object": Attrs(1),
    "pydantic model": Model(**{"the x": 1}),
    "`Enum`": Colour.RED,
    "`datetime` in UTC": dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
    "`UUID`": uuid.UUID(int=1),
    "`Decimal`": decimal.Decimal("1.5"),
    "`bytes`": b"ab",
    "a subclass of `str`": Text("t"),
    "an integer beyond 64 bits": 2**70,
    "NaN": float("nan"),
}


def rows(heading):
    """The rows of the table whose first cell of the head this is."""
    table = TEXT.partition(f"| {heading} |")[2].partition("\n\n")[0]
    lines = table.splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def plain(cell):
    return cell.strip().strip("`")


CELLS = [
    (label.strip(), codec, plain(cell))
    for label, *cells in rows("in params")
    for codec, cell in zip(CODECS, cells, strict=True)
]
RESULTS = [
    (plain(text), codec, plain(cell))
    for text, *cells in rows("JSON")
    for codec, cell in zip(CODECS, cells, strict=True)
]


def test_the_table_has_a_row_for_each_value():
    assert [label for label, codec, _ in CELLS if codec == "json"] == list(VALUES)
    assert len(RESULTS) == 5 * 3


@pytest.mark.parametrize(("label", "codec", "cell"), CELLS)
def test_what_a_codec_takes(serve, client_for, label, codec, cell):
    server = serve()
    client = client_for(server, codec=codec)
    if re.fullmatch("[A-Z][A-Za-z]*Error", cell):
        with pytest.raises(Exception, match="params") as caught:
            client.call("echo", [VALUES[label]])
        assert type(caught.value).__name__ == cell
        assert server.requests == []
    else:
        client.call("echo", [VALUES[label]])
        assert f'"params":[{cell}]'.encode() in server.requests[0].raw


@pytest.mark.parametrize(("text", "codec", "cell"), RESULTS)
def test_what_a_codec_gives(serve, client_for, text, codec, cell):
    server = serve()
    server.misbehave(
        Payload(lambda each: f'{{"jsonrpc":"2.0","id":{each.id},"result":{text}}}')
    )
    client = client_for(server, codec=codec)
    if cell == "InvalidResponse":
        with pytest.raises(InvalidResponse):
            client.call("echo")
    else:
        assert repr(client.call("echo")) == cell


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(
    ("params", "sent"),
    [
        ({"a": 1}, '{"a":1}'),
        ([1, 2], "[1,2]"),
        ((1, 2), "[1,2]"),
        ("{'a': 1}", '{"a":1}'),
        (b"[1]", "[1]"),
        (collections.ChainMap({"a": 1}), '{"a":1}'),
        (collections.deque([1, 2]), "[1,2]"),
        (range(3), "[0,1,2]"),
        (Struct(1), '{"x":1}'),
        (Array(1), "[1]"),
        (Point(1), '{"x":1}'),
        (Attrs(1), '{"x":1}'),
        (Model(**{"the x": 1}), '{"the x":1}'),
        (Named(1), "[1]"),
    ],
    ids=repr,
)
def test_what_params_may_be(serve, ask, codec, params, sent):
    """At the top level, they are the same with each codec, and in each style."""
    server = serve()
    ask(server.address, "echo", params, codec=codec)
    raw = server.requests[0].raw.replace(b" ", b"")
    assert f'"params":{sent.replace(" ", "")}'.encode() in raw


@pytest.mark.parametrize("wrong", [Point, Struct, Model, {1}, 5, object()])
def test_what_params_may_not_be(serve, ask, wrong):
    server = serve()
    with pytest.raises(TypeError, match="params must be"):
        ask(server.address, "echo", wrong)
    assert server.requests == []


def test_a_model_that_is_not_an_object_is_refused(serve, client_for):
    server = serve()
    with pytest.raises(ValueError, match="array or an object"):
        client_for(server).call("echo", pydantic.RootModel[int](5))
    assert server.requests == []
