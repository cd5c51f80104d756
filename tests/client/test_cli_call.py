"""``jsonrpcc call`` for people and for scripts: many params, colours, types, start."""

import io
import json
import os
import signal
import subprocess
import sys

import pytest
from command_line import JSONRPCC, LIMIT, in_process, on_a_terminal, read_line, started
from time_limits import PRELOADED, TOOLS

from jsonrpcc._cli.lines import CHUNK, MOST, Run, Texts
from jsonrpcc._cli.main import main
from jsonrpcc.testing import Delay, Error, Server


def fail(code, message="no"):
    raise Error(code, message)


@pytest.fixture(scope="module")
def server():
    methods = {
        "add": lambda a, b: a + b,
        "echo": lambda *args, **named: named or list(args),
        "fail": fail,
    }
    with Server(methods, keep=0) as server:
        yield server


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    for name in ("JSONRPCC_SERVERS", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def run(capsys, monkeypatch):
    """Run a command in this process; the code, stdout and the lines of stderr."""

    def run(*args, stdin=""):
        read_end, write_end = os.pipe()
        with open(read_end) as stdin_, open(write_end, "wb") as writer:  # noqa: PTH123
            writer.write(stdin.encode() if isinstance(stdin, str) else stdin)
            writer.close()
            monkeypatch.setattr(sys, "stdin", stdin_)
            return in_process(args, capsys)

    return run


# ---- many params --------------------------------------------------------------------


def test_a_line_of_params_is_a_line_of_result(server, run):
    lines = "".join(f"[{i}, 1]\n" for i in range(3000))
    code, out, err = run("call", server.address, "add", "-", stdin=lines)
    assert (code, err) == (0, [])
    assert out.splitlines() == [str(i + 1) for i in range(3000)]


def test_results_keep_the_order_of_the_input(server, run):
    server.misbehave(lambda request: Delay(0.2) if request.params == [0] else None)
    code, out, _ = run("call", server.address, "echo", "-", stdin="[0]\n[1]\n[2]")
    server.behave()
    assert (code, out) == (0, "[0]\n[1]\n[2]\n")


def test_errors_name_their_line_and_the_first_is_the_code(server, run):
    lines = b"[1, 2]\n\n[3, 'no'\n[4]\n[5, 6]\n\xff\n"
    code, out, err = run("call", server.address, "add", "-", stdin=lines)
    assert (code, out) == (2, "3\n11\n")
    assert [line.split(": ")[1] for line in err] == ["line 3", "line 4", "line 6"]
    assert err[0].startswith("jsonrpcc: line 3: params: ")
    assert "-32602" in err[1]


def test_errors_of_lines_as_json(server, run):
    args = ("call", server.address, "fail", "-", "--json-errors")
    code, out, err = run(*args, stdin="[7]\n[1")
    assert (code, out) == (1, "")
    first, second = map(json.loads, err)
    assert (first["line"], first["code"]) == (1, 7)
    assert (second["line"], second["error"]) == (2, "ValueError")


def test_a_text_may_span_lines(server, run):
    text = '{\n  "a": [\n    1,\n    "]}"\n  ]\n}\n'
    code, out, err = run("call", server.address, "echo", "-", stdin=text)
    assert (code, err) == (0, [])
    assert out == '{"a":[1,"]}"]}\n'


def test_without_params_on_stdin_there_are_no_calls(server, run):
    assert run("call", server.address, "echo", "-", stdin="\n \n") == (0, "", [])


def test_no_server_is_4_for_each_line(run, nowhere):
    code, out, err = run("call", nowhere, "add", "-", stdin="[1]\n[2]\n")
    assert (code, out, len(err)) == (4, "", 2)


def test_a_result_comes_while_stdin_is_open(server):
    """As used by another program, which writes a line and reads the answer."""
    with started("call", server.address, "add", "-") as calling:
        for i in range(3):
            calling.stdin.write(f"[{i}, 1]\n")
            calling.stdin.flush()
            assert read_line(calling.stdout) == str(i + 1)
        out, err = calling.communicate(timeout=LIMIT)
    assert (out, err, calling.returncode) == ("", "", 0)


def test_ctrl_c_while_it_waits_for_stdin_is_130(server):
    with started("call", server.address, "add", "-") as calling:
        calling.stdin.write("[1, 1]\n")
        calling.stdin.flush()
        assert read_line(calling.stdout) == "2"
        calling.send_signal(signal.SIGINT)
        out, err = calling.communicate(timeout=LIMIT)
    assert (calling.returncode, out, err) == (130, "", "")


def test_head_ends_it(server):
    """Its stdin never ends, and it does not wait for that."""
    calling = f"{PRELOADED} {' '.join(JSONRPCC)} call {server.address} echo -"
    done = subprocess.run(  # noqa: S602
        f"yes '[1]' | {calling} | head -n 2; echo ${{PIPESTATUS[1]}}",
        shell=True, executable="/bin/bash", env=TOOLS, capture_output=True, text=True,
        timeout=LIMIT, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("[1]\n[1]\n0\n", "")


class Answers:
    """Answers at once, every third with an error, and looks how much is kept."""

    def __init__(self, monkeypatch, lines):
        read_end, self.end = os.pipe()
        stdin = open(read_end)  # noqa: PTH123, SIM115
        monkeypatch.setattr(sys, "stdin", stdin)
        self.lines = iter(lines)
        self.run = Run(self.submit, 10, lambda result: f"{result}\n")
        self.most = self.left = self.errors = 0
        self.feed()

    def feed(self):
        """Have more on stdin than is read at once, or its end."""
        while self.left < 4000 and self.end is not None:
            line = next(self.lines, None)
            if line is None:
                os.close(self.end)
                self.end = None
                return
            os.write(self.end, line)
            self.left += 1

    def submit(self, params, on_result, on_error):
        self.left -= 1
        if self.left < 1000:
            self.feed()
        if int(params[1:-1]) % 3:
            on_result(params)
        else:
            on_error(ValueError(params))
        run = self.run
        self.most = max(self.most, len(run._outcomes), len(run._lines))


def test_what_is_kept_does_not_grow_with_the_input(monkeypatch, capsys):
    answers = Answers(monkeypatch, (b"[%d]\n" % i for i in range(20_000)))
    errors = []
    answers.run(lambda error, line: errors.append((str(error), line)))
    answers.run.close()
    sys.stdin.close()
    assert answers.most <= 10
    assert errors == [(f"[{i}]", i + 1) for i in range(0, 20_000, 3)]
    assert capsys.readouterr().out.split() == [f"[{i}]" for i in range(20_000) if i % 3]


@pytest.mark.slow
def test_a_million_lines_in_flat_memory(server):
    code = (
        "import resource, sys\n"
        "from jsonrpcc._cli.main import main\n"
        "code = main(sys.argv[1:])\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)\n"
        "sys.exit(code)"
    )

    def peak(lines):
        """Peak KiB of such a run, one of whose lines is wrong."""
        wrong = lines // 2
        texts = f"seq -f '[%.0f]' {lines} | sed '{wrong}s/]//'"
        done = subprocess.run(  # noqa: S602
            f"{texts} | {PRELOADED} {sys.executable} -c '{code}'"
            f" call {server.address} echo - | wc -l; echo ${{PIPESTATUS[2]}}",
            shell=True, executable="/bin/bash", env=TOOLS, capture_output=True,
            text=True, timeout=900, check=True,
        )  # fmt: skip
        assert done.stdout.split() == [str(lines - 1), "2"]
        error, most = done.stderr.splitlines()
        assert error.startswith(f"jsonrpcc: line {wrong}: params: expected ',' or ']'")
        return int(most)

    assert peak(1_000_000) < peak(20_000) + 4096  # KiB


def texts_of(*chunks):
    texts = Texts()
    found = []
    for chunk in (*chunks, b""):
        texts.feed(chunk)
        while (each := texts.next()) is not None:
            found.append(each)
    return found


def test_input_may_come_in_any_pieces():
    data = b'[1]\n{"a":\n  "[",\n  "b": {}}\n\n[2,\n[3]\n{"c": 1}'
    whole = texts_of(data)
    wanted = [(1, b"[1]"), (2, b'{"a":\n  "[",\n  "b": {}}'), (6, b"[2,")]
    assert whole == [*wanted, (7, b"[3]"), (8, b'{"c": 1}')]
    for at in range(len(data)):
        assert texts_of(data[:at], data[at:]) == whole


def test_a_line_without_an_end_is_bounded():
    found = texts_of(*[b"[" + b"1" * (CHUNK - 1)] * (MOST // CHUNK + 2))
    assert [line for line, _ in found] == [1, 2]
    assert MOST < len(found[0][1]) <= MOST + CHUNK


# ---- for people ---------------------------------------------------------------------


def test_a_terminal_shows_indented_results_in_colours(server):
    shown, code = on_a_terminal("call", server.address, "echo", "{'a': [1, null]}")
    assert code == 0
    assert '\x1b[34;1m"a"\x1b[0m: [\r\n    \x1b[36m1\x1b[0m' in shown
    assert "\x1b[35mnull\x1b[0m" in shown


@pytest.mark.parametrize(
    ("more", "env"),
    [(["--color", "never"], {}), ([], {"NO_COLOR": "1"}), ([], {"TERM": "dumb"})],
)
def test_a_terminal_without_colours(server, more, env):
    args = ("call", server.address, "echo", "[1]", *more)
    shown, code = on_a_terminal(*args, env=env)
    assert (shown, code) == ("[\r\n  1\r\n]\r\n", 0)


def test_a_terminal_shows_one_line_on_request(server):
    args = ("call", server.address, "echo", "[1]", "--no-pretty", "--color=never")
    assert on_a_terminal(*args) == ("[1]\r\n", 0)


def test_colours_in_a_pipe_on_request(server, run):
    args = ("call", server.address, "echo", '["a"]', "--color", "always")
    assert run(*args)[1] == '[\x1b[32m"a"\x1b[0m]\n'


def test_options_may_stand_between_the_arguments(server, run):
    args = (
        "call",
        "--timeout",
        "9",
        server.address,
        "--wait",
        "add",
        "--idempotent",
        "[1, 2]",
    )
    assert run(*args)[:2] == (0, "3\n")


# ---- types --------------------------------------------------------------------------

TYPES = """
import msgspec

class User(msgspec.Struct):
    name: str
    roles: list[str] = []

class Outer:
    Inner = User
"""


@pytest.fixture
def types(tmp_path, monkeypatch):
    (tmp_path / "cli_types.py").write_text(TYPES)
    (tmp_path / "cli_models.py").write_text(
        "import pydantic\n"
        "class User(pydantic.BaseModel):\n"
        "    name: str\n"
        "    age: int = 0\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    yield
    for name in ("cli_types", "cli_models"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("kind", "printed"),
    [
        ("cli_types:User", '{"name":"Ann","roles":[]}\n'),
        ("cli_types:Outer.Inner", '{"name":"Ann","roles":[]}\n'),
        ("cli_models:User", '{"name":"Ann","age":5}\n'),
        ("builtins:dict", '{"name":"Ann","age":"5"}\n'),
    ],
)
def test_results_of_a_type(server, run, types, kind, printed):
    args = ("call", server.address, "echo", "{'name': 'Ann', 'age': '5'}")
    assert run(*args, "--type", kind) == (0, printed, [])


def test_a_result_of_another_type_is_5(server, run, types):
    args = ("call", server.address, "echo", "{'name': 5}", "--type", "cli_types:User")
    code, out, (error,) = run(*args)
    assert (code, out) == (5, "")
    assert "$.name" in error


@pytest.mark.parametrize(
    "kind", ["User", "cli_types:", "cli_types:Nobody", "no_such:User", "builtins:len"]
)
def test_an_unknown_type_exits_with_2(server, run, types, kind):
    code, out, (error,) = run("call", server.address, "echo", "--type", kind)
    assert (code, out) == (2, "")
    assert error.startswith("jsonrpcc: ")


# ---- servers from the environment ---------------------------------------------------


def test_servers_from_the_environment(server, run, monkeypatch):
    monkeypatch.setenv("JSONRPCC_SERVERS", server.address)
    assert run("call", "add", "[1, 2]") == (0, "3\n", [])
    assert run("call", "echo") == (0, "[]\n", [])
    assert run("notify", "echo", "{'a': 1}") == (0, "", [])
    assert run("servers")[0] == 0


def test_servers_that_are_given_come_first(server, run, monkeypatch):
    monkeypatch.setenv("JSONRPCC_SERVERS", "127.0.0.1:1")
    assert run("call", server.address, "add", "[1, 2]") == (0, "3\n", [])
    assert run("call", server.address, "echo") == (0, "[]\n", [])
    code, _, (error,) = run("call", "wrong", "add", "[1, 2]")
    assert code == 2
    assert "servers: " in error


def test_stdout_of_another_kind(server, monkeypatch):
    """Some programs replace stdin with something without a descriptor."""
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "utf-8"))
    assert main(["call", server.address, "echo", "[1]"]) == 0
    assert sys.stdout.buffer.getvalue() == b"[1]\n"
