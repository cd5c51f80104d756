"""Servers given by name: several addresses, none, new ones, and a hanging resolver."""

import os
import shutil
import socket
import subprocess

import pytest
from children import PROGRAMS, run_program, start_program
from history import METHODS, History
from time_limits import THREADS_OF_TSAN

from jsonrpcc import Client, ServerFailure
from jsonrpcc.testing import Server


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


ipv6 = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on the loopback here")


@pytest.fixture(scope="module")
def resolver(tmp_path_factory):
    """Return the environment of a program whose name lookups the test controls."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no compiler for the resolver to be preloaded")
    folder = tmp_path_factory.mktemp("names")
    library = folder / "names.so"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-o", library, PROGRAMS / "names.c", "-ldl"],
        check=True,
    )
    preload = " ".join(filter(None, [os.environ.get("LD_PRELOAD"), str(library)]))
    return {"LD_PRELOAD": preload, "NAMES_FILE": str(folder / "names.txt")}


@ipv6
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_localhost_with_one_of_its_addresses_listening(host):
    addresses = {info[4][0] for info in socket.getaddrinfo("localhost", 1)}
    if host not in addresses:
        pytest.skip(f"localhost is only {addresses} here")
    history = History()
    with Server(METHODS, host=host) as server:
        with Client(f"localhost:{server.port}") as client:
            for _ in range(10):
                assert not history.call(client).error
            assert client.servers()[0].attempts_failed == 0
        history.check(server)


@ipv6
def test_an_ipv6_literal():
    history = History()
    with Server(METHODS, host="::1") as server:
        assert server.address.startswith("[::1]:")
        with Client(server.address) as client:
            assert not history.call(client).error
            assert client.servers()[0].address == server.address
        history.check(server)


def test_all_addresses_of_a_name_are_tried(server, resolver):
    ended = run_program("names.py", "several", server.port, env=resolver)
    assert ended.report() == {"attempts_failed": 0}


@pytest.mark.parametrize("fault", ["drop", "raw", "reset", "id"])
def test_the_next_address_is_tried_when_a_hello_fails(resolver, fault):
    """As when the first one refuses the connection."""
    try:
        good = Server(METHODS, host="127.0.0.2").start()
    except OSError:
        pytest.skip("127.0.0.2 is not ours here")
    with good:
        ended = run_program("names.py", "hello", good.port, fault, env=resolver)
        assert ended.report() == {"connects": 1, "attempts_failed": 0, "asked": 1}
        assert [each.method for each in good.requests] == ["login", *10 * ["echo"]]


def test_a_name_that_does_not_exist(server, resolver):
    """The call fails soon and says so; the name may exist later."""
    report = run_program("names.py", "fail", server.port, env=resolver).report()
    assert "ServerFailure" in report["error"]
    assert "name resolution" in report["error"]
    assert "not_sent" in report["error"]
    assert report["took"] < 1


def test_a_resolver_that_hangs_delays_nobody(server, resolver):
    """It delays neither numeric servers nor close(), and its threads are limited."""
    report = run_program("names.py", "hang", server.port, env=resolver).report()
    assert report["errors"] == []
    assert report["first"] < 0.5
    assert report["longest of the rest"] < 0.2
    assert report["threads"] <= 3 + 16 + THREADS_OF_TSAN  # for twenty names
    assert report["close"] < 0.5


def test_a_program_with_a_resolver_that_hangs_ends(server, resolver):
    ended = run_program("names.py", "hang", server.port, env=resolver)
    assert ended.time - ended.report()["began"] < 3


def test_a_new_address_is_used_at_the_next_attempt(resolver):
    try:
        new = Server(METHODS, host="127.0.0.2")
        new.start()
    except OSError:
        pytest.skip("127.0.0.2 is not ours here")
    with new, Server(METHODS, host="127.0.0.1", port=new.port) as old:
        child = start_program("names.py", "change", new.port, "127.0.0.2", env=resolver)
        with child:
            assert child.stdout.readline() == "moved\n"
            old.stop()
            out, err = child.communicate(timeout=20)
        assert child.returncode == 0, err
        assert out == "{}\n"
        assert len(old.requests) == 1
        assert len(new.requests) == 1


@pytest.mark.parametrize("address", ["127.0.0.1", "[::1]"])
def test_a_closed_port_is_noticed_at_once(server, address):
    server.stop()
    with (
        Client(f"{address}:{server.port}", reconnect_delay=9) as client,
        pytest.raises(ServerFailure) as failed,
    ):
        client.call("echo", [1])
    assert failed.value.elapsed < 0.5
