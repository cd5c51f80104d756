"""What the command line writes, and where: terminals, encodings, lost output."""

import contextlib
import json
import os
import pty
import re
import resource
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jsonrpcc.testing import Error, Payload, Server

LIMIT = 20.0  # seconds until a command that does not end has failed
JSONRPCC = [sys.executable, "-m", "jsonrpcc"]
# Sets a title, rings, clears the screen by two spellings, hides, turns around.
EVIL = "\x1b]0;title\x07\x1b[2J\x9b2J\x7f\x08\u202eevil\u2066"
CONTROLS = set(map(chr, [*range(10), *range(11, 13), *range(14, 32), *range(127, 160)]))
COLOURS = re.compile(r"\x1b\[(?:34;1|32|35|36|0)m")
CONTROLS |= set("\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2069")


def evil(**_):
    raise Error(7, EVIL, {"why": EVIL, EVIL: [EVIL]})


@pytest.fixture
def server():
    methods = {"echo": lambda *args: list(args), "evil": evil}
    with Server(methods) as server:
        yield server


# With it nothing is left in a buffer for the exit to complain of.
BUFFERED = {name: at for name, at in os.environ.items() if name != "PYTHONUNBUFFERED"}


def run(*args, **options):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": BUFFERED}
    options = pipes | options
    return subprocess.run([*JSONRPCC, *args], timeout=LIMIT, check=False, **options)


def on_a_terminal(*args):
    """Run a command on its own terminal; return what it displayed, and the code."""
    terminal, end = pty.openpty()
    with subprocess.Popen(
        [*JSONRPCC, *args], stdin=end, stdout=end, stderr=end
    ) as process:
        os.close(end)
        shown = b""
        deadline = time.monotonic() + LIMIT
        # The last end that is closed is an error here, and nothing more to read.
        with contextlib.suppress(OSError):
            while select.select([terminal], [], [], deadline - time.monotonic())[0]:
                shown += os.read(terminal, 65536)
    os.close(terminal)
    return shown.decode(), process.returncode


@pytest.mark.parametrize("more", [[], ["--pretty"], ["-v"], ["--json-errors"]])
@pytest.mark.parametrize("method", ["echo", "evil"])
def test_no_server_controls_the_terminal(server, method, more):
    params = {"echo": json.dumps([EVIL]), "evil": "{}"}[method]
    shown, code = on_a_terminal("call", server.address, method, params, *more)
    assert code == {"echo": 0, "evil": 1}[method]
    assert "evil" in shown
    shown = COLOURS.sub("", shown)  # ours; its own would be left
    assert not CONTROLS & set(shown), shown


def test_a_result_stays_the_same_json(server):
    """Raw characters that JSON allows in strings, and that control a terminal."""
    raw = "\x7f\x9b2J\u202e"
    server.misbehave(
        lambda request: Payload(
            f'{{"jsonrpc": "2.0", "id": {request.id}, "result": "{raw}"}}'
        )
    )
    done = run("call", server.address, "echo")
    assert not CONTROLS & set(done.stdout.decode())
    assert json.loads(done.stdout) == raw


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_encoding_of_stdout(server, encoding):
    """The call has run: its result must not be lost to an encoding."""
    params = '["ü", "€", "😀"]'
    env = {**os.environ, "PYTHONIOENCODING": encoding}
    done = run("call", server.address, "echo", params, env=env)
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout.decode(encoding)) == ["ü", "€", "😀"]
    done = run("call", server.address, "evil", env=env)
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr


@pytest.fixture
def full():
    with Path("/dev/full").open("wb") as stdout:
        yield stdout


@pytest.mark.parametrize(
    "args", [["call", "SERVER", "echo"], ["servers", "SERVER"], ["--help"],
             ["call", "--help"], ["--version"], ["--cflags"], ["serve", "--port", "0"]],
)  # fmt: skip
def test_a_full_stdout_is_6(server, full, args):
    args = [server.address if arg == "SERVER" else arg for arg in args]
    done = run(*args, stdout=full)
    assert done.returncode == 6
    assert done.stderr.decode().splitlines() == [
        "jsonrpcc: cannot write the output: No space left on device"
    ]


def closing(fd):
    return lambda: os.close(fd)


def test_a_closed_stdout_is_6(server):
    args = ["call", server.address, "echo"]
    done = run(*args, stdout=None, preexec_fn=closing(1))
    assert done.returncode == 6
    assert done.stderr == b"jsonrpcc: cannot write the output: Bad file descriptor\n"
    assert len(server.requests) == 1


def test_a_closed_stdout_does_not_matter_to_commands_that_print_nothing(server):
    done = run("notify", server.address, "echo", stdout=None, preexec_fn=closing(1))
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("method", ["evil", "none"])
def test_a_closed_or_full_stderr_changes_no_code(server, full, method):
    args = ["call", server.address, method]
    closed = run(*args, stderr=None, preexec_fn=closing(2))
    assert (closed.returncode, closed.stdout) == (1, b"")
    assert run(*args, "-v", stderr=full).returncode == 1


def test_a_reader_that_has_gone_is_not_an_error(server):
    read_end, write_end = os.pipe()
    os.close(read_end)
    for args in (["call", server.address, "echo"], ["--help"]):
        done = run(*args, stdout=write_end)
        assert (done.returncode, done.stderr) == (0, b"")
    os.close(write_end)


def test_no_descriptors_are_6(server):
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (8, 8))

    done = run("call", server.address, "echo", preexec_fn=limit)
    assert done.returncode == 6
    assert b"Too many open files" in done.stderr
    assert b"Traceback" not in done.stderr
