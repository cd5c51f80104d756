"""AsyncClient has the methods of Client, with the same arguments."""

import inspect
import re
from pathlib import Path

import pytest

from jsonrpcc import AsyncClient, Client

# What only one of the two has, and why.
OTHERWISE = {
    "submit": "asyncio.create_task(client.call(...))",
    "__enter__": "async with",
    "__exit__": "async with",
    "__aenter__": "with",
    "__aexit__": "with",
}
# Of Client's, these may wait: AsyncClient's are awaited.
AWAITED = {"call", "request", "notification", "drain", "close", "wait_ready"}


def methods(cls):
    """Return what a class offers to callers."""
    ours = {"__enter__", "__exit__", "__aenter__", "__aexit__", "__init__"}
    return {
        name: inspect.getattr_static(cls, name)
        for name in dir(cls)
        if not name.startswith("_") or name in ours
    }


def parameters(function):
    return [
        (each.name, each.kind, each.default)
        for each in inspect.signature(
            getattr(function, "__func__", function)  # of a class method
        ).parameters.values()
    ]


BOTH = sorted(methods(Client).keys() & methods(AsyncClient).keys())


def test_both_clients_have_the_same_methods():
    different = methods(Client).keys() ^ methods(AsyncClient).keys()
    assert different == OTHERWISE.keys()


@pytest.mark.parametrize("name", BOTH)
def test_methods_of_both_take_the_same_arguments(name):
    sync, other = methods(Client)[name], methods(AsyncClient)[name]
    assert isinstance(sync, property) == isinstance(other, property)
    if not isinstance(sync, property):
        assert parameters(sync) == parameters(other)
        assert inspect.iscoroutinefunction(other) == (name in AWAITED)


@pytest.mark.parametrize("name", BOTH)
def test_methods_of_both_are_documented(name):
    assert inspect.getdoc(getattr(AsyncClient, name))
    assert inspect.getdoc(getattr(Client, name))


def test_the_documentation_lists_each_method_of_both():
    text = (Path(__file__).parents[2] / "docs" / "asyncio.md").read_text()
    table = text.partition("## Beside Client")[2].partition("```")[0]
    named = set(re.findall(r"[a-z]\w*", table))
    public = {each for each in methods(Client) if not each.startswith("_")}
    assert public <= named
