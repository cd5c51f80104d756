"""The layers without sockets and libraries, for 32 bits."""

import os
import shutil
import subprocess
from pathlib import Path

import peers
import pytest

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 250.0  # seconds; everything is built


@pytest.mark.timeout(300)
@pytest.mark.skipif("JSONRPCC_SAN" in os.environ, reason="children inherit LD_PRELOAD")
def test_the_pure_layers_have_no_width(tmp_path):
    compiler, make = (shutil.which(name) for name in ("cc", "make"))
    if compiler is None or make is None:
        pytest.skip("no compiler, or no make")
    (tmp_path / "empty.c").write_text("#include <stdio.h>\nint main(void) { }\n")
    probe = [compiler, "-m32", tmp_path / "empty.c", "-o", tmp_path / "empty"]
    if subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        peers.missing("gcc-multilib")
    done = subprocess.run(
        [make, "--no-print-directory", "test-c32"],
        cwd=ROOT,
        env={**os.environ, "MAKEFLAGS": ""},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
