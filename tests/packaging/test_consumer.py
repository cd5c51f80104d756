"""Another package, built in isolation on the installed wheel: tests/consumer."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from installing import ROOT, WHEEL, Venv, find_python, needs_wheel, run

pytestmark = [
    needs_wheel,
    pytest.mark.timeout(600),
    pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler"),
]
CALLS = 20_000  # each way


def constraints(folder, *requirements):
    """Make pip use these, for what it installs and for what it builds with."""
    path = folder / "constraints.txt"
    path.write_text("\n".join(requirements) + "\n")
    return {"PIP_CONSTRAINT": str(path), "PIP_BUILD_CONSTRAINT": str(path)}


def install_consumer(venv, wheel, folder, *requirements, **env):
    """Build it from its own pyproject.toml, outside of this tree."""
    shutil.copytree(ROOT / "tests/consumer", folder / "consumer")
    shutil.copy(ROOT / "tests/programs/consuming.py", folder)
    ours = f"jsonrpcc @ file://{wheel}"
    env |= constraints(folder, ours, *requirements)
    venv.install(folder / "consumer", **env)


def consume(venv, folder, **env):
    said = venv.run("-W", "error", folder / "consuming.py", str(CALLS), **env)
    assert said.split() == ["own", "shared", "kept_alive", "foreign"], said


@pytest.mark.parametrize(
    ("version", "cffi"),
    [("3.11", "cffi==2.0.0"), ("3.12", "cffi"), ("3.13", "cffi")],
)
def test_consumer_on_the_wheel(version, cffi, tmp_path):
    venv = Venv(tmp_path / "venv", find_python(version), tools=True)
    install_consumer(venv, WHEEL, tmp_path, cffi)
    consume(venv, tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="LD_PRELOAD is Linux's")
def test_consumer_under_asan(tmp_path):
    """The core and both extensions: no overrun, no use after free."""
    venv = Venv(tmp_path / "venv", sys.executable, tools=True)
    libasan = run("cc", "-print-file-name=libasan.so").strip()
    if not Path(libasan).is_absolute():
        pytest.skip("no libasan")
    asan = {
        "LD_PRELOAD": libasan,
        # Python itself leaves memory behind when it ends.
        "ASAN_OPTIONS": "detect_leaks=0",
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }
    (sdist,) = Path(WHEEL).parent.glob("*.tar.gz")
    flags = "-fsanitize=address,undefined -fno-sanitize-recover=all -g -O1"
    venv.run(
        "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", tmp_path, sdist,
        JSONRPCC_SAN="address,undefined",
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    # The build imports jsonrpcc, so that it needs the preload as well.
    install_consumer(venv, wheel, tmp_path, CFLAGS=flags, LDFLAGS=flags, **asan)
    consume(venv, tmp_path, **asan)
    probe = "import consumer._plain as it; print(it.__file__)"
    module = venv.run("-c", probe, **asan).strip()
    needed = subprocess.check_output(
        [shutil.which("readelf"), "-d", module], text=True, env={**os.environ}
    )
    assert "libasan" in needed
