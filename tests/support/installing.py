"""Empty environments with the built wheel in them, for the tests of `make dist`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WHEEL = os.environ.get("JSONRPCC_WHEEL", "")  # a path; set by "make test-dist"
LIMIT = 280.0  # seconds for a build or a run

needs_wheel = pytest.mark.skipif(not WHEEL, reason="no wheel: make test-dist")


def run(*command, env=None, cwd=None, limit=LIMIT):
    """Run a program; return what it prints, stderr as well."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=env or {**os.environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=limit,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def find_python(version):
    """Return an interpreter of this machine; skip the test if there is none."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = sorted(pyenv.glob(f"versions/{version}.*/bin/python{version}"))
    path = found[-1] if found else shutil.which(f"python{version}")
    if path is None:
        if sys.version_info[:2] == tuple(map(int, version.split("."))):
            return sys.executable
        pytest.skip(f"no Python {version} on this machine")
    return path


class Venv:
    """
    An empty environment, that sees nothing of this tree or its .venv.

    Without *tools* its PATH has no compiler and no pkg-config.
    """

    def __init__(self, folder, python, *, tools=False):
        run(python, "-m", "venv", folder)
        self.python = folder / "bin/python"
        path = [str(folder / "bin"), *(["/usr/bin", "/bin"] if tools else [])]
        keep = ("HOME", "TMPDIR", "LANG", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
        self.env = {
            **{name: os.environ[name] for name in keep if name in os.environ},
            # The machine's settings say where packages come from.
            **{name: os.environ[name] for name in os.environ if name[:4] == "PIP_"},
            "PATH": os.pathsep.join(path),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }

    def run(self, *args, cwd=None, **env):
        """Run its Python, outside the tree, whose package would be found first."""
        folder = cwd or self.python.parent
        return run(self.python, *args, cwd=folder, env=self.env | env)

    def install(self, *packages, **env):
        return self.run("-m", "pip", "install", "--quiet", *packages, **env)
