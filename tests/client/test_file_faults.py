"""Server lists in files: what is wrong changes nothing, and what is scarce little."""

import os
import shutil
import subprocess
import threading

import pytest
from children import PROGRAMS, run_program
from history import History, until, wait_for_state
from kernel import why_no_namespace
from server_files import METHODS, SETTLED, addresses, put, refused, wait_for

from jsonrpcc import AsyncClient, Client, ServerFailure
from jsonrpcc.testing import Server

MIB = 1024 * 1024


@pytest.fixture
def servers():
    with Server(METHODS) as one, Server(METHODS) as two:
        yield one, two


@pytest.fixture
def path(tmp_path):
    return tmp_path / "servers"


@pytest.fixture
def events():
    return []


# ---- what is wrong with it ---------------------------------------------------------


def wrong(name, path, server):
    """Make the file wrong in that way."""
    good = f"{server.address}\n"
    if name == "removed":
        path.unlink()
    elif name == "a folder":
        path.unlink()
        path.mkdir()
    elif name == "a FIFO":
        path.unlink()
        os.mkfifo(path)
    else:
        new = path.with_name("new")
        new.write_bytes({
            "empty": b"",
            "only comments": b"# none\n\n#\n",
            "truncated": good.rpartition(":")[0].encode(),
            "a wrong line": (good + "\n# x\nhost:port\n").encode(),
            "twice the same": (good * 2).encode(),
            "a file in it": good.encode() + b"file:/etc/servers\n",
            "binary": bytes(range(256)) * 4,
            "zeros": good.encode() + b"\0" * 100,
            "1 MiB + 1": good.encode() + b"\n" * (MIB + 1 - len(good)),
            "too many": b"".join(b"h:%d\n" % n for n in range(1, 16386)),
        }[name])  # fmt: skip
        new.rename(path)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("removed", "No such file or directory"),
        ("a folder", "Is a directory"),
        ("a FIFO", "Invalid argument"),
        ("empty", "line 1: a server is expected"),
        ("only comments", "line 4: a server is expected"),
        ("truncated", "line 1: ':' and a port are expected"),
        ("a wrong line", "line 4: a port from 1 to 65535 is expected"),
        ("twice the same", "line 2: duplicate server"),
        ("a file in it", "line 2: no file is expected in a file"),
        ("binary", "line 1: a byte that is no text"),
        ("zeros", "line 2: a byte that is no text"),
        ("1 MiB + 1", "more than 1 MiB"),
        ("too many", "line 16385: more than 16384 entries"),
    ],
)
def test_what_is_wrong_changes_nothing(servers, path, events, name, why):
    one, two = servers
    path.write_text(one.address)
    history = History()
    with Client(f"file:{path}", on_event=events.append) as client:
        wait_for(client, one)
        wait_for_state(client, "up", 0)
        wrong(name, path, one)
        until(lambda: refused(events))
        assert refused(events)[-1].startswith(why)
        assert client.entries()[0].last_error.startswith(why)
        assert client.entries()[0].servers == 1
        assert not history.call(client).error
        assert addresses(client) == [one.address]
        assert [s.connects for s in client.servers()] == [1]
        if path.is_dir():
            path.rmdir()
        put(path, two.address)
        wait_for(client, two)
        assert client.entries()[0].last_error is None
    assert [event.server for event in events if event.kind == "list_refused"] == [
        f"file:{path}"
    ] * len(refused(events))
    history.check(one, two)


def test_the_largest_file(servers, path):
    one, _ = servers
    text = f"{one.address}\n"
    path.write_text(text + "#" * (MIB - len(text)))
    with Client(f"file:{path}") as client:
        assert client.call("echo", [1]) == [1]


def test_a_file_with_more_servers_than_there_may_be(servers, path, events):
    one, _ = servers
    path.write_text("\n".join(f"127.0.0.9:{port}" for port in range(1, 51)))
    with Client(
        f"{one.address} file:{path}", max_servers=8, on_event=events.append
    ) as client:
        until(lambda: len(client.servers()) == 8)
        assert addresses(client)[0] == one.address
        until(lambda: any(e.kind == "list_cut" for e in events))
        assert [e.reason for e in events if e.kind == "list_cut"] == [
            "43 servers left out"
        ]


def test_a_file_that_does_not_exist_at_first(servers, path, run):
    """As with an unknown name, calls fail soon until the file exists."""
    one, _ = servers
    with Client(f"file:{path}") as client:
        with pytest.raises(ServerFailure) as failed:
            client.call("echo", [1])
        assert failed.value.fate == "not_sent"
        assert f"file:{path} No such file or directory" in str(failed.value)
        assert failed.value.elapsed < 1
        threading.Timer(0.1, put, [path, one.address]).start()
        assert client.call("echo", [2], wait_for_ready=True) == [2]

    async def main():
        async with AsyncClient(f"file:{path}") as client:
            await client.call("echo", [3])
            return client.entries()

    assert run(main())[0].text == f"file:{path}"


def test_a_folder_that_is_removed_and_comes_back(servers, tmp_path, events):
    one, two = servers
    path = tmp_path / "folder/servers"
    path.parent.mkdir()
    path.write_text(one.address)
    with Client(f"file:{path}", on_event=events.append) as client:
        wait_for(client, one)
        shutil.rmtree(path.parent)
        until(lambda: refused(events))
        assert client.call("echo", [1]) == [1]
        path.parent.mkdir()
        path.write_text(two.address)
        wait_for(client, two)  # by the next look
        put(path, one.address)
        wait_for(client, one)
        path.parent.rename(tmp_path / "away")
        path.parent.mkdir()
        put(path, two.address)
        wait_for(client, two)


# ---- where things are scarce -------------------------------------------------------


def run_filed(scenario, path, *servers, **options):
    args = (scenario, path, *(server.address for server in servers))
    return run_program("filed.py", *args, **options).report()


def test_permission_is_lost(servers, path):
    report = run_filed("permission", path, servers[0])
    assert report == {
        "error": "Permission denied", "servers": [servers[0].address],
    }  # fmt: skip


def test_without_inotify(servers, path):
    """Beyond the user's limits of instances or watches, looks find the changes."""
    if why_no_namespace():
        pytest.skip(why_no_namespace())
    before = ["unshare", "--user", "--map-root-user", "--"]
    report = run_filed("without_inotify", path, *servers, before=before)
    assert report["took"] > SETTLED


def test_fork(servers, path):
    """A child has its own watch, and none of the parent's."""
    report = run_filed("fork", path, *servers)
    assert report == {"code": 0, "before": 1, "inherited": 0, "child": 1, "after": 1}


def test_a_file_that_comes_and_goes_takes_one_descriptor(servers, path):
    counts = run_filed("comes_and_goes", path, servers[0])["counts"]
    assert max(counts) <= min(counts) + 1  # that of the file, while it is read


@pytest.mark.parametrize("what", ["SLOW_FILE", "SLOW_FOLDER"])
def test_a_file_system_that_hangs_delays_nobody(servers, path, tmp_path, what):
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no compiler for what is to be preloaded")
    library = tmp_path / "slow.so"
    command = [compiler, "-shared", "-fPIC", "-o", library, PROGRAMS / "slow_file.c"]
    subprocess.run([*command, "-ldl"], check=True)
    preload = " ".join(filter(None, [os.environ.get("LD_PRELOAD"), str(library)]))
    report = run_filed(
        "slow", path, servers[0], env={"LD_PRELOAD": preload, what: str(path)[:-1]}
    )
    assert report["errors"] == []
    assert report["longest"] < 0.5
    assert report["close"] < 0.5
    assert report["lookups"] == 1  # one at a time, and that hangs
