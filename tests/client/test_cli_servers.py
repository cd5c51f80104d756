"""``jsonrpcc servers``: a table of servers, and where they come from."""

import dataclasses
import json
import re
import time

import pytest
from command_line import METHODS, one_line, run

import jsonrpcc
from jsonrpcc.testing import Server


@pytest.fixture
def server():
    with Server(METHODS) as server:
        yield server


def test_servers_prints_a_table(server, nowhere):
    done = run("servers", f"{server.address},2 {nowhere},1")
    assert (done.returncode, done.stderr) == (4, "")
    head, up, down = done.stdout.splitlines()
    assert head.split() == ["SERVER", "PRIORITY", "STATE", "LAST", "ERROR"]
    assert up.split() == [server.address, "2", "up"]
    assert down.split() == [nowhere, "1", "down", "Connection", "refused"]


def test_servers_is_0_when_all_are_up(server):
    done = run("servers", server.address, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    both = json.loads(one_line(done.stdout))
    (seen,) = both["servers"]
    assert both["entries"] == []
    assert {*seen} == {field.name for field in dataclasses.fields(jsonrpcc.ServerInfo)}
    assert (seen["host"], seen["port"]) == ("127.0.0.1", server.port)
    assert (seen["state"], seen["last_error"]) == ("up", None)


def table_of(done):
    return [re.split(" {2,}", line) for line in done.stdout.splitlines()]


def test_servers_shows_weights_where_there_are_any(server, nowhere):
    done = run("servers", f"{server.address},2,3 {nowhere},1")
    assert table_of(done) == [
        ["SERVER", "PRIORITY", "WEIGHT", "STATE", "LAST ERROR"],
        [server.address, "2", "3", "up"],
        [nowhere, "1", "1", "down", "Connection refused"],
    ]


def test_servers_shows_which_entry_a_server_comes_from(server, tmp_path):
    path = tmp_path / "list"
    path.write_text(f"{server.address},7\n")
    none = tmp_path / "none"
    done = run("servers", f"file:{path} file:{none}")
    assert done.returncode == 4
    assert table_of(done) == [
        ["SERVER", "PRIORITY", "STATE", "ENTRY", "LAST ERROR"],
        [server.address, "7", "up", f"file:{path}"],
        [f"file:{none}", "1", "no server", "No such file or directory"],
    ]
    both = json.loads(run("servers", f"file:{path} file:{none}", "--json").stdout)
    assert [each["entry"] for each in both["servers"]] == [f"file:{path}"]
    assert [(each["text"], each["servers"]) for each in both["entries"]] == [
        (f"file:{path}", 1), (f"file:{none}", 0),
    ]  # fmt: skip


def test_servers_shows_several_connections(server):
    done = run("servers", server.address, "-o", "connections=4")
    assert table_of(done) == [
        ["SERVER", "PRIORITY", "CONNECTIONS", "STATE", "LAST ERROR"],
        [server.address, "1", "4/4", "up"],
    ]


def test_servers_says_a_hello(server):
    done = run("servers", server.address, "--hello", "fail [1, 'no']")
    assert done.returncode == 4
    assert "hello was answered with error 1" in done.stdout
    assert run("servers", server.address, "--hello", "echo {}").returncode == 0


def test_servers_waits_no_longer_than_its_timeout(server):
    server.blackhole()
    start = time.monotonic()
    done = run("servers", server.address, "--timeout", "0.3")
    assert done.returncode == 4
    assert time.monotonic() - start < 5
    assert "up" not in done.stdout.splitlines()[1].split()
