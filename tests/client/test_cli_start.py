"""What `jsonrpcc call` imports: all else would only make it start later."""

import subprocess
import sys

from jsonrpcc.testing import Server

# Heavy, or for another command.  A time would depend on the machine; this does not.
UNWANTED = (
    "_ctypes", "anyio", "asyncio", "cffi", "concurrent.futures.thread", "csv",
    "ctypes", "difflib", "email", "hdrh", "http", "importlib.metadata",
    "jsonrpcc.anyio", "jsonrpcc.otel", "jsonrpcc.prometheus", "jsonrpcc.testing",
    "matplotlib", "multiprocessing", "numpy", "opentelemetry", "pathlib", "pdb",
    "pickle", "prometheus_client", "pydantic", "pydoc", "random", "readline",
    "rich", "selectors", "shtab", "socket", "ssl", "statistics", "subprocess",
    "tempfile", "trustme", "unittest", "xml",
)  # fmt: skip
PARTS = ("arguments", "bench_options", "call", "colours", "connecting", "exits",
         "main", "output", "parser")  # fmt: skip
PROGRAM = """
import sys
from jsonrpcc._cli.main import main
code = main(sys.argv[1:])
print(*sorted(sys.modules), file=sys.stderr)
sys.exit(code)
"""


def imported_by(*args):
    """The modules that a command has imported in the end, those of site left out."""
    before = subprocess.run(
        [sys.executable, "-c", "import sys; print(*sys.modules)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, *args],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(ended.stderr.split()) - set(before.stdout.split())


def test_call_imports_what_it_needs_and_no_more():
    with Server({"add": lambda a, b: a + b}) as server:
        modules = imported_by("call", server.address, "add", "[1, 2]")
    wrong = {
        name for name in modules
        for each in UNWANTED if name == each or name.startswith(each + ".")
    }  # fmt: skip
    assert not wrong
    ours = {name for name in modules if name.startswith("jsonrpcc._cli.")}
    assert ours == {f"jsonrpcc._cli.{name}" for name in PARTS}


def test_another_command_imports_more():
    """So the list would notice."""
    with Server({"add": lambda a, b: a + b}) as server:
        modules = imported_by("doctor", server.address)
    assert {"socket", "jsonrpcc._cli.doctor"} <= modules
