"""The client's verdict on each certificate is that of OpenSSL's s_client."""

import ssl
import subprocess

import pytest
from bad_certificates import BAD, GOOD, OPENSSL
from helpers import LIMIT

from jsonrpcc import Client, ServerFailure, Tls
from jsonrpcc.testing import Server


@pytest.fixture(params=[*BAD, *GOOD], ids=lambda case: case.name)
def case(request):
    return request.param


def lenient(path):
    """Return a server's context that allows even weak certificates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.load_cert_chain(path)
    return context


def s_client(case, server, ca):
    check = "-verify_ip" if case.host[-1].isdigit() else "-verify_hostname"
    command = [
        OPENSSL, "s_client", "-connect", server.address, "-CAfile", ca,
        "-verify_return_error", check, case.host, "-auth_level", "2",
        "-cipher", "DEFAULT@SECLEVEL=2",
    ]  # fmt: skip
    return subprocess.run(
        command, input=b"", capture_output=True, timeout=LIMIT * 2, check=False
    )


def test_s_client_says_the_same(case, tmp_path):
    issued, trusted = case.make()
    path = issued.write(tmp_path / "server.pem")
    trusted.write(tmp_path / "ca.pem")
    with Server(tls=lenient(path)) as server:
        done = s_client(case, server, str(tmp_path / "ca.pem"))
        server.wait_for_accepted(1)
    output = (done.stdout + done.stderr).decode()
    if case.says is None or not case.oracle:
        assert done.returncode == 0, output
        assert not server.failed_handshakes
        assert "Verification: OK" in output
    else:
        assert done.returncode != 0, output
        assert len(server.failed_handshakes) == 1
        assert case.says.lower() in output.lower()


def test_there_are_many_cases_and_no_duplicates():
    assert len(BAD) >= 30
    assert len({case.name for case in [*BAD, *GOOD]}) == len(BAD) + len(GOOD)


def test_the_client_says_what_is_wrong_and_sends_nothing(case, tmp_path):
    issued, trusted = case.make()
    path = issued.write(tmp_path / "server.pem")
    trusted.write(tmp_path / "ca.pem")
    tls = Tls(ca=tmp_path / "ca.pem", server_name=case.host)
    methods = {"add": lambda a, b: a + b}
    with (
        Server(methods, tls=lenient(path)) as server,
        Client(server.address, tls=tls, max_conn_attempts=0, timeout=LIMIT) as client,
    ):
        if case.says is None:
            assert client.call("add", [1, 2]) == 3
            return
        with pytest.raises(ServerFailure) as caught:
            client.call("add", [1, 2])
        server.wait_for_accepted(1)
        assert len(server.failed_handshakes) == 1, "no handshake was completed"
        assert not server.requests
        assert not server.invalid
    assert case.says in str(caught.value)
    assert caught.value.fate == "not_sent"
