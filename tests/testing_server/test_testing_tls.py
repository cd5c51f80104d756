"""The server of jsonrpcc.testing behind TLS, seen by Python's ssl."""

import contextlib
import datetime as dt
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from peer import LIMIT, Peer, Transport, client_context, request, result, serving, text

from jsonrpcc.testing import NeverRead, Reject, Server, ServerTls, netstring


@pytest.fixture(autouse=True)
def tls(monkeypatch):
    monkeypatch.setattr(Transport, "tls", True)


def connected(server, context, name="localhost"):
    """Return a TLS connection whose handshake is over, as far as the client knows."""
    sock = socket.create_connection((server.host, server.port), LIMIT)
    try:
        return context.wrap_socket(sock, server_hostname=name)
    except BaseException:
        sock.close()
        raise


def trusting(tls):
    return ssl.create_default_context(cafile=tls.ca)


def test_certificates_that_the_server_makes():
    with Server({"add": lambda a, b: a + b}, tls=True) as server:
        assert "cert" not in server.tls.client
        for name in ("localhost", "127.0.0.1", "::1"):
            context = ssl.create_default_context(cafile=server.tls.client["ca"])
            with connected(server, context, name) as sock:
                sock.sendall(netstring(text(request("add", [1, 2]))))
                assert sock.recv(100)[-2:] == b"},"
        assert len(server.requests) == 3
        assert server.accepted == 3
        assert not server.failed_handshakes


def test_names_chosen_by_the_program():
    tls = ServerTls(names=["rpc.example"])
    with Server(tls=tls) as server:
        connected(server, trusting(tls), "rpc.example").close()
        with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
            connected(server, trusting(tls), "localhost")
        server.wait_for_accepted(2)
        # The client closes at once, and may take its alert with it.
        assert server.failed_handshakes in (
            ["sslv3 alert bad certificate"],
            ["the connection ended during the handshake"],
        )


def test_given_files_and_an_authority_of_clients():
    made = ServerTls(client_ca=True)
    path = made.client["cert"]  # any certificate
    given = ServerTls(path, path, client_ca=made.ca)
    assert given.ca is None
    with Server(tls=given) as server:
        context = trusting(made)
        context.check_hostname = False
        context.load_cert_chain(path)
        connected(server, context).close()
        server.wait_for_accepted(1)
    assert not server.failed_handshakes


def test_a_custom_ssl_context():
    made = ServerTls(client_ca=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.client["cert"])
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    client = ssl.create_default_context()
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    with Server(tls=context) as server:
        with connected(server, client) as sock:
            assert sock.version() == "TLSv1.2"
        with pytest.raises(RuntimeError, match="no ServerTls"):
            server.tls  # noqa: B018


def test_a_client_without_a_certificate_is_refused_with_the_reason():
    with serving() as server:
        context = ssl.create_default_context(cafile=server.tls.ca)
        with connected(server, context) as sock:  # TLS 1.3: the client is done
            sock.sendall(netstring(text(request("add", [1, 2]))))
            with pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"):
                sock.recv(100)
        server.wait_for_accepted(1)
        assert server.failed_handshakes == ["peer did not return a certificate"]
        assert server.connections == 0
        assert not server.requests
        with Peer(server) as peer:
            assert peer.call("add", [1, 2]) == result(3)


@pytest.mark.parametrize("data", [b'18:{"method":"add"},', b"\x16\x03\x01\x00"])
def test_bytes_without_tls_are_not_a_request(data):
    with serving() as server:
        with socket.create_connection((server.host, server.port), LIMIT) as sock:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            sock.recv(100)
        server.wait_for_accepted(1)
        assert len(server.failed_handshakes) == 1
        assert not server.requests
        assert not server.invalid


def test_new_connections_use_a_renewed_certificate():
    tls = ServerTls()
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(days=3)

    def expires(sock):
        return ssl.cert_time_to_seconds(sock.getpeercert()["notAfter"])

    with (
        Server({"add": lambda a, b: a + b}, tls=tls) as server,
        connected(server, trusting(tls)) as before,
    ):
        tls.renew(not_after=soon)
        with connected(server, trusting(tls)) as after:
            assert expires(before) > expires(after)
            assert abs(expires(after) - soon.timestamp()) < 2
            before.sendall(netstring(text(request("add", [1, 2]))))
            assert before.recv(100)


def test_close_notify_ends_a_connection_and_so_does_fin():
    with serving() as server:
        with Peer(server) as peer:
            assert peer.call("add", [1, 2]) == result(3)
            peer.sock.unwrap()  # raises if the server does not answer it
        server.wait_for_connections(0)
        with Peer(server) as peer:
            peer.call("add", [1, 2])
        server.wait_for_connections(0)


def test_stopping_is_not_polite():
    """As with a killed process: no close_notify, so the stream is truncated."""
    with serving() as server, Peer(server) as peer:
        peer.call("add", [1, 2])
        server.stop()
        with pytest.raises(ssl.SSLEOFError):
            peer.sock.recv(1)


def test_stopping_in_the_middle_of_a_handshake():
    with serving() as server:
        sock = socket.create_connection((server.host, server.port), LIMIT)
        with contextlib.closing(sock):
            sock.sendall(b"\x16\x03\x01")
            server.stop()
            with contextlib.suppress(ConnectionResetError):
                assert sock.recv(100) == b""
    assert server.connections == 0


def test_frozen_servers_complete_no_handshake():
    with serving() as server:
        server.freeze()
        sock = socket.create_connection((server.host, server.port), 0.1)
        with contextlib.closing(sock), pytest.raises(TimeoutError):
            client_context().wrap_socket(sock, server_hostname="localhost")
        server.thaw()


def test_rejected_before_tls_begins():
    with serving(fault=Reject()) as server:
        with (
            contextlib.suppress(ConnectionResetError),  # connect() may see it, too
            socket.create_connection((server.host, server.port), LIMIT) as sock,
        ):
            sock.recv(1)
            pytest.fail("it was not reset")
        server.wait_for_accepted(1)
        assert not server.failed_handshakes


def test_what_is_not_read_is_not_decrypted_either():
    with serving(fault=NeverRead()) as server, Peer(server) as peer:
        peer.request("add", [1, 2])
        assert peer.quiet()
        assert not server.requests
        server.behave()
        assert peer.response() == result(3)


def test_large_frames_both_ways():
    params = ["x" * 3_000_000]
    with serving() as server, Peer(server) as peer:
        assert peer.call("echo", params) == result(params)


@pytest.mark.parametrize("wrong", ["yes", 1, b"", object])
def test_what_tls_can_be(wrong):
    with pytest.raises(TypeError, match="tls must be True, a ServerTls"):
        Server(tls=wrong)


def test_a_certificate_without_its_key():
    with pytest.raises(ValueError, match="cert and key are needed together"):
        ServerTls("server.pem")


def test_files_last_as_long_as_the_process_that_made_them():
    tls = ServerTls()
    folder = Path(tls.ca).parent
    assert folder.stat().st_mode & 0o077 == 0
    del tls
    assert not folder.exists()


def test_without_trustme_it_says_what_to_install():
    code = (
        "import sys; sys.modules['trustme'] = None\n"
        "from jsonrpcc.testing import Server\n"
        "try: Server(tls=True)\n"
        "except ImportError as error: print(error)"
    )
    command = [sys.executable, "-c", code]
    output = subprocess.check_output(command, text=True)
    assert "pip install 'jsonrpcc[testing]'" in output


def test_trustme_is_imported_for_no_other_server():
    code = "import sys, jsonrpcc.testing; print('trustme' in sys.modules)"
    command = [sys.executable, "-c", code]
    assert subprocess.check_output(command, text=True) == "False\n"
