"""The command line, as scripts use it: output, one line of error, exit codes."""

import json
import os
import re
import select
import signal
import subprocess

import pytest
from command_line import JSONRPCC, LIMIT, METHODS, one_line, run

import jsonrpcc
from jsonrpcc._cli.parser import make_parser
from jsonrpcc.testing import Close, Drop, Payload, Server

COMMANDS = make_parser()._subparsers._group_actions[0].choices


@pytest.fixture
def server():
    with Server(METHODS) as server:
        yield server


@pytest.fixture
def start():
    processes = []

    def start(*args, **options):
        process = subprocess.Popen(
            [*JSONRPCC, *args],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def read_line(process):
    assert select.select([process.stdout], [], [], LIMIT)[0], "it printed nothing"
    return process.stdout.readline().strip()


# --- call ---


def test_call_prints_the_result_on_one_line(server):
    done = run("call", server.address, "add", "[1, 2]")
    assert (done.returncode, done.stdout, done.stderr) == (0, "3\n", "")


def test_call_without_params_sends_none(server):
    assert run("call", server.address, "echo").stdout == "{}\n"
    assert server.requests[0].params is None


def test_call_takes_single_quotes_and_stdin(server):
    wanted = '{"id":1234}\n'
    assert run("call", server.address, "echo", "{'id': 1234}").stdout == wanted
    done = run("call", server.address, "echo", "-", stdin='{"id": 1234}\n')
    assert done.stdout == wanted


def test_call_prints_numbers_and_names_as_they_came(server):
    """Results are printed as the server wrote them: a float would round numbers."""
    exact = '[12345678901234567890123,1.10,1e400,-0.0,"\\u00fc ü"]'
    server.misbehave(
        lambda request: Payload(
            f'{{"jsonrpc": "2.0", "id": {request.id}, "result": {exact}}}'
        )
    )
    assert one_line(run("call", server.address, "echo").stdout) == exact


def test_call_pretty_indents(server):
    done = run("call", server.address, "echo", '{"a": [1]}', "--pretty")
    assert done.stdout == '{\n  "a": [\n    1\n  ]\n}\n'


def test_remote_error_is_1_and_one_line(server):
    done = run("call", server.address, "fail", '[5, "no\\nway", {"why": "ü"}]')
    assert (done.returncode, done.stdout) == (1, "")
    wanted = 'jsonrpcc: remote error 5: no way: {"why": "ü"}'
    assert one_line(done.stderr) == wanted


def test_remote_error_of_any_shape(server):
    server.misbehave(
        lambda request: Payload(
            f'{{"jsonrpc": "2.0", "id": {request.id}, "error": "broken"}}'
        )
    )
    done = run("call", server.address, "echo")
    assert done.returncode == 1
    assert one_line(done.stderr) == "jsonrpcc: remote error null: broken"


def test_errors_as_json(server, nowhere):
    done = run("call", server.address, "fail", '[5, "no", [1]]', "--json-errors")
    error = json.loads(one_line(done.stderr))
    elapsed, waited, answered = map(error.pop, ("elapsed", "waited", "answered"))
    assert 0 < waited + answered <= elapsed + 1e-6
    assert error == {
        "error": "RemoteError",
        "code": 5,
        "message": "no",
        "data": [1],
        "method": "fail",
        "server": server.address,
        "fate": "answered",
        "attempts": 1,
    }
    done = run("call", nowhere, "fail", "--json-errors")
    error = json.loads(one_line(done.stderr))
    assert (error["error"], error["fate"]) == ("ServerFailure", "not_sent")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["call", "SERVER", "add", "[1,"], "params: expected a value at offset 3"),
        (["call", "SERVER", "add", "5"], "params must be an array or an object"),
        (["call", "SERVER", ""], "method must be"),
        (["call", "nonsense", "add"], "servers: ':' and a port are expected"),
        (["call", "SERVER", "add", "-t", "0"], "argument -t"),
        (["call", "SERVER", "add", "-t", "nan"], "argument -t"),
        (["call", "SERVER"], "SERVERS and METHOD: missing, and JSONRPCC_SERVERS"),
        (["call"], "METHOD"),
        (["notify", "SERVER", "add", "nope"], "params:"),
        (["servers", "nonsense"], "servers: ':' and a port are expected"),
        (["serve", "--methods", "no.such.module"], "--methods: No module"),
        (["serve", "--methods", "jsonrpcc._jsonrpcc"], "no public functions"),
        (["serve", "--port", "65536"], "argument --port"),
        (["serve", "--cert", "a.pem"], "--cert, --key and --client-ca need --tls"),
        (["serve", "--tls", "--cert", "a"], "--cert and --key are needed together"),
        (["serve", "--tls", "--cert", "/no", "--key", "/no"], "No such file"),
        (["call", "SERVER", "add", "1", "2"], "usage: jsonrpcc call"),
        (["serve", "methods.py"], "serve: error: unrecognized arguments: methods.py"),
        (["nonsense"], "nonsense"),
        ([], "COMMAND"),
    ],
)
def test_usage_is_2(server, args, says):
    done = run(*(server.address if arg == "SERVER" else arg for arg in args))
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_timeout_is_3(server):
    server.freeze()
    done = run("call", server.address, "add", "[1, 2]", "--timeout", "0.2")
    server.thaw()
    assert done.returncode == 3
    assert one_line(done.stderr).startswith("jsonrpcc: timeout: add at ")


def test_no_server_is_4(nowhere):
    done = run("call", nowhere, "add")
    assert (done.returncode, done.stdout) == (4, "")
    assert one_line(done.stderr).startswith("jsonrpcc: failure: no server")


def test_lost_connection_is_4(server):
    server.misbehave(Close(), method="add")
    done = run("call", server.address, "add", "[1, 2]")
    assert done.returncode == 4
    assert one_line(done.stderr).startswith("jsonrpcc: failure: connection lost")


def test_idempotent_call_is_sent_again(server):
    server.misbehave(Close(times=1), method="add")
    done = run("call", server.address, "add", "[1, 2]", "--idempotent", "--wait")
    assert (done.returncode, done.stdout) == (0, "3\n")


def test_invalid_response_is_5(server):
    server.misbehave(lambda request: Payload(f'{{"id": {request.id}}}'))
    done = run("call", server.address, "add", "[1, 2]")
    assert done.returncode == 5
    assert one_line(done.stderr).startswith("jsonrpcc: invalid response: ")


def test_wait_waits_for_a_server(start):
    with Server({"add": lambda a, b: a + b}) as server:
        server.stop()
        calling = start(
            "call", server.address, "add", "[1, 2]", "--wait", "-t", "15", "-v",
        )  # fmt: skip
        for line in calling.stderr:
            if "unreachable" in line:
                break
        server.start()
        assert read_line(calling) == "3"
        assert calling.wait(LIMIT) == 0


def test_ctrl_c_is_130(server, start):
    server.misbehave(Drop())
    calling = start("call", server.address, "add", "[1, 2]", "-t", "60")
    server.wait_for_requests(1, LIMIT)
    calling.send_signal(signal.SIGINT)
    out, err = calling.communicate(timeout=LIMIT)
    assert (calling.returncode, out, err) == (130, "", "")


def test_a_reader_that_goes_away_causes_no_traceback(server):
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run(
        [*JSONRPCC, "call", server.address, "add", "[1, 2]"],
        stdout=write_end,
        stderr=subprocess.PIPE,
        timeout=LIMIT,
        check=False,
    )
    os.close(write_end)
    assert done.stderr == b""


# --- notify ---


def test_notify_is_0_when_a_server_has_it(server):
    done = run("notify", server.address, "update", "{'id': 1}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    (seen,) = server.wait_for_requests(1)
    assert (seen.method, seen.params, seen.notification) == ("update", {"id": 1}, True)


def test_notify_without_a_server_is_4(nowhere):
    done = run("notify", nowhere, "update")
    assert done.returncode == 4
    line = one_line(done.stderr)
    assert line.startswith("jsonrpcc: failure: no server")
    assert "not sent" in line


def test_notify_that_waits_in_vain_is_3(nowhere):
    done = run("notify", nowhere, "update", "--wait", "--timeout", "0.2")
    assert done.returncode == 3
    assert one_line(done.stderr).startswith("jsonrpcc: timeout: update")


# --- help ---


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_help_has_examples_and_exit_codes(command):
    done = run(command, "--help")
    assert done.returncode == 0
    assert f"  jsonrpcc {command}" in done.stdout
    assert "130  Ctrl-C" in done.stdout


def test_version():
    said = run("--version").stdout
    assert re.fullmatch(r"0\S+ \((OpenSSL \d.*|without TLS)\)\n", said)
    assert said.startswith(f"{jsonrpcc.__version__} ")
