"""CONTRIBUTING.md names files that exist, and no more of them than it says."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
CHANGES = [
    line.strip("| ").split("|")
    for line in TEXT.partition("### Where do I put")[2]
    .partition("\n\nThe row for")[0]
    .splitlines()
    if re.match(r"\| (?!…|--)", line) and "(" in line
]
# What a row names without its files.
SHORT = {"the file that reads it": 1, "the file of `csrc/engine`": 1, "the three of": 3}


def test_no_page_has_a_conflict_in_it():
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    assert not [page for page in pages if "\n<<<<<<< " in page.read_text()]


def test_the_table_is_found():
    assert len(CHANGES) >= 8  # a row goes when its change is made


@pytest.mark.parametrize("row", CHANGES, ids=lambda row: row[0].strip())
def test_a_change_touches_these_files(row):
    what, new, existing = row
    number = int(re.search(r"\((\d)", what)[1])
    existing = existing.partition(";")[0]
    files = set(re.findall(r"`(\S+\.\w+)`", existing))
    assert all((ROOT / name).is_file() for name in files), files
    assert not any(
        list(ROOT.glob(f"{name}.*")) for name in re.findall(r"`(\S+)`", new)
    ), "it is built: the row can go"
    assert number == len(files) + sum(n for s, n in SHORT.items() if s in existing)


def test_files_of_our_own_exist():
    table = TEXT.partition("### What we write")[2].partition("\n\nA new file")[0]
    names = re.findall(r"`([a-z]+/[\w/]+\.\w+)`", table)
    assert len(names) >= 5
    assert all((ROOT / name).is_file() for name in names)
