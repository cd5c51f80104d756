"""``jsonrpcc bench``: what it measures and reports."""

import collections
import importlib.util
import json
import os
import re
import signal
import time

import pytest
from bench_plans import PLAN, plan
from command_line import LIMIT, in_process, on_a_terminal, started
from time_limits import ASAN

import jsonrpcc
from jsonrpcc._cli import bench, bench_report
from jsonrpcc._cli.bench_plan import Outcome, Share
from jsonrpcc._cli.bench_report import Report
from jsonrpcc._cli.bench_worker import Generator, Unread, histogram_of
from jsonrpcc.testing import Delay, Drop, Error, Server


def fail():
    raise Error(7, "no")


@pytest.fixture(scope="module")
def methods():
    return {"add": lambda a, b: a + b, "fail": fail}


@pytest.fixture
def server(methods):
    with Server(methods) as server:
        yield server


@pytest.fixture
def run(capsys, monkeypatch):
    """Run a command in this process; the code, stdout and the lines of stderr."""
    monkeypatch.delenv("JSONRPCC_SERVERS", raising=False)

    return lambda *args: in_process(["bench", *args], capsys)


SHORT = ("--duration", "0.5", "--warmup", "0.1", "--rate", "100")


# ---- what is measured ---------------------------------------------------------------


def generate(server, **changes):
    """Carry out a plan in this process; return the outcome, and the latencies in ms."""
    made = plan(servers=server.address, **changes)
    with jsonrpcc.Client(server.address, codec=Unread, timeout=made.timeout) as client:
        assert client.wait_ready(LIMIT)
        outcome = Generator(made, client).run()
    return outcome, Report(made, [outcome])


def test_calls_are_made_at_the_rate_and_counted(server):
    outcome, report = generate(server)
    assert outcome.started == outcome.answered == 100  # those of the warm-up are not
    assert len(server.requests) == 120
    assert [request.params for request in server.requests][:2] == [[0, 1], [1, 1]]
    assert not outcome.errors
    assert report.latency.get_total_count() == 100
    assert report.lag.get_total_count() <= 100
    assert outcome.servers == {server.address: {"answers": 120, "timeouts": 0}}
    assert 0 < report.percentile(50) < 2


def test_a_server_that_stops_is_seen_in_all_calls_of_that_time(server):
    """Without coordinated omission: calls are due whether or not it answers."""
    stopped = iter([True])

    def stop_once(_):
        if next(stopped, False):
            time.sleep(0.3)  # its only thread

    server.misbehave(stop_once)
    _, report = generate(server, warmup=0.0)
    # Evenly from 300 ms down to nothing, in 60 % of the time.
    assert report.percentile(50) > 0.04
    assert report.percentile(99) > 0.25


def test_calls_that_wait_for_others_count_from_when_they_were_due(server):
    server.misbehave(lambda _: Delay(0.1))
    outcome, report = generate(server, warmup=0.0, in_flight=2, duration=0.4)
    assert outcome.started == 80  # and 20 a second can be made
    assert report.percentile(99) > 3
    assert report.lag.get_total_count() < 40  # the others' delay is not ours
    most_at_once = 0
    for request in server.requests:
        near = [
            other for other in server.requests if 0 <= request.time - other.time < 0.08
        ]
        most_at_once = max(most_at_once, len(near))
    assert most_at_once <= 2


def test_calls_that_never_begin_are_counted(server):
    server.misbehave(Drop())
    changes = {"in_flight": 1, "timeout": 0.2, "duration": 0.2, "warmup": 0.0}
    outcome, report = generate(server, **changes)
    assert outcome.started == 40
    assert outcome.answered == 0
    assert outcome.errors["RequestTimeout"] >= 1
    assert outcome.errors["NotStarted"] >= 30
    assert report.latency.get_total_count() == 40
    assert report.percentile(50) > 0.2


def test_errors_count_by_kind(server):
    outcome, _ = generate(server, shares=[Share("fail")], duration=0.2)
    assert outcome.errors == {"RemoteError 7": outcome.started}
    assert outcome.answered == outcome.started
    server.stop()


def test_a_closed_loop_keeps_a_fixed_number_in_flight(server):
    server.misbehave(lambda _: Delay(0.05))
    outcome, report = generate(server, rate=0.0, in_flight=4, warmup=0.0)
    times = [request.time for request in server.requests]
    for at in range(len(times) - 4):
        assert times[at + 4] - times[at] > 0.03
    assert 12 <= outcome.answered == len(times) <= 44
    assert report.percentile(50) > 0.045
    assert report.late == 0


# ---- what is said -------------------------------------------------------------------


def outcome(latencies, **changes):
    lag = changes.pop("lag", {10: 1})
    counts = collections.Counter(latencies)
    members = {
        "started": len(latencies), "answered": len(latencies), "errors": {},
        "seconds": 1.0, "cpu": 0.1, "servers": {},
    }  # fmt: skip
    return Outcome(
        latency=histogram_of(counts).encode().decode(),
        lag=histogram_of(lag).encode().decode(),
        **(members | changes),
    )


def test_histograms_of_processes_are_merged():
    fast = outcome(range(1, 501), servers={"a": {"answers": 5, "timeouts": 0}})
    slow = outcome(
        range(501, 1001), errors={"RequestTimeout": 2}, cpu=0.3, seconds=2.0,
        servers={
            "a": {"answers": 1, "timeouts": 1},
            "b": {"answers": 1, "timeouts": 0},
        },
    )  # fmt: skip
    report = Report(plan(processes=2), [fast, slow])
    for percent in (1, 50, 90, 99):
        assert report.percentile(percent) == pytest.approx(percent / 1e5, abs=2e-6)
    assert (report.started, report.seconds, report.cpu) == (1000, 2.0, 0.3)
    assert report.rate == 500
    assert report.errors == {"RequestTimeout": 2}
    assert report.servers["a"] == {"answers": 6, "timeouts": 1}
    assert report.servers["b"] == {"answers": 1, "timeouts": 0}


def test_a_report_says_when_the_generator_was_the_limit():
    assert not Report(PLAN, [outcome([100])]).limits()
    late = Report(PLAN, [outcome([100], lag={100: 98, 5000: 2})])
    assert late.limits() == ["calls began up to 5.00 ms late at p99"]
    assert "This program was the limit" in "\n".join(late.lines())
    assert not Report(plan(rate=0.0), [outcome([100], lag={5000: 1})]).limits()
    busy = Report(plan(rate=0.0), [outcome([100], cpu=0.95), outcome([100])])
    assert busy.limits() == ["a process needed 95% of a CPU"]


def test_a_report_is_a_table():
    lines = Report(
        PLAN, [outcome(range(1000, 2000), errors={"RemoteError 7": 3})]
    ).lines()
    assert lines[0] == "200/s wanted (constant), 1000.0/s done, 1000 calls in 1.0 s"
    text = "\n".join(lines)
    for name in ("p50", "p75", "p90", "p95", "p99", "p99.9", "p99.99", "max"):
        assert re.search(
            rf"^{re.escape(name)} +1\.\d\d ms|^{re.escape(name)} +2.00 ms",
            text,
            re.MULTILINE,
        )
    assert re.search(r"^RemoteError 7 +3$", text, re.MULTILINE)


def limited(report):
    return [] if report is None else report.limits()


def test_bench_prints_a_report(server, run, tmp_path):
    files = tmp_path / "out.hgrm", tmp_path / "out.svg"
    args = (server.address, "add", "[{n}, 1]", *SHORT, "--processes", "2")
    code, out, err = run(*args, "--hdr", str(files[0]), "--svg", str(files[1]))
    assert code in {0, 3}  # this machine may be busy
    assert (code == 3) == ("This program was the limit" in out)
    assert err == []
    assert out.startswith("100/s wanted (constant), ")
    assert re.search(rf"^{server.address} +60 +0$", out, re.MULTILINE)
    assert {request.params[0] for request in server.requests} == set(range(60))
    assert "Percentile TotalCount" in files[0].read_text()
    assert "#[Max" in files[0].read_text()
    assert files[1].read_text().rstrip().endswith("</svg>")


def test_bench_prints_json(server, run):
    code, out, _ = run(server.address, "fail", *SHORT, "--json", "--arrivals=poisson")
    seen = json.loads(out)
    assert code in {0, 3}
    assert (code == 3) == bool(seen["limited_by_generator"])
    assert seen["wanted"] == 100
    assert seen["calls"] == seen["answered"] == seen["errors"]["RemoteError 7"]
    latency = seen["latency"]
    assert 0 < latency["p50"] <= latency["p99"] <= latency["p99.99"] <= latency["max"]


def test_bench_in_a_closed_loop(server, run):
    args = ("--in-flight", "3", "--duration", "0.3", "--warmup", "0.1", "--json")
    code, out, _ = run(server.address, "add", "[1, 2]", *args)
    assert code in {0, 3}
    assert json.loads(out)["wanted"] is None


def test_bench_by_tls(methods, run):
    with Server(methods, tls=True) as server:
        args = (server.address, "add", "[1, 2]", *SHORT, "--json")
        code, out, _ = run(*args, "--tls", "--ca", server.tls.ca)
    assert code in {0, 3}
    assert json.loads(out)["errors"] == {}


def test_bench_without_a_server_is_4(run, nowhere):
    code, out, (error,) = run(nowhere, "add", "--timeout", "0.3", *SHORT)
    assert (code, out) == (4, "")
    assert "no server can be reached" in error


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ([], "either METHOD or --methods"),
        (["add", "--methods", "x"], "either METHOD or --methods"),
        (["--methods", "/no/such"], "No such file"),
        (["add", "--in-flight", "1", "--rate", "5"], "--in-flight has no --rate"),
        (["add", "--find"], "--find needs --slo"),
        (["add", "--slo", "1"], "--find needs --slo"),
        (["add", "--rate", "0"], "--rate: must be from"),
        (["add", "--arrivals", "now"], "--arrivals"),
    ],
)
def test_options_that_do_not_go_together(run, args, says):
    code, out, err = run("127.0.0.1:1", *args)
    assert code in {2, 6}
    assert out == ""
    assert says in err[-1]


@pytest.mark.parametrize(
    ("missing", "name"), [("hdrh", "hdrhistogram"), ("matplotlib", "matplotlib")]
)
def test_what_is_not_installed_is_named_at_once(run, monkeypatch, missing, name):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda each: None if each == missing else found(each),
    )
    code, out, (error,) = run("127.0.0.1:1", "add", "--svg", "out.svg")
    assert (code, out) == (2, "")
    assert error == f"jsonrpcc: bench needs {name}: pip install 'jsonrpcc[bench]'"


def test_a_progress_bar_on_a_terminal(server):
    shown, code = on_a_terminal(
        "bench", server.address, "add", "[1, 2]", "--rate", "50", "--duration", "1"
    )
    assert code in {0, 3}
    assert "50/s" in shown
    assert "━" in shown
    assert "p99.99" in shown


@pytest.mark.skipif(ASAN, reason="where LSan fails, the exit code is its own")
def test_ctrl_c_ends_all_processes(server):
    """A terminal sends the signal to all processes."""
    args = (
        "bench",
        server.address,
        "add",
        "[1, 2]",
        "--rate",
        "50",
        "--processes",
        "2",
    )
    more = {"start_new_session": True}
    with started(*args, "--duration", "50", **more) as running:
        server.wait_for_requests(5, LIMIT)
        os.killpg(running.pid, signal.SIGINT)
        out, err = running.communicate(timeout=LIMIT)
    assert (running.returncode, out, err) == (130, "", "")
    server.wait_for_connections(0, LIMIT)


# ---- the search ---------------------------------------------------------------------


def searching(monkeypatch, highest, *, cpu_from=float("inf")):
    """Have servers that take *highest* calls a second; the rates that are tried."""
    tried = []

    def measure(made):
        tried.append(made.rate)
        quick = made.rate <= highest
        each = outcome(
            [1000 if quick else 50_000] * 100, seconds=100 / made.rate,
            cpu=1.0 if made.rate >= cpu_from else 0.1,
        )  # fmt: skip
        return Report(made, [each])

    monkeypatch.setattr(bench, "measure", measure)
    return tried


@pytest.mark.parametrize("highest", [50, 999, 1000, 5000, 7777, 123_456])
def test_find_comes_near_the_highest_rate(monkeypatch, run, highest):
    tried = searching(monkeypatch, highest)
    code, out, err = run("127.0.0.1:1", "add", "--find", "--slo", "0.01", "--json")
    assert code == 0
    found = json.loads(out)["wanted"]
    assert highest / 1.1 <= found <= highest
    assert len(tried) == len(err) - 1 <= 20
    assert err[-1].startswith("highest rate with a p99 of 0.01 s at most: ")


def test_find_without_any_good_rate(monkeypatch, run):
    searching(monkeypatch, 0)
    code, _, err = run("127.0.0.1:1", "add", "--find", "--slo", "0.01")
    assert code == 0
    assert "no rate has a p99 of 0.01 s at most" in err[-1]


def test_find_says_when_it_was_itself_the_limit(monkeypatch, run):
    tried = searching(monkeypatch, 3000, cpu_from=4000)
    code, out, err = run("127.0.0.1:1", "add", "--find", "--slo", "0.01")
    assert code == 3
    assert tried == [1000, 2000, 4000]
    assert "This program was the limit" in out
    assert "a process needed 100% of a CPU" in err[-2]


def test_too_few_answers_or_errors_are_too_much():
    search = bench.Search(0.01, 100.0)
    assert search.fits(Report(plan(rate=100.0), [outcome([100] * 100)]))
    few = outcome([100] * 90)
    assert not search.fits(Report(plan(rate=100.0), [few]))
    failing = outcome([100] * 100, errors={"RemoteError 7": 1})
    assert not search.fits(Report(plan(rate=100.0), [failing]))
    assert bench_report.PERCENTILES[-1] == 99.99
