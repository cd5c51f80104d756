"""``jsonrpcc shell``: typed on a terminal, and with its input in a pipe."""

import stat
from pathlib import Path

import pytest
from command_line import LIMIT, on_a_terminal, started
from helpers import until

from jsonrpcc._cli.shell import history_file, whole
from jsonrpcc.testing import Drop, Error, Server


def fail(code):
    raise Error(code, "no")


@pytest.fixture
def server():
    methods = {"add": lambda a, b: a + b, "echo": lambda *args: list(args)}
    with Server({**methods, "fail": fail}) as server:
        yield server


@pytest.fixture
def home(tmp_path):
    return {"XDG_STATE_HOME": str(tmp_path), "NO_COLOR": "1"}


def piped(server, text, *args):
    with started("shell", server.address, *args) as shell:
        out, err = shell.communicate(text, timeout=LIMIT)
    return shell.returncode, out, err.splitlines()


def test_lines_in_a_pipe_are_carried_out(server):
    lines = "add [1, 2]\n\necho\n echo [1,\n2]\n.notify echo ['x']\n.quit\nadd [3, 4]\n"
    assert piped(server, lines) == (0, "3\n[]\n[1,2]\n", [])
    assert server.wait_for_requests(4)[-1].notification


def test_an_error_ends_a_line_and_not_the_shell(server):
    lines = "fail [7]\nadd 1\n.nonsense\n.timeout x\nadd [1, 2]\n"
    code, out, err = piped(server, lines)
    assert (code, out) == (1, "3\n")
    assert [line.split(": ")[1] for line in err] == [
        "remote error 7",
        "params",
        "no command '.nonsense'; .help lists them",
        ".timeout SECONDS, not 'x'",
    ]


def test_a_timeout_for_the_calls_from_now_on(server):
    server.misbehave(Drop())
    code, out, (error,) = piped(server, ".timeout 0.1\nadd [1, 2]\n")
    assert (code, out) == (3, "")
    assert "timeout: add" in error


def test_commands_with_a_dot(server):
    code, out, _ = piped(server, ".help\n.servers\n")
    assert code == 0
    assert ".timeout SECONDS" in out
    assert server.address in out.splitlines()[-1]


def test_brackets_that_stay_open_end_with_the_input(server):
    code, out, (error,) = piped(server, "add [[1,\n")
    assert (code, out) == (2, "")
    assert "params: " in error


def typing(server, *lines, env, args=()):
    """Type lines, each when the prompt is there; what was shown, and the code."""
    prompt = f"{server.address}> ".encode()
    steps = [(prompt, line) for line in (*lines, b"\x04")]
    return on_a_terminal("shell", server.address, *args, steps=steps, env=env)


def test_typing_completes_and_remembers(server, home, tmp_path):
    lines = (b"add [1, 2]\n", b"echo [5]\n", b"ad\t[3, 4]\n", b" secret [1]\n")
    shown, code = typing(server, *lines, env=home)
    assert code == 0
    assert "\r\n3\r\n(" in shown
    assert " ms)" in shown
    assert "\r\n7\r\n(" in shown
    file = tmp_path / "jsonrpcc" / "history"
    kept = file.read_text().split("\n")
    assert kept == ["add [1, 2]", "echo [5]", "add [3, 4]", ""]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    # Methods of an earlier shell are completed, and its lines come back.
    shown, code = typing(server, b"ec\t[6]\n", b"\x1b[A\x1b[A\n", env=home)
    assert code == 0
    assert "  6\r\n" in shown
    assert "\r\n7\r\n(" in shown


def test_commands_and_methods_to_notify_are_completed(server, home):
    lines = (b"echo [5]\n", b".not\tec\t[6]\n", b".ser\t\n")
    shown, code = typing(server, *lines, env=home)
    assert code == 0
    assert server.wait_for_requests(2)[-1].notification
    assert "LAST ERROR" in shown


def test_no_history_on_request(server, home, tmp_path):
    assert typing(server, b"add [1, 2]\n", env=home, args=["--no-history"])[1] == 0
    assert not (tmp_path / "jsonrpcc").exists()


def test_params_may_span_lines(server, home):
    steps = [(b"> ", b"add [1,\n"), (b"... ", b"2]\n"), (b"> ", b"\x04")]
    shown, code = on_a_terminal("shell", server.address, steps=steps, env=home)
    assert code == 0
    assert "\r\n3\r\n" in shown


def test_ctrl_c_ends_a_call_or_a_line_and_not_the_shell(server, home):
    server.misbehave(Drop(), method="echo")

    def interrupt_call(process):
        until(lambda: server.requests)  # before that, it would be the line's
        return b"\x03"

    def interrupt_line(process):
        # While readline handles a key, it does not notice a signal until the next.
        status = Path(f"/proc/{process.pid}/stat")
        until(lambda: status.read_text().rpartition(") ")[2].startswith("S"))
        return b"\x03"

    steps = [
        (b"> ", b"echo [1]\n"), (b"\n", interrupt_call), (b"abandoned", b""),
        (b"> ", b"add [1"), (b"add [1", interrupt_line), (b"> ", b"add [1, 2]\n"),
        (b"3\r\n", b""), (b"> ", b"\x04"),
    ]  # fmt: skip
    args = ("shell", server.address, "-t", "40")
    shown, code = on_a_terminal(*args, steps=steps, env=home)
    assert code == 0
    assert "Traceback" not in shown


def test_where_the_history_is(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert history_file() == tmp_path / ".local/state/jsonrpcc/history"
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert str(history_file()) == "/state/jsonrpcc/history"


def test_a_line_goes_on_while_its_brackets_are_open():
    more = iter(["2,", "3]"])
    assert whole("add [1,", lambda: next(more)) == "add [1,\n2,\n3]"
    assert whole("", lambda: next(more)) == ""
    assert whole("add", lambda: next(more)) == "add"
