"""examples/operator: the rules by promtool; program, rules, dashboard by Prometheus."""

import contextlib
import json
import socket
import subprocess
import sys
import urllib.parse
import urllib.request
from pathlib import Path

import peers
import pytest
from history import LIMIT, until
from time_limits import TOOLS

from jsonrpcc.testing import Server

EXAMPLE = Path(__file__).parents[2] / "examples" / "operator"


def promtool(*args, **options):
    done = subprocess.run(
        [peers.program("promtool"), *args],
        env=TOOLS,
        cwd=EXAMPLE, capture_output=True, text=True, check=False, **options,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_each_alert_fires_when_it_should_and_only_then():
    promtool("check", "config", "prometheus.yml")
    promtool("test", "rules", "rules_test.yml")
    rules = (EXAMPLE / "rules.yml").read_text().split("- alert: ")[1:]
    cases = (EXAMPLE / "rules_test.yml").read_text()
    for rule in rules:
        assert f"alertname: {rule.split()[0]}\n" in cases


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@contextlib.contextmanager
def running(log, *command, env=None):
    with log.open("w") as file, subprocess.Popen(
        command, env=env, stdout=file, stderr=subprocess.STDOUT
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.terminate()
            assert process.wait(2 * LIMIT) == 0, log.read_text()


class Prometheus:
    def __init__(self, port):
        self.url = f"http://127.0.0.1:{port}"

    def get(self, path, **params):
        query = urllib.parse.urlencode(params)
        url = f"{self.url}/api/v1/{path}?{query}"
        with urllib.request.urlopen(url, timeout=LIMIT) as response:  # noqa: S310
            return json.loads(response.read())["data"]

    def query(self, text):
        return [
            sample["value"][1] for sample in self.get("query", query=text)["result"]
        ]

    def is_there(self):
        with contextlib.suppress(OSError):
            return self.get("status/buildinfo")
        return None


@pytest.fixture
def example(tmp_path):
    """Servers, the program that calls them, and the Prometheus that scrapes it."""
    port = free_port()
    log = tmp_path / "app.log"
    methods = {"add": lambda a, b: a + b}
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(Server(methods, keep=0)) for _ in range(2)]
        text = " ".join(
            f"{s.address},{n}" for s, n in zip(servers, (2, 1), strict=True)
        )
        program = peers.program("prometheus")
        app = sys.executable, "-W", "error", EXAMPLE / "app.py", text, "0"
        stack.enter_context(running(log, *app))
        until(lambda: "/metrics" in log.read_text(), what="the program")
        target = log.read_text().split("/")[2]
        config = (EXAMPLE / "prometheus.yml").read_text()
        for given, wanted in [
            ("127.0.0.1:8000", target),
            ("rules.yml", str(EXAMPLE / "rules.yml")),
            ("scrape_interval: 5s", "scrape_interval: 200ms"),
            ("evaluation_interval: 5s", "evaluation_interval: 200ms"),
        ]:
            assert given in config
            config = config.replace(given, wanted)
        (tmp_path / "prometheus.yml").write_text(config)
        stack.enter_context(
            running(
                tmp_path / "prometheus.log",
                program,
                f"--config.file={tmp_path / 'prometheus.yml'}",
                f"--storage.tsdb.path={tmp_path / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                env=TOOLS,
            )
        )
        prometheus = Prometheus(port)
        until(prometheus.is_there, 3 * LIMIT, what="Prometheus")
        yield servers, prometheus


def of_the_dashboard():
    dashboard = json.loads((EXAMPLE / "dashboard.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            query = target["expr"].replace("$__rate_interval", "5s")
            for variable in dashboard["templating"]["list"]:
                value = variable.get("allValue", "")
                query = query.replace(f"${variable['name']}", value)
            yield f"{panel['title']}: {target['legendFormat']}", query


def test_prometheus_gets_what_the_dashboard_and_the_rules_ask_for(example):
    (best, _), prometheus = example
    until(lambda: prometheus.query("sum(rate(jsonrpcc_calls_total[2s])) > 1"))
    queries = dict(of_the_dashboard())
    assert len(queries) > 20
    for what, query in queries.items():
        assert "$" not in query

        def has_come(query=query):
            values = prometheus.query(query)
            return values and "NaN" not in values

        until(has_come, what=f"an answer to {what}: {query}")
    assert prometheus.query('jsonrpcc_clients{client="users"}') == ["1"]
    groups = prometheus.get("rules")["groups"]
    assert [rule["health"] for each in groups for rule in each["rules"]] == ["ok"] * 11
    assert prometheus.get("alerts")["alerts"] == []

    best.stop()

    def pending():
        return {
            each["labels"]["alertname"] for each in prometheus.get("alerts")["alerts"]
        }

    until(lambda: {"JsonrpccFailedOver", "JsonrpccServerDown"} <= pending())
    assert "JsonrpccNoServer" not in pending()
