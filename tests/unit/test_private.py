"""Objects of the package use only public members of each other."""

import ast
from pathlib import Path

import jsonrpcc

PACKAGE = Path(jsonrpcc.__file__).parent

ITSELF = ("self", "cls", "super()")

# The exceptions: where a module reaches into another object, and why.
EXCEPTIONS = {
    ("_base", "client._session"): "the module's own class, in a function beside it",
    ("_client", "_Methods._method"): "the class's own base, before there is a class",
    (
        "_async_base",
        "_Methods._method",
    ): "the class's own base, before there is a class",
    ("_client", "client._close_soon"): "the module's own class, at exit",
    ("_client", "client._close_at_exit"): "the module's own class, at exit",
    ("_future", "condition._is_owned"): "Python's: whether this thread has the lock",
    ("prometheus", "publisher._begin"): "the module's own class, in a forked child",
    ("_worker", "threading._active"): "Python's: there is no other way before 3.13",
}


def is_private(name):
    return name.startswith("_") and not name.endswith("__")


def reaches(module):
    """Yield the private members of other objects that a module uses."""
    tree = ast.parse(module.read_text())
    name = ".".join(module.relative_to(PACKAGE).with_suffix("").parts)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            owner = ast.unparse(node.value)
            if owner not in ITSELF:
                yield name, f"{owner}.{node.attr}"


def test_no_object_reaches_into_another():
    found = {each for module in PACKAGE.rglob("*.py") for each in reaches(module)}
    assert found == EXCEPTIONS.keys()
