"""``servers --watch``, ``top`` and ``doctor``: what they show, and their codes."""

import json
import re
import signal
import socket

import pytest
from command_line import LIMIT, in_process, on_a_terminal, read_line, started

from jsonrpcc._cli.probe import milliseconds, percentile
from jsonrpcc.testing import Delay, Drop, Error, Payload, Server


@pytest.fixture
def server():
    with Server({"add": lambda a, b: a + b}, keep=0) as server:
        yield server


@pytest.fixture
def run(capsys, monkeypatch):
    """Run a command in this process; the code, stdout and the lines of stderr."""
    monkeypatch.delenv("JSONRPCC_SERVERS", raising=False)

    return lambda *args: in_process(args, capsys)


# ---- watch --------------------------------------------------------------------------


def test_watch_prints_each_event():
    with (
        Server() as server,
        started("servers", server.address, "--watch") as watching,
    ):
        line = read_line(watching.stdout)
        assert re.fullmatch(rf"\d\d:\d\d:\d\d\.\d\d\d connected {server.address}", line)
        server.stop()
        kinds = [read_line(watching.stdout).split()[1] for _ in range(2)]
        assert "lost" in kinds
        server.start()
        while read_line(watching.stdout).split()[1] != "connected":
            pass
        watching.send_signal(signal.SIGINT)
        watching.communicate(timeout=LIMIT)
    assert watching.returncode == 130


def test_watch_prints_events_as_json(server):
    with started("servers", server.address, "--watch", "--json") as watching:
        event = json.loads(read_line(watching.stdout))
    assert (event["kind"], event["server"]) == ("connected", server.address)
    assert event.keys() == {"kind", "server", "reason", "time"}


# ---- top ----------------------------------------------------------------------------

FAST = ("--rate", "50", "--interval", "0.5")


def test_top_prints_a_line_for_each_server(server, nowhere, run):
    servers = f"{server.address},2 {nowhere},1"
    code, out, err = run("top", servers, "--count", "4", *FAST)
    assert (code, err) == (4, [])
    lines = out.splitlines()
    assert len(lines) == 8
    up = (
        rf"\d\d:\d\d:\d\d {server.address} up [\d.]+/s p50 [\d.]+ ms p99 [\d.]+ ms"
        r" in flight \d+ errors 0"
    )
    assert re.fullmatch(up, lines[-2])
    assert f"{nowhere} " in lines[-1]
    # A call that has just begun is in flight until its connection is refused.
    assert re.search(r" p50 - p99 - in flight \d+ errors [1-9]", lines[-1])
    assert "Connection refused" in lines[-1]


def test_top_counts_what_happens(server, run):
    """Servers of a lower priority are called, too, and answers of any kind count."""
    code, out, _ = run("top", server.address, "--count", "3", "--json", *FAST)
    seen = json.loads(out.splitlines()[-1])
    assert code == 0
    assert (seen["server"], seen["state"]) == (server.address, "up")
    assert seen["rate"] > 0
    assert 0 < seen["p50"] <= seen["p99"]
    assert seen["errors"] == {}


def test_top_calls_a_method_and_counts_its_errors(server, run):
    args = ("top", server.address, "add", "[1]", "--count", "3", "--json", *FAST)
    code, out, _ = run(*args)
    assert code == 0
    assert json.loads(out.splitlines()[-1])["errors"]["RemoteError"] > 0
    server.misbehave(Drop())
    code, out, _ = run(*args, "--timeout", "0.1")
    assert code == 4
    assert json.loads(out.splitlines()[-1])["errors"]["RequestTimeout"] > 0


def test_top_takes_its_servers_from_the_environment(server, run, monkeypatch):
    monkeypatch.setenv("JSONRPCC_SERVERS", server.address)
    assert run("top", "add", "[1, 2]", "--count", "3", *FAST)[0] == 0


def test_top_is_a_table_on_a_terminal(server):
    shown, code = on_a_terminal("top", server.address, "--count", "2", *FAST)
    assert code == 0
    assert "IN FLIGHT" in shown
    assert server.address in shown
    assert "\x1b[2K" in shown or "\x1b[1A" in shown  # it stays where it is


def test_top_is_lines_on_a_terminal_without_rich(server, tmp_path):
    (tmp_path / "rich.py").write_text("raise ImportError")
    shown, code = on_a_terminal(
        "top", server.address, "--count", "3", *FAST, env={"PYTHONPATH": str(tmp_path)}
    )
    assert code == 0
    assert f"{server.address} up " in shown
    assert "\x1b" not in shown


def test_ctrl_c_ends_top_and_leaves_the_terminal_as_it_was(server):
    shown, code = on_a_terminal(
        "top", server.address, *FAST, steps=[(server.address.encode(), b"\x03")]
    )
    assert code == 130
    assert "Traceback" not in shown
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h")  # the cursor


def test_percentiles_and_durations():
    assert percentile([1.0], 99) == 1.0
    assert [percentile(range(1, 101), p) for p in (0, 50, 99, 100)] == [1, 50, 99, 100]
    texts = [milliseconds(each) for each in (0.000012, 0.00123, 0.0999, 0.1234, 2.0)]
    assert texts == ["0.0120 ms", "1.23 ms", "99.9 ms", "123 ms", "2000 ms"]


# ---- doctor -------------------------------------------------------------------------


def test_doctor_is_content(server, run):
    code, out, err = run("doctor", server.address)
    assert (code, err) == (0, [])
    lines = out.splitlines()
    assert f"  ok    {server.address} at 127.0.0.1, in " in lines[1]
    (ping,) = [line for line in lines if "rpc.ping" in line]
    assert f"  ok    {server.address}: 20 calls of rpc.ping answered, in " in ping
    assert lines[-1].startswith(("All is well: ", "All servers can be used; "))
    assert [line for line in lines if line and line[0] != " "][:2] == [
        "connections",
        "ping",
    ]


def test_doctor_looks_names_up(server, run):
    code, out, _ = run("doctor", f"localhost:{server.port}")
    assert code == 0
    assert re.search(rf"  ok    localhost:{server.port}: .*127\.0\.0\.1.*, in ", out)


@pytest.mark.parametrize(
    ("servers", "says", "advice"),
    [
        ("NOWHERE", "Connection refused", "Nothing listens there"),
        ("unix:/no/such.sock", "No such file", "There is no such socket"),
        ("no-such-name.invalid:1", "no-such-name.invalid:1: ", "-> "),
    ],
)
def test_doctor_says_what_to_do(nowhere, run, servers, says, advice):
    code, out, _ = run("doctor", servers.replace("NOWHERE", nowhere), "-t", "0.5")
    assert code == 4
    failed, what = out.split("  fail  ")[1].splitlines()[:2]
    assert says in failed
    assert advice in what
    assert "checks failed: begin with the first" in out


@pytest.mark.parametrize(
    ("fault", "error", "advice"),
    [
        (Drop(), "RequestTimeout", "accepts connections and does not answer"),
        (Payload("{}"), "RequestTimeout", "something else"),
    ],
)
def test_doctor_sees_servers_that_do_not_answer(server, run, fault, error, advice):
    server.misbehave(fault)
    code, out, _ = run("doctor", server.address, "--timeout", "0.2")
    assert code == 4
    assert f"then {error}" in out
    assert advice in out


def test_doctor_sees_what_is_not_json_rpc(run):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        # Whoever connects gets no answer: nobody accepts.
        code, out, _ = run("doctor", f"127.0.0.1:{port}", "-t", "0.2")
    assert code == 4
    assert "0 calls of rpc.ping answered, then RequestTimeout" in out


def test_doctor_looks_at_certificates(run):
    with Server(tls=True) as server:
        good = ("doctor", server.address, "--tls", "--ca", server.tls.ca)
        code, out, _ = run(*good)
        assert code == 0
        assert re.search(r"  ok    \S+: TLSv1\.3 \S+, certificate valid for \d+", out)
        code, out, _ = run(*good, "--server-name", "other.example")
        assert code == 4
        assert "--server-name says which one to expect" in out
        code, out, _ = run("doctor", server.address, "-t", "0.5")
        assert code == 4
        assert "(--tls)" in out
    with Server() as server:
        code, out, _ = run("doctor", server.address, "--tls", "-t", "0.5")
        assert code == 4
        assert "TLS\n  fail  " in out


def test_doctor_at_a_unix_socket(run, tmp_path):
    with Server(path=str(tmp_path / "s")) as server:
        assert run("doctor", server.address)[0] == 0


def test_doctor_prints_json(server, run):
    code, out, _ = run("doctor", server.address, "--json")
    assert code == 0
    found = json.loads(out)
    assert {each["topic"] for each in found} == {"connections", "ping", "machine"}
    assert all(each["level"] in {"ok", "warn"} for each in found)


def login(name, words):
    if words != "pa55word":
        raise Error(401, f"no {name} with {words}")
    return True


HELLO = """login ['bob', 'pa55word']"""


def test_doctor_says_the_hello(run, tmp_path):
    """Without one, such a server answers pings with errors."""
    with Server({"login": login, "rpc.ping": lambda: 1}, hello=["login"]) as server:
        code, out, _ = run("doctor", server.address, "--hello", HELLO)
        assert code == 0
        (line,) = out.split("\nhello\n")[1].splitlines()[:1]
        said = rf"  ok    {server.address}: login answered, [\d.]+ ms after .* began"
        assert re.fullmatch(said, line)
        assert "20 calls of rpc.ping answered" in out
        assert server.before_hello == []
        secret = tmp_path / "hello"
        secret.write_text(f"{HELLO}\n\nrpc.ping\n")
        code, out, _ = run("doctor", server.address, "--hello", f"@{secret}")
        assert code == 0
        assert f"{server.address}: login, rpc.ping answered" in out
        assert "pa55word" not in out
        code, out, _ = run("doctor", server.address)
        assert code == 4
        assert "then RemoteError" in out


def test_doctor_sees_a_hello_that_is_refused(run):
    with Server({"login": login}, hello=["login"]) as server:
        code, out, _ = run("doctor", server.address, "--hello", "login ['bob', 'x1y2']")
        assert code == 4
        failed, advice = out.split("\nhello\n")[1].splitlines()[:2]
        assert failed == f"  fail  {server.address}: {REFUSED} 401"
        assert advice == "        -> It refuses the hello: are its params right?"
        assert "x1y2" not in out
        assert "rpc.ping" not in out
        # As the client's option has it, an error is an answer, too.
        wrong = ("--hello", "login ['bob', 'no']", "-o", "hello_errors=accept")
        assert "login answered" in run("doctor", server.address, *wrong)[1]


REFUSED = "the hello was answered with error"


def test_doctor_sees_a_hello_without_an_answer(run):
    with Server({"login": login}, fault=Drop()) as server:
        args = ("doctor", server.address, "--hello", HELLO, "-t", "0.3")
        code, out, _ = run(*args)
    assert code == 4
    assert f"  fail  {server.address}: the hello was not answered in time\n" in out
    assert "leaves the hello without an answer" in out


def test_doctor_tells_a_hello_from_the_handshake_before_it(run):
    with Server({"login": login}, hello=["login"], tls=True) as server:
        tls = ("doctor", server.address, "--tls", "--ca", server.tls.ca, "--hello")
        code, out, _ = run(*tls, HELLO)
        assert code == 0
        code, out, _ = run(*tls, "login ['bob', 'no']")
        assert code == 4
        assert "TLS\n  ok    " in out
        assert f"{REFUSED} 401" in out


def test_doctor_takes_the_options_of_a_client(server, run):
    before = server.accepted
    assert run("doctor", server.address)[0] == 0
    single = server.accepted - before
    options = ("-o", "connections=3", "-o", "name=doctor")
    assert run("doctor", server.address, *options)[0] == 0
    assert server.accepted - before >= 2 * single + 2
    code, _, (error,) = run("doctor", server.address, "-o", "conections=3")
    assert code == 2
    assert "connections" in error
    code, _, (error,) = run("doctor", server.address, "--option", "connections")
    assert (code, error) == (
        2, "jsonrpcc: --option must be NAME=VALUE, not 'connections'"
    )  # fmt: skip
    code, _, (error,) = run("doctor", server.address, "--hello", "@/no/such")
    assert code == 6
    assert "No such file" in error


def test_remote_errors_of_a_ping_are_answers(run):
    def ping():
        raise Error(-1, "no")

    with Server({"rpc.ping": ping}, fault=Delay(0.001)) as server:
        code, out, _ = run("doctor", server.address)
    assert code == 4
    assert "20 calls of rpc.ping answered" in out
