"""The command line in tests: in this process, in a child, on a terminal."""

import contextlib
import os
import pty
import select
import subprocess
import sys
import time

from jsonrpcc._cli.main import main
from jsonrpcc.testing import Error

LIMIT = 50.0  # seconds after which a command that has not ended fails
JSONRPCC = [sys.executable, "-m", "jsonrpcc"]


def fail(code, message, data=None):
    raise Error(code, message, data)


METHODS = {"add": lambda a, b: a + b, "echo": lambda **named: named, "fail": fail}


def run(*args, stdin=None, cwd=None):
    """Run a command to its end, with pipes."""
    return subprocess.run(
        [*JSONRPCC, *args],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
        cwd=cwd,
    )


def one_line(text):
    """Return the text without its end, which has to be that of its only line."""
    assert text.endswith("\n")
    assert text.count("\n") == 1
    return text[:-1]


def on_a_terminal(*args, env=None, steps=()):
    """
    Run a command on its own terminal; return what it wrote there, and its exit code.

    *steps* are pairs: what to wait for, and what to type then, or a function of the
    process that returns it.
    """
    terminal, child = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", **(env or {})}
    with subprocess.Popen(
        [*JSONRPCC, *args], stdin=child, stdout=child, stderr=child, env=environment,
        start_new_session=True, preexec_fn=control,  # noqa: PLW1509
    ) as process:  # fmt: skip
        os.close(child)
        shown, seen, left = b"", 0, list(steps)
        deadline = time.monotonic() + LIMIT
        # Once the command has closed the terminal, reading from it is an error.
        with contextlib.suppress(OSError):
            while select.select([terminal], [], [], deadline - time.monotonic())[0]:
                shown += os.read(terminal, 65536)
                while left and (at := shown.find(left[0][0], seen)) >= 0:
                    seen = at + len(left[0][0])
                    text = left.pop(0)[1]
                    os.write(terminal, text(process) if callable(text) else text)
        process.kill()
    os.close(terminal)
    assert not left, (left, shown[-500:])
    return shown.decode(), process.returncode


def in_process(args, capsys):
    """Run a command in this process; return code, stdout and the lines of stderr."""
    try:
        code = main(args)
    except SystemExit as leaving:
        code = leaving.code
    out, err = capsys.readouterr()
    return code, out, err.splitlines()


def control():
    """Make the terminal the controlling one, so that Ctrl-C is sent."""
    import fcntl  # noqa: PLC0415 - in the child alone
    import termios  # noqa: PLC0415

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@contextlib.contextmanager
def started(*args, **options):
    """Start a command, with pipes; it is killed at the end."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    process = subprocess.Popen([*JSONRPCC, *args], **{**pipes, "text": True, **options})
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def read_line(stream):
    """Return the next line of a pipe; the test's own time limit applies."""
    line = stream.readline()
    assert line, "it has ended"
    return line.strip()
