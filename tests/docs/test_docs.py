"""The code in docs/ runs exactly as written, and the pages are complete."""

import dataclasses
import errno
import importlib.util
import inspect
import os
import re
import subprocess
import sys
import sysconfig
import urllib.request
from typing import get_args, get_type_hints

import pytest
from helpers import LIMIT, until
from snippets import (
    NEEDS_CC,
    ROOT,
    blocks,
    build_c,
    check_console,
    check_python,
    local_servers,
    read,
    run,
)
from workers import NO_GUNICORN

import jsonrpcc
from jsonrpcc import _metrics, _outcomes, _snapshots, prometheus, testing
from jsonrpcc._cli.parser import make_parser
from jsonrpcc._jsonrpcc import ffi, lib

PAGES = sorted(
    str(path.relative_to(ROOT))
    for pattern in ("*.md", "reference/*.md")
    for path in (ROOT / "docs").glob(pattern)
)

FILE = re.compile(r"(?:/\*|#) (\w+\.(?:c|py))(?: \*/)?$", re.MULTILINE)


def all_blocks(language, pages=PAGES):
    """All but those that name a file: they belong together, see below."""
    found = [block for page in pages for block in blocks(page, language)]
    found = [block for block in found if not FILE.match(block.values[0])]
    assert found
    return found


def headings(page):
    return re.findall(r"^##+ (.*)$", read(page), re.MULTILINE)


@pytest.fixture
def local():
    with local_servers() as local:
        yield local


def load(path):
    """Import a module from a file outside of any package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look it up
    spec.loader.exec_module(module)
    return module


# ---- code ------------------------------------------------------------------------


@pytest.mark.parametrize("code", all_blocks("python"))
def test_python_runs(code, local, tmp_path):
    check_python(code, local, cwd=tmp_path)


@pytest.mark.parametrize("session", all_blocks("console"))
def test_console_prints_what_it_says(session, local, tmp_path):
    check_console(session, local, tmp_path)


@NEEDS_CC
@pytest.mark.parametrize("code", all_blocks("c"))
def test_c_compiles_and_prints_what_it_says(code, local, tmp_path):
    build_c(local(code), tmp_path / "program")
    printed = subprocess.check_output([tmp_path / "program"], text=True, timeout=LIMIT)
    said = re.findall(r"printf\([^;]*;\s*/\* (.*) \*/", code)
    assert said
    assert printed.splitlines() == said


@NEEDS_CC
def test_extensions_of_the_page_work(local, tmp_path):
    found = blocks("docs/c.md", "c") + blocks("docs/c.md", "python")
    files = {
        match[1]: block.values[0]
        for block in found
        if (match := FILE.match(block.values[0]))
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    cflags = run(sys.executable, "-m", "jsonrpcc", "--cflags").split()
    run(
        "cc", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", tmp_path / "sums.c",
        "-o", tmp_path / "sums.abi3.so", *cflags,
        f"-I{sysconfig.get_path('include')}",
    )  # fmt: skip
    for name in ("build_sums.py", "use_sums.py", "use_cffi_sums.py"):
        check_python(f"__name__ = '__main__'\n{files.pop(name)}", local, tmp_path)
    assert list(files) == ["sums.c"]


@NO_GUNICORN
def test_gunicorn_app_works_when_preloaded(local, tmp_path):
    """The application of the page on fork, in two workers that inherit a client."""
    (app,) = [
        block.values[0]
        for block in blocks("docs/fork.md", "python")
        if "def app(" in block.values[0]
    ]
    (tmp_path / "app.py").write_text(local(app))
    port_file = tmp_path / "port"
    config = tmp_path / "config.py"
    config.write_text(
        "bind, workers, preload_app = '127.0.0.1:0', 2, True\n"
        "def when_ready(server):\n"
        f"    with open({str(port_file)!r} + '.new', 'w') as file:\n"
        "        file.write(str(server.LISTENERS[0].sock.getsockname()[1]))\n"
        f"    import os; os.rename({str(port_file)!r} + '.new', {str(port_file)!r})\n"
        "def post_worker_init(worker):\n"
        f"    open({str(tmp_path)!r} + f'/{{worker.pid}}.up', 'w').close()\n"
    )
    server = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "-c", str(config), "app:app"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        until(lambda: port_file.exists() or server.poll() is not None)
        assert server.poll() is None, server.stdout.read()
        # A worker ignores a request to end that comes before it handles signals.
        until(lambda: len([*tmp_path.glob("*.up")]) == 2)
        url = f"http://127.0.0.1:{port_file.read_text()}/"
        for _ in range(20):
            with urllib.request.urlopen(url, timeout=LIMIT) as reply:
                assert reply.read() == b"3"
    finally:
        server.terminate()
        server.communicate(timeout=LIMIT)
    assert server.returncode == 0


# ---- nothing is left out -----------------------------------------------------------


def test_every_option_has_a_section():
    sections = headings("docs/reference/options.md")
    assert sections == [field.name for field in dataclasses.fields(jsonrpcc.Options)]


@pytest.mark.parametrize(
    "kind",
    [
        jsonrpcc.Options,
        jsonrpcc.Stats,
        jsonrpcc.ServerInfo,
        jsonrpcc.Event,
        jsonrpcc.Tls,
        jsonrpcc.TlsInfo,
        jsonrpcc.TlsFiles,
    ],
)
def test_every_field_is_described(kind):
    described = inspect.getdoc(kind).partition("Attributes:")[2]
    names = re.findall(r"^    ([\w, ]+):", described, re.MULTILINE)
    found = [name for line in names for name in line.split(", ")]
    assert found == [field.name for field in dataclasses.fields(kind)]


@pytest.mark.parametrize("kind", [jsonrpcc.Client, jsonrpcc.AsyncClient])
def test_every_method_is_in_the_reference(kind):
    reference = read("docs/reference/python.md")
    section = reference.partition(f"autoclass:: {kind.__name__}\n")[2]
    members = re.search(r":members: (.*)", section)[1].split(", ")
    assert set(members) == {name for name in dir(kind) if not name.startswith("_")}


def test_every_public_name_is_in_the_reference():
    reference = "".join(map(read, ("docs/reference/python.md",
                                   "docs/reference/errors.md")))  # fmt: skip
    listed = set(re.findall(r"auto(?:class|exception|function):: (\w+)", reference))
    listed |= {"get_include"} & set(re.findall(r"jsonrpcc\.(\w+)", read("docs/c.md")))
    assert set(jsonrpcc.__all__) - {"__version__"} <= listed
    assert listed <= set(jsonrpcc.__all__) | {"get_include"}


def test_every_public_name_of_prometheus_is_in_the_reference():
    listed = re.findall(r"autoclass:: (\w+)", read("docs/reference/prometheus.md"))
    assert listed == prometheus.__all__


def test_every_public_name_of_testing_is_in_the_reference():
    reference = read("docs/reference/testing.md")
    listed = re.findall(r"auto(?:class|exception|function):: (\w+)", reference)
    assert set(listed) == set(testing.__all__) - {"FaultLike"}
    assert len(listed) == len(set(listed))


def test_every_fault_is_in_the_table():
    table = read("docs/testing.md").partition("## Faults")[2].partition("## ")[0]
    listed = re.findall(r"^\| \{py:class\}`(\w+)", table, re.MULTILINE)
    faults = {
        name
        for name in testing.__all__
        if isinstance(kind := getattr(testing, name), type)
        and issubclass(kind, testing.Fault)
    }
    assert set(listed) == faults - {"Fault"} | {"Chaos"}


def test_every_error_says_whether_to_try_again():
    table = read("docs/reference/errors.md")
    listed = re.findall(r"^\| \{py:class\}`~jsonrpcc\.(\w+)`", table, re.MULTILINE)
    errors = {
        name
        for name, error in vars(jsonrpcc).items()
        if isinstance(error, type) and issubclass(error, jsonrpcc.JsonRpcError)
    }
    assert set(listed) == errors - {"JsonRpcError"}


def test_every_kind_of_event_is_explained():
    kinds = set(get_args(get_type_hints(jsonrpcc.Event)["kind"]))
    table = read("docs/metrics.md").partition("| kind |")[2]
    rows = re.findall(r"^\| `(\w+)` \|", table.partition("\n\n")[0], re.MULTILINE)
    assert set(rows) == kinds
    lines = " ".join(headings("docs/troubleshooting.md"))
    for kind in kinds:
        said = kind.replace("_", " ")
        texts = f"`<server> {said}", f"`{said}: <server>", f"`{said}`"
        assert any(text in lines for text in texts), kind


def test_every_reason_is_explained():
    """All of ours, and what the system says when a server is not there."""
    lines = headings("docs/troubleshooting.md")
    reasons = [
        getattr(lib, name)
        for name in (
            "JSONRPCC_PEER_CLOSED", "JSONRPCC_BAD_FRAME", "JSONRPCC_FRAME_TOO_BIG",
            "JSONRPCC_CONNECT_TIMEOUT", "JSONRPCC_UNRESPONSIVE",
            "JSONRPCC_LEAVE_TIMEOUT", "JSONRPCC_SOCKET_SPENT",
        )
    ] + [
        errno.ECONNREFUSED, errno.ECONNRESET, errno.ETIMEDOUT, errno.EHOSTUNREACH,
        errno.ENETUNREACH, errno.EMFILE,
    ]  # fmt: skip
    for reason in reasons:
        text = _snapshots.reason_text(reason)
        assert any(f"`{text}`" in line for line in lines), text
    resolver = _snapshots.reason_text(lib.JSONRPCC_RESOLVE - 2)
    assert resolver.startswith("name resolution: ")
    assert "`name resolution: <why>`" in lines


def test_every_error_text_is_explained():
    lines = headings("docs/troubleshooting.md")
    for error, text in _outcomes._ERRORS.values():
        if error is not jsonrpcc.JsonRpcError:
            assert any(line.startswith(f"`{text}") for line in lines), text
    assert "`out of memory`" in read("docs/reference/errors.md")


def test_every_line_of_the_log_is_explained():
    """Events are above; these are what else the client writes."""
    lines = headings("docs/troubleshooting.md")
    source = "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "jsonrpcc").glob("*.py")
    )
    found = re.findall(r'\.write\(\s*logging\.\w+,\s*\w+,\s*"([^"]*)"', source)
    assert len(found) >= 3
    for text in found:
        pattern = re.sub("%[rs]", r"<\\w+>", re.escape(text))
        assert any(re.fullmatch(f"`{pattern}`", line) for line in lines), text


def test_every_metric_is_in_the_table():
    table = read("docs/metrics.md").partition("| metric |")[2].partition("\n\n")[0]
    listed = re.findall(r"`(jsonrpcc_\w+)`", table)
    endings = {"counter": "_total", "gauge": "", "fact": ""}
    names = [metric.name + endings[metric.kind] for metric in _metrics.METRICS]
    names += [metric.name for metric in _metrics.DURATIONS]
    names.append("jsonrpcc_build_info")
    assert sorted(listed) == sorted(names)


def test_every_outcome_is_a_label():
    """Shares would be wrong without one."""
    fields = [field.name for field in dataclasses.fields(jsonrpcc.Stats)]
    ends = fields[fields.index("ok") : fields.index("out_of_memory") + 1]
    assert list(_metrics.OUTCOMES) == ends


def test_c_manual_has_every_public_function_with_its_comment():
    reader = load(ROOT / "docs/_ext/header_reader.py")
    header = read("csrc/jsonrpcc.h")
    introduction, sections = reader.parse(header)
    assert "Ownership." in introduction
    known = reader.names(sections)
    plain = re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)
    functions = set(re.findall(r"\b(jsonrpcc_\w+)\(", plain))
    assert functions == {name for name, role in known.items() if role == "func"}
    constants = set(re.findall(r"\b(JSONRPCC_[A-Z_]+)\b(?= = |,)", plain))
    assert constants <= known.keys()
    described = {
        signature: item.text
        for section in sections
        for item in section.items
        for signature in item.signatures
    }
    (request,) = [s for s in described if " jsonrpcc_request(" in s]
    assert "done will never be called" in " ".join(described[request].split())
    for name in functions:
        assert any(text for s, text in described.items() if f"{name}(" in s), name
    assert ffi.string(lib.jsonrpcc_version()).decode() in header


def test_what_only_bindings_need_stands_at_the_end_of_the_header():
    """C programs, such as ours, do without it."""
    main, _, bindings = read("csrc/jsonrpcc.h").partition("/* ---- bindings")
    bindings = bindings.partition("/* ---- ")[0]
    needed = set(re.findall(r"^\w[^;{}]*?\b(jsonrpcc_\w+)\(", bindings, re.MULTILINE))
    assert {"jsonrpcc_defer", "jsonrpcc_poll"} <= needed
    assert not needed & set(re.findall(r"^\w.*?\b(jsonrpcc_\w+)\(", main, re.MULTILINE))
    programs = [path.read_text() for path in ROOT.glob("examples/c/*.[ch]")]
    programs += [block.values[0] for block in all_blocks("c")]
    used = {name for text in programs for name in re.findall(r"\bjsonrpcc_\w+", text)}
    assert "jsonrpcc_sync_call" in used
    assert not used & needed


def test_each_command_is_on_the_page_with_its_options():
    """The help of a command has all of its options, and the site shows that."""
    (commands,) = make_parser()._subparsers._group_actions
    shown = re.findall(r"^```\{cli-help\} (\w+)$", read("docs/cli.md"), re.MULTILINE)
    assert shown == list(commands.choices)
    titles = re.findall(r"^## `jsonrpcc (\w+)`$", read("docs/cli.md"), re.MULTILINE)
    assert titles == shown
    for command in commands.choices.values():
        text = command.format_help()
        for action in command._actions:
            assert action.help, action
            for option in action.option_strings:
                assert option in text
