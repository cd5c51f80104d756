"""Server lists in files: what is in them, and every kind of change."""

import shutil
import threading
import time
from functools import partial

import pytest
from history import History, until
from server_files import METHODS, SETTLED, put, refused, wait_for

from jsonrpcc import Client
from jsonrpcc.testing import Server


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


# ---- what is in it -----------------------------------------------------------------


def test_servers_of_a_file(servers, path, events):
    one, two = servers
    path.write_text(f"# ours\n{one.address},1 \n\n  {two.address},2,7 # the better\n")
    history = History()
    with Client(f"file:{path},5", on_event=events.append) as client:
        assert not history.call(client).error
        infos = client.servers()
        assert [(s.address, s.priority, s.weight) for s in infos] == [
            (one.address, 1, 1), (two.address, 2, 7),
        ]  # fmt: skip
        assert {s.entry for s in infos} == {f"file:{path}"}
        [entry] = client.entries()
        assert (entry.text, entry.priority, entry.servers) == (f"file:{path}", 5, 2)
        assert (entry.last_error, entry.lookups_failed) == (None, 0)
        assert entry.found is not None
        until(lambda: any(event.kind == "resolved" for event in events))
        stats = client.stats()
        assert stats.list_changes == 1
        assert stats.lookups >= 1
    [event] = [event for event in events if event.kind == "resolved"]
    assert (event.server, event.reason) == (f"file:{path}", "2 added, 0 gone")
    history.check(one, two)


def test_an_entry_without_priority_has_that_of_the_file(servers, path):
    one, two = servers
    path.write_text(f"{one.address} {two.address},1")
    with Client(f"file:{path},9,3") as client:
        wait_for(client, one, two)
        assert [(s.priority, s.weight) for s in client.servers()] == [(9, 3), (1, 3)]
        client.set_servers(f"file:{path},4")
        until(lambda: [s.priority for s in client.servers()] == [4, 1])


def test_names_and_sockets_in_a_file(servers, path, tmp_path):
    one, _ = servers
    with Server(METHODS, path=str(tmp_path / "x.sock")) as local:
        path.write_text(f"{local.address},9\ndns4:localhost:{one.port},1\n")
        with Client(f"file:{path}") as client:
            assert client.call("echo", [1]) == [1]
            assert len(local.requests) == 1
            until(lambda: len(client.servers()) == 2)
            texts = [entry.text for entry in client.entries()]
            assert texts == [f"file:{path}", f"dns4:localhost:{one.port}"]
            put(path, local.address)
            wait_for(client, local)
            assert len(client.entries()) == 1


def test_files_beside_other_entries(servers, path):
    """Each server appears once, in its best position."""
    one, two = servers
    second = path.with_name("second")
    path.write_text(f"{one.address} {two.address},3")
    second.write_text(f"{one.address},7")
    with Client(f"{one.address},2 file:{path} file:{second}") as client:
        until(lambda: len(client.servers()) == 2 and client.entries()[1].lookups)
        wait_for(client, two, one)
        assert [s.priority for s in client.servers()] == [3, 7]
        client.set_servers(f"file:{path}")
        wait_for(client, one, two)


@pytest.mark.parametrize(
    "text",
    ["file:relative", "file:", "file:/", "file:/x/", "file://host/x", "file:/a,b",
     "file:/a:1,file:/b"],
)  # fmt: skip
def test_wrong_entries(text):
    with pytest.raises(ValueError, match=r"servers: .* at offset"):
        Client(text)


def test_a_path_with_anything_in_it(servers, tmp_path):
    one, _ = servers
    path = tmp_path / "ä b,%"
    path.write_text(one.address)
    text = str(path).replace("%", "%25").replace(" ", "%20").replace(",", "%2C")
    for scheme in ("file:", "file://"):
        with Client(f"{scheme}{text}") as client:
            assert client.call("echo", [1]) == [1]
            assert client.entries()[0].text.endswith("/%C3%A4%20b%2C%25")


# ---- how it changes ----------------------------------------------------------------


def test_a_file_is_moved_to_its_place(servers, path):
    one, two = servers
    path.write_text(one.address)
    history = History()
    with Client(f"file:{path}") as client:
        for servers_now in ((one, two), (two,), (one,), (two, one)):
            put(path, "\n".join(server.address for server in servers_now))
            wait_for(client, *servers_now)
            assert not history.call(client).error
    history.check(one, two)


def test_a_config_map(servers, tmp_path):
    """Change it as Kubernetes does: move a link to a folder over the last one."""
    one, two = servers

    def put_map(version, text):
        folder = tmp_path / f"..{version}"
        folder.mkdir()
        (folder / "servers").write_text(text)
        link = tmp_path / "..data_tmp"
        link.symlink_to(folder.name)
        link.rename(tmp_path / "..data")

    put_map(1, one.address)
    path = tmp_path / "servers"
    path.symlink_to("..data/servers")
    with Client(f"file:{path}") as client:
        wait_for(client, one)
        put_map(2, f"{one.address} {two.address}")
        shutil.rmtree(tmp_path / "..1")
        wait_for(client, one, two)
        put_map(3, two.address)
        shutil.rmtree(tmp_path / "..2")
        wait_for(client, two)
        assert client.call("echo", [1]) == [1]


def test_a_link_to_another_folder(servers, tmp_path):
    one, two = servers
    for number, server in enumerate(servers):
        (tmp_path / f"release{number}").mkdir()
        (tmp_path / f"release{number}/servers").write_text(server.address)
    (tmp_path / "etc").mkdir()
    path = tmp_path / "etc/servers"
    path.symlink_to(tmp_path / "release0/servers")
    with Client(f"file:{path}") as client:
        wait_for(client, one)
        path.unlink()
        path.symlink_to(tmp_path / "release1/servers")
        wait_for(client, two)


def write_slowly(path, text, between):
    """Write byte by byte, and return the longest pause; closed each time, as by >>."""
    path.write_text("")
    last, longest = time.monotonic(), 0.0
    for at in range(len(text)):
        with path.open("a") as file:
            file.write(text[at])
        longest = max(longest, time.monotonic() - last)
        last = time.monotonic()
        between()
    return longest


def test_a_file_that_is_written_slowly(servers, path):
    """Written in place, in many parts: no partial content takes effect."""
    one, two = servers
    both = f"{one.address}\n{two.address}\n"
    for _ in range(10):
        events = []
        history = History()
        path.write_text(both)
        with Client(f"file:{path}", on_event=events.append) as client:
            wait_for(client, one, two)
            pause = write_slowly(path, both + "# again", partial(history.call, client))
            until(lambda: client.entries()[0].last_error is None)
            seen = client.servers()
            path.write_text(two.address)
            wait_for(client, two)
        if pause < SETTLED / 2:
            break  # otherwise the writer was interrupted for longer than allowed
    else:
        pytest.skip("this machine is too busy to write a file in time")
    assert [server.address for server in seen] == [one.address, two.address]
    assert max(server.connects for server in seen) == 1
    assert refused(events) == []
    assert [event.server for event in events if event.kind == "leaving"] == [
        one.address
    ]
    assert history.errors() == []


def test_two_hundred_changes_end_no_call(servers, path):
    """No call is lost or made twice while the file changes."""
    with Server(METHODS) as third:
        everyone = [*servers, third]
        lists = [
            [everyone[i] for i in order]
            for order in ((0,), (0, 1), (1,), (1, 2, 0), (2,), (2, 1), (0, 2))
        ]
        path.write_text(everyone[0].address)
        histories = [History(start=10**7 * n) for n in range(4)]
        over = threading.Event()

        def call(client, history):
            while not over.is_set():
                history.call(client)

        with Client(f"file:{path}") as client:
            wait_for(client, everyone[0])
            threads = [
                threading.Thread(target=call, args=(client, history))
                for history in histories
            ]
            for thread in threads:
                thread.start()
            for change in range(200):
                wanted = lists[change % len(lists)]
                put(path, "\n".join(server.address for server in wanted))
                wait_for(client, *wanted)
            over.set()
            for thread in threads:
                thread.join()
            assert client.stats().list_changes >= 200
        together = History()
        for history in histories:
            assert history.errors() == []
            together.entries += history.entries
        together.check(*everyone)


def test_changes_faster_than_they_are_read(servers, path):
    one, two = servers
    put(path, one.address)
    with Client(f"file:{path}") as client:
        wait_for(client, one)
        for change in range(2001):
            put(path, (two, one)[change % 2].address)
        wait_for(client, two)
