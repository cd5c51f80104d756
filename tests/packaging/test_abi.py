"""The ABI check accepts compatible changes and nothing else."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SONAME = "libjsonrpcc.so.0"

pytestmark = [
    pytest.mark.skipif(
        not all(map(shutil.which, ("abidw", "abidiff", "cc", "pkg-config"))),
        reason="no libabigail (make abi), or no compiler",
    ),
    pytest.mark.skipif(
        "JSONRPCC_SAN" in os.environ, reason="children would inherit the LD_PRELOAD"
    ),
]


@pytest.fixture
def changed(tmp_path):
    """Change the public header in a copy of the sources, and run the check on it."""
    for name in ("abi", "csrc", "scripts"):
        shutil.copytree(ROOT / name, tmp_path / name)

    def check(pattern, replacement):
        header = tmp_path / "csrc/jsonrpcc.h"
        text, n = re.subn(
            pattern, replacement, header.read_text(), count=1, flags=re.DOTALL
        )
        assert n == 1
        header.write_text(text)
        done = subprocess.run(
            [sys.executable, tmp_path / "scripts/abi.py", "check", SONAME],
            capture_output=True, text=True, timeout=50, check=False,
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        return done

    return check


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        (
            r"JSONRPCC_EFOREIGN(.*?)(\} jsonrpcc_options;)",
            r"JSONRPCC_EFOREIGN, JSONRPCC_ENEW\1    uint32_t another;\n\2",
        ),
        (r"\} jsonrpcc_outcome;", "    uint32_t another;\n} jsonrpcc_outcome;"),
    ],
    ids=["of the caller's", "of the library's"],
)
def test_an_appended_field_and_status_are_compatible(changed, pattern, replacement):
    done = changed(pattern, replacement)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "compatible" in done.stdout


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        (r"int32_t timeout_ms;( +/\* from now)", r"int64_t timeout_ms;\1"),
        (r"    const char \*method;", "    void *extra;\n    const char *method;"),
        (r"JSONRPCC_UNKNOWN = 1", "JSONRPCC_UNKNOWN = 7"),
    ],
    ids=["type", "place", "number"],
)
def test_an_incompatible_change_is_reported(changed, pattern, replacement):
    done = changed(pattern, replacement)
    assert done.returncode == 1, done.stdout
    assert "would break" in done.stderr
