"""Programs and libraries of others that the client is tested with."""

import importlib
import importlib.util
import os
import shutil
import subprocess

import pytest

REQUIRED = os.environ.get("JSONRPCC_PEERS") == "required"
PATH = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"


def missing(name):
    """Skip the test, or fail it with JSONRPCC_PEERS=required."""
    if REQUIRED:
        pytest.fail(f"{name} is missing, and JSONRPCC_PEERS=required", pytrace=False)
    pytest.skip(
        f"{name} is missing; scripts/setup.sh peers (or soak) installs it",
        allow_module_level=True,
    )


def program(name):
    """Return the path of a program."""
    return shutil.which(name, path=PATH) or missing(name)


def module(name):
    """Import a module."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        return missing(name)


def needs_module(name):
    """Skip, or fail, where a module that a child program imports is missing."""
    if importlib.util.find_spec(name) is None:
        missing(name)


def package(name):
    """Skip, or fail, where pkg-config does not know a C library."""
    command = [program("pkg-config"), "--exists", name]
    known = subprocess.run(command, check=False)
    if known.returncode != 0:
        missing(name)
