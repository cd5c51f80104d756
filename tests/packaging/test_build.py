"""Building from source: one line says what is missing."""

import functools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = ("LICENSE", "README.md", "build_ext.py", "pyproject.toml")

pytestmark = [
    pytest.mark.skipif(
        not (ROOT / "build_ext.py").exists(), reason="tests without the sources"
    ),
    pytest.mark.skipif(
        "JSONRPCC_SAN" in os.environ, reason="children would inherit the LD_PRELOAD"
    ),
]


@pytest.fixture
def source(tmp_path):
    """A copy of the sources, as in an sdist, that may be built in."""
    source = tmp_path / "source"
    shutil.copytree(ROOT / "csrc", source / "csrc")
    shutil.copytree(
        ROOT / "jsonrpcc",
        source / "jsonrpcc",
        ignore=shutil.ignore_patterns("*.so", "__pycache__", "include", "share"),
    )
    for name in FILES:
        shutil.copy(ROOT / name, source)
    return source


def complaint(source, **env):
    """Return the line that pip prints when the build fails."""
    done = subprocess.run(
        [
            sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation",
            "--wheel-dir", source.parent, source,
        ],
        env={**os.environ, **env},
        capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "Traceback" not in done.stdout + done.stderr
    (line,) = set(
        re.findall(r"^ *(jsonrpcc: .*)", done.stdout + done.stderr, re.MULTILINE)
    )
    return line


WHAT = (
    "Debian/Ubuntu: apt-get install gcc libc6-dev pkg-config libevent-dev "
    "libjson-c-dev libssl-dev; Fedora: dnf install gcc pkgconf-pkg-config "
    "libevent-devel json-c-devel openssl-devel; Alpine: apk add gcc musl-dev pkgconf "
    "libevent-dev json-c-dev openssl-dev; "
)


@pytest.mark.skipif(shutil.which("pkg-config") is None, reason="no pkg-config")
def test_without_the_libraries(source, tmp_path):
    (tmp_path / "empty").mkdir()
    env = {"PKG_CONFIG_LIBDIR": str(tmp_path / "empty"), "PKG_CONFIG_PATH": ""}
    said = complaint(source, **env)
    wanted = "jsonrpcc: libevent_core >= 2.1 and json-c >= 0.15 not found. " + WHAT
    assert said.startswith(wanted)


@pytest.mark.skipif(shutil.which("pkg-config") is None, reason="no pkg-config")
def test_with_one_that_is_too_old(source, tmp_path):
    for name, version in (("libevent_core", "2.1.8"), ("json-c", "0.13.1")):
        (tmp_path / f"{name}.pc").write_text(
            f"Name: {name}\nDescription: {name}\nVersion: {version}\n"
        )
    env = {"PKG_CONFIG_LIBDIR": str(tmp_path), "PKG_CONFIG_PATH": ""}
    said = complaint(source, **env)
    assert said.startswith("jsonrpcc: json-c >= 0.15 not found. " + WHAT)


def test_without_pkg_config(source):
    said = complaint(source, PKG_CONFIG="no-such-pkg-config")
    assert said.startswith("jsonrpcc: no-such-pkg-config is missing. " + WHAT)


@pytest.mark.skipif(shutil.which("pkg-config") is None, reason="no pkg-config")
@pytest.mark.parametrize("wanted", ["yes", "static"])
def test_with_tls_and_without_openssl(source, tmp_path, wanted):
    for name in ("libevent_core", "json-c"):
        text = f"Name: {name}\nDescription: {name}\nVersion: 9\n"
        (tmp_path / f"{name}.pc").write_text(text)
    env = {"PKG_CONFIG_LIBDIR": str(tmp_path), "PKG_CONFIG_PATH": ""}
    said = complaint(source, JSONRPCC_TLS=wanted, **env)
    missing = "jsonrpcc: libssl >= 3.0 and libcrypto >= 3.0 not found. "
    assert said.startswith(missing + WHAT)


def test_an_unknown_value_of_jsonrpcc_tls(source):
    said = complaint(source, JSONRPCC_TLS="off")
    assert said == "jsonrpcc: JSONRPCC_TLS must be no, yes or static, not 'off'"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_without_tls_it_says_so(source):
    """It works, and options that need TLS give the build as the reason."""
    env = {**os.environ, "JSONRPCC_TLS": "no", "PYTHONPATH": str(source)}
    code = "import setuptools; setuptools.setup()"
    run = functools.partial(
        subprocess.run, cwd=source, env=env, capture_output=True, text=True, check=True
    )
    run([sys.executable, "-c", code, "-q", "build_ext", "--inplace"])
    code = (
        "import jsonrpcc\n"
        "from jsonrpcc.testing import Server\n"
        "with Server({'add': int}) as server:\n"
        "    with jsonrpcc.Client(server.address) as client:\n"
        "        print(client.call('add', [7]))\n"
        "try: jsonrpcc.Client('localhost:1', tls=True)\n"
        "except ValueError as error: print(error)"
    )
    said = run([sys.executable, "-c", code]).stdout
    assert said == "7\ntls: this build has no TLS\n"
    said = run([sys.executable, "-m", "jsonrpcc", "--version"]).stdout
    assert said.endswith(" (without TLS)\n")
