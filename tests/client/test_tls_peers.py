"""TLS of others: proxies in front of the server, and OpenSSL's own in every version."""

import contextlib
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from bad_certificates import OPENSSL
from helpers import LIMIT, QUICK, until
from tls_peers import FRONTS, running

from jsonrpcc import Client, JsonRpcError, ServerFailure, Tls
from jsonrpcc.testing import Server, ServerTls, netstring

METHODS = {"add": lambda a, b: a + b, "echo": lambda *params: list(params)}


@pytest.fixture
def certificates():
    return ServerTls(client_ca=True)


@pytest.fixture(params=FRONTS)
def front(request, tmp_path, certificates):
    """A server behind a proxy that speaks mTLS; yields both, the address first."""
    with (
        Server(METHODS) as server,
        FRONTS[request.param](tmp_path, certificates, server.address) as address,
    ):
        yield address, server


def test_calls_of_every_size_go_through(front, certificates):
    address, server = front
    with Client(address, tls=Tls(**certificates.client)) as client:
        for size in (0, 1, 16_000, 16_384, 100_000, 3_000_000):
            assert client.call("echo", ["x" * size]) == ["x" * size]
        assert list(client.map("add", ([n, n] for n in range(5000)))) == [
            2 * n for n in range(5000)
        ]
    assert len(server.requests) == 5006


def test_a_client_without_a_certificate_gets_no_call_through(front, certificates):
    address, server = front
    with Client(address, tls=Tls(ca=certificates.ca), **QUICK) as client:
        with pytest.raises(JsonRpcError):
            client.call("add", [1, 2], timeout=1)
        until(lambda: client.servers()[0].last_error)
    assert not server.requests


def test_sessions_are_resumed_and_lost_connections_cost_no_idempotent_call(
    front, certificates
):
    address, server = front
    with Client(address, tls=Tls(**certificates.client), **QUICK) as client:
        for n in range(5):
            assert client.call("add", [n, 1], idempotent=True, wait_for_ready=True)
            server.drop_connections()
            until(lambda n=n: client.servers()[0].losses > n)
        client.call("add", [1, 2], wait_for_ready=True)
        assert client.servers()[0].tls.resumed


def test_threads_at_once(front, certificates):
    address, server = front
    with (
        Client(address, tls=Tls(**certificates.client)) as client,
        ThreadPoolExecutor(8) as pool,
    ):
        results = pool.map(lambda n: client.call("add", [n, 1]), range(800))
        assert list(results) == [n + 1 for n in range(800)]
    assert len(server.requests) == 800


# --- OpenSSL's own server --------------------------------------------------------


class Answering:
    """`openssl s_server` and what answers for it: its stdin and stdout are the wire."""

    def __init__(self, process, port, output):
        self.address = f"127.0.0.1:{port}"
        self._process, self._output = process, output

    def command(self, letter):
        self._process.stdin.write(f"{letter}\n".encode())
        self._process.stdin.flush()

    def answer(self, count):
        """Answer *count* requests with null."""
        for n in range(count):
            until(lambda n=n: len(self._requests()) > n)
            text = b'{"jsonrpc":"2.0","id":%b,"result":null}' % self._requests()[n]
            self._process.stdin.write(netstring(text))
            self._process.stdin.flush()

    def _requests(self):
        return re.findall(rb'\d+:\{"jsonrpc"[^}]*"id":(\d+)', self._output.read_bytes())


@contextlib.contextmanager
def s_server(folder, certificates, *options):
    def command(port):
        return [
            OPENSSL, "s_server", "-accept", f"127.0.0.1:{port}",
            "-cert", certificates.server, "-key", certificates.server, *options,
        ]  # fmt: skip

    with running(folder, command) as (process, port):
        yield Answering(process, port, folder / "output.txt")


def call(server, client, count=1):
    """Make calls that the server answers."""
    answering = threading.Thread(target=server.answer, args=(count,), daemon=True)
    answering.start()
    for _ in range(count):
        assert client.call("ping", timeout=LIMIT) is None
    answering.join(LIMIT)


@pytest.mark.parametrize(
    ("options", "version"),
    [
        (["-tls1_2"], "TLSv1.2"),
        (["-tls1_3"], "TLSv1.3"),
        (["-tls1_3", "-no_ticket"], "TLSv1.3"),
        (["-tls1_3", "-num_tickets", "20"], "TLSv1.3"),
        (["-tls1_3", "-groups", "P-384"], "TLSv1.3"),  # HelloRetryRequest
        (["-tls1_3", "-early_data"], "TLSv1.3"),
        (["-tls1_2", "-no_ticket", "-no_cache"], "TLSv1.2"),
        (["-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"], "TLSv1.2"),
        ([], "TLSv1.3"),
    ],
    ids=" ".join,
)
def test_s_server(tmp_path, certificates, options, version):
    with (
        s_server(tmp_path, certificates, "-quiet", *options) as server,
        Client(server.address, tls=Tls(ca=certificates.ca)) as client,
    ):
        call(server, client, 3)
        assert client.servers()[0].tls.version == version


@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
def test_versions_that_are_broken(tmp_path, certificates, version):
    weak = ("-quiet", version, "-cipher", "ALL:@SECLEVEL=0")
    with (
        s_server(tmp_path, certificates, *weak) as server,
        Client(server.address, tls=Tls(ca=certificates.ca), **QUICK) as client,
    ):
        with pytest.raises(ServerFailure) as caught:
            client.call("ping")
        assert caught.value.fate == "not_sent"
    assert b"jsonrpc" not in (tmp_path / "output.txt").read_bytes()


@pytest.mark.parametrize("letter", ["k", "K"])
def test_keys_are_updated_between_calls(tmp_path, certificates, letter):
    with (
        s_server(tmp_path, certificates, "-tls1_3") as server,
        Client(server.address, tls=Tls(ca=certificates.ca)) as client,
    ):
        until(lambda: client.servers()[0].state == "up")
        for _ in range(3):
            server.command(letter)
        call(server, client, 3)
        assert client.servers()[0].losses == 0


def test_renegotiation_is_off(tmp_path, certificates):
    """The server asks for it; at worst, the connection ends and a new one is made."""
    with (
        s_server(tmp_path, certificates, "-tls1_2") as server,
        Client(server.address, tls=Tls(ca=certificates.ca), **QUICK) as client,
    ):
        until(lambda: client.servers()[0].state == "up")
        server.command("r")
        answering = threading.Thread(target=server.answer, args=(1,), daemon=True)
        answering.start()
        options = {"idempotent": True, "wait_for_ready": True, "timeout": LIMIT}
        assert client.call("ping", **options) is None
        answering.join(LIMIT)
    assert (tmp_path / "output.txt").read_bytes().count(b"CIPHER is") <= 2
