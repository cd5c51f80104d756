"""The code in README.md runs exactly as written, and its tables are correct."""

import re
import subprocess
from typing import get_args, get_type_hints

import pytest
from snippets import (
    NEEDS_CC,
    ROOT,
    blocks,
    build_c,
    check_console,
    check_python,
    local_servers,
    read,
)

import jsonrpcc

README = read("README.md")


@pytest.fixture
def local():
    with local_servers() as local:
        yield local


def some(language):
    found = blocks("README.md", language)
    assert found
    return found


@pytest.mark.parametrize("code", some("python"))
def test_python_runs(code, local):
    check_python(code, local)


@pytest.mark.parametrize("session", some("console"))
def test_console_prints_what_it_says(session, local, tmp_path):
    check_console(session, local, tmp_path)


@NEEDS_CC
@pytest.mark.parametrize("code", some("c"))
def test_c_compiles_and_runs(code, local, tmp_path):
    build_c(local(code), tmp_path / "add")
    assert subprocess.check_output([tmp_path / "add"], text=True) == "3\n"


def test_table_of_limits_is_all_options_with_their_defaults():
    section = README.partition("## Limits")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (-?[\d,]+)( MiB)?", section, re.MULTILINE)
    said = {
        name: int(number.replace(",", "")) * (1024 * 1024 if mib else 1)
        for name, number, mib in rows
    }
    options = jsonrpcc.Options()
    defaults = {name: getattr(options, name) for name in options.__slots__}
    limits = {name: n for name, n in defaults.items() if isinstance(n, int | float)}
    assert said == limits
    others = {"name", "tls", "hello", "hello_errors", "ping_interval", "slow_call"}
    assert defaults.keys() - limits.keys() == others


def test_tree_of_errors_is_all_of_them():
    section = README.partition("## Errors")[2].partition("\n## ")[0]
    tree = section.partition("```\n")[2].partition("```")[0]
    said = [
        (len(indent) // 4, name)
        for indent, name in re.findall(r"^([│ ├└─]*)(\w+)", tree, re.MULTILINE)
    ]
    errors = {
        name: error
        for name, error in vars(jsonrpcc).items()
        if isinstance(error, type) and issubclass(error, jsonrpcc.JsonRpcError)
    }
    assert sorted(name for _, name in said) == sorted(errors)
    for depth, name in said:
        assert errors[name].__mro__.index(jsonrpcc.JsonRpcError) == depth


def test_kinds_of_events_are_all_of_them():
    (sentence,) = re.findall(r"The kinds of events are (.*?);", README)
    kinds = get_args(get_type_hints(jsonrpcc.Event)["kind"])
    assert set(re.findall(r"`(\w+)`", sentence)) == set(kinds)


PAGES = sorted(
    page.relative_to(ROOT)
    for pattern in ("*.md", "docs/**/*.md", "bench/**/*.md", "examples/**/*.md")
    for page in ROOT.glob(pattern)
)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\((?!https?:)([^)#\s]+)[^)]*\)", text):
        assert (ROOT / page.parent / target).exists(), target
