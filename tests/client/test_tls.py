"""TLS clients in Python: whom they trust, what they report, and renewals."""

import datetime as dt
import logging
import socket
import threading
import time
from pathlib import Path

import pytest
from certificates import authority, issue
from helpers import LIMIT, QUICK, until
from peer import shared_tls
from prometheus_client import CollectorRegistry, generate_latest

from jsonrpcc import JsonRpcError, ServerFailure, Tls, TlsInfo
from jsonrpcc.prometheus import Collector
from jsonrpcc.testing import Close, Server, ServerTls


@pytest.fixture
def certificates():
    """What all servers here identify with; clients need certificates, too."""
    return shared_tls()


@pytest.fixture
def tls(certificates):
    return Tls(**certificates.client)


def days_from_now(days):
    return dt.datetime.now(dt.UTC) + dt.timedelta(days=days)


def test_every_style_of_call(serve, certificates, tls, ask):
    server = serve(tls=certificates)
    assert ask(server.address, "add", [1, 2], tls=tls) == 3
    big = ["x" * 300_000]
    assert ask(server.address, "echo", big, tls=tls) == big


def test_the_host_as_written_is_the_identity(serve, client_for):
    server = serve(tls=ServerTls(names=["localhost"]))
    options = {"tls": Tls(ca=server.tls.ca)} | QUICK
    right = client_for(f"localhost:{server.port}", **options)
    assert right.call("add", [1, 2]) == 3
    with pytest.raises(ServerFailure, match="IP address mismatch") as caught:
        client_for(f"127.0.0.1:{server.port}", **options).call("add", [1, 2])
    assert caught.value.fate == "not_sent"
    named = client_for(server, tls=Tls(ca=server.tls.ca, server_name="localhost"))
    assert named.call("add", [1, 2]) == 3


def test_an_address_that_was_found_by_a_name_is_its_own_identity(serve, client_for):
    """The server is the same; the list now gives its address instead of a name."""
    server = serve(tls=ServerTls(names=["localhost", "127.0.0.1"]))
    options = {"tls": Tls(ca=server.tls.ca)} | QUICK
    client = client_for(f"dns4:localhost:{server.port}", **options)
    assert client.call("add", [1, 2]) == 3
    client.set_servers(f"127.0.0.1:{server.port}")
    server.drop_connections()
    until(lambda: client.servers()[0].losses)
    assert client.call("add", [1, 2], wait_for_ready=True, timeout=LIMIT) == 3


def test_true_trusts_whom_the_system_trusts(serve, client_for):
    server = serve(tls=ServerTls())
    with pytest.raises(ServerFailure, match="unable to get local issuer certificate"):
        client_for(server, tls=True).call("add", [1, 2])
    assert not server.requests


def test_a_server_without_tls_is_unreachable_and_backs_off(serve, client_for):
    server = serve()
    client = client_for(server, tls=True, reconnect_delay=0.05, reconnect_delay_max=0.1)
    with pytest.raises(ServerFailure) as caught:
        client.call("add", [1, 2])
    assert caught.value.fate == "not_sent"
    until(lambda: client.servers()[0].attempts_failed >= 3)
    assert not server.requests
    (info,) = client.servers()
    assert info.state in {"down", "connecting"}
    assert info.tls is None


def test_a_client_without_tls_at_a_server_with_it(serve, client_for, certificates):
    server = serve(tls=certificates)
    with pytest.raises(JsonRpcError):
        client_for(server).call("add", [1, 2], timeout=1)
    assert not server.requests


def test_silence_in_the_handshake_ends_with_connect_timeout(client_for):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        client = client_for(address, tls=True, connect_timeout=0.2, timeout=LIMIT)
        start = time.monotonic()
        until(lambda: client.servers()[0].state == "connecting")
        with pytest.raises(ServerFailure, match="connect timeout"):
            client.call("add", [1, 2])
        assert 0.15 < time.monotonic() - start < LIMIT / 2


def test_a_client_certificate_that_is_missing_or_unknown(serve, client_for):
    server = serve(tls=ServerTls(client_ca=True))
    stranger = ServerTls(client_ca=True)
    for own in ({}, {"cert": stranger.client["cert"], "key": stranger.client["key"]}):
        client = client_for(server, tls=Tls(ca=server.tls.ca, **own), **QUICK)
        with pytest.raises(JsonRpcError):
            client.call("add", [1, 2], timeout=1)
        until(lambda client=client: client.servers()[0].last_error)
    assert not server.requests
    seen = set(server.failed_handshakes)
    assert seen <= {
        "peer did not return a certificate",
        "certificate verify failed",
        "the connection ended during the handshake",
    }


def test_a_refused_client_certificate_costs_one_call_a_connection(serve, client_for):
    server = serve(tls=ServerTls(client_ca=True))
    stranger = ServerTls(client_ca=True)
    files = stranger.client | {"ca": server.tls.ca}
    client = client_for(server, tls=Tls(**files), **QUICK)
    fates = []
    for n in range(3):
        futures = [client.submit("add", [1, n], wait_for_ready=True, timeout=0.4)
                   for _ in range(200)]  # fmt: skip
        fates += [future.exception(LIMIT).fate for future in futures]
    refused = client.servers()[0]
    assert fates.count("not_sent") + fates.count("unknown") == 600
    assert 0 < fates.count("unknown") <= refused.connects
    assert not server.requests


def test_what_servers_report(serve, client_for, certificates, tls):
    certificates.renew(not_after=days_from_now(80))
    server = serve(tls=certificates)
    client = client_for(server, tls=tls)
    client.call("add", [1, 2])
    info = client.servers()[0].tls
    assert isinstance(info, TlsInfo)
    assert info.version == "TLSv1.3"
    assert info.cipher.startswith("TLS_")
    assert 79 < info.days_left < 81
    assert not info.resumed
    files = client.stats().tls
    assert files.expires > time.time()
    assert (files.reloads, files.refusals, files.why) == (0, 0, "")
    assert client_for(serve()).stats().tls is None


def test_metrics(serve, client_for, certificates, tls):
    server = serve(tls=certificates)
    client = client_for(server, tls=tls, name="mine")
    client.call("add", [1, 2])
    registry = CollectorRegistry()
    Collector(client, registry=registry)
    value = registry.get_sample_value
    labels = {"client": "mine", "server": server.address}
    name = "jsonrpcc_server_certificate_expires_timestamp_seconds"
    assert value(name, labels) == client.servers()[0].tls.expires
    name = "jsonrpcc_certificate_expires_timestamp_seconds"
    assert value(name, {"client": "mine"}) == client.stats().tls.expires
    assert b"jsonrpcc_certificate_reloads_total" in generate_latest(registry)


def test_a_session_is_resumed(serve, client_for, certificates, tls):
    server = serve(tls=certificates)
    client = client_for(server, tls=tls, **QUICK)
    client.call("add", [1, 2])
    server.drop_connections()
    until(lambda: client.servers()[0].losses == 1)
    assert client.call("add", [1, 2], wait_for_ready=True) == 3
    assert client.servers()[0].tls.resumed


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_the_lowest_version_that_is_spoken(serve, client_for, version):
    certificates = ServerTls()
    certificates.context.maximum_version = 0x0303  # TLS 1.2
    server = serve(tls=certificates)
    tls = Tls(ca=certificates.ca, min_version=version)
    client = client_for(server, tls=tls)
    if version == "1.2":
        assert client.call("add", [1, 2]) == 3
        assert client.servers()[0].tls.version == "TLSv1.2"
    else:
        with pytest.raises(ServerFailure, match="protocol version"):
            client.call("add", [1, 2])


def test_ciphers(serve, client_for, certificates, tls):
    server = serve(tls=certificates)
    name = "TLS_CHACHA20_POLY1305_SHA256"
    client = client_for(server, tls=Tls(**certificates.client, ciphers=name))
    client.call("add", [1, 2])
    assert client.servers()[0].tls.cipher == name


# --- what the log says -----------------------------------------------------------


def warnings_of(caplog):
    return [each.message for each in caplog.records if each.levelno >= logging.WARNING]


def test_without_verification_the_log_warns_once(serve, client_for, caplog):
    server = serve(tls=ServerTls())
    client = client_for(server, tls=Tls(verify=False), name="careless", **QUICK)
    assert client.call("add", [1, 2]) == 3
    server.drop_connections()
    until(lambda: client.servers()[0].losses == 1)
    client.call("add", [1, 2], wait_for_ready=True)
    said = [each for each in warnings_of(caplog) if "verif" in each]
    assert said == [
        "careless: verify=False: certificates are not verified, any server is trusted"
    ]


@pytest.mark.parametrize(("days", "warns"), [(15, False), (13, True), (0.5, True)])
def test_a_server_certificate_that_expires_soon(serve, client_for, caplog, days, warns):
    certificates = ServerTls()
    certificates.renew(not_after=days_from_now(days))
    server = serve(tls=certificates)
    client = client_for(server, tls=Tls(ca=certificates.ca))
    client.call("add", [1, 2])
    if warns:
        until(lambda: warnings_of(caplog))
        (said,) = warnings_of(caplog)
        assert said.startswith(f"{server.address} certificate expires in ")
    else:
        until(lambda: client.stats().events["connected"])
        client.close()
        assert not warnings_of(caplog)


def test_a_client_certificate_that_expires_soon(tmp_path, client_for, caplog):
    own = issue("client", authority(), days=(-1, 5)).write(tmp_path / "own.pem")
    client_for("127.0.0.1:1", tls=Tls(cert=own, key=own), name="mine")
    assert warnings_of(caplog)[0].startswith("mine: own certificate expires in 5 days")


# --- renewals --------------------------------------------------------------------


def test_changed_files_are_used_by_new_connections(tmp_path, serve, client_for, caplog):
    """First a client of an unknown authority; then the file says otherwise."""
    certificates = ServerTls(client_ca=True)
    path = tmp_path / "ca.pem"
    path.write_bytes(authority("another").pem())
    server = serve(tls=certificates)
    events = []
    files = certificates.client | {"ca": str(path)}
    client = client_for(
        server, tls=Tls(**files, reload=0.05), on_event=events.append, **QUICK
    )
    with pytest.raises(ServerFailure, match="self-signed certificate in certif"):
        client.call("add", [1, 2])
    path.write_bytes(b"nonsense")
    until(lambda: client.stats().tls.refusals)
    assert "ca.pem" in client.stats().tls.why
    path.write_bytes(Path(certificates.ca).read_bytes())
    until(lambda: client.stats().tls.reloads)
    assert client.stats().tls.why == ""
    assert client.call("add", [1, 2], wait_for_ready=True) == 3

    def told_of_files():
        return [each for each in events if each.kind == "certificates"]

    until(lambda: len(told_of_files()) == 2)
    told = told_of_files()
    assert [each.server for each in told] == ["", ""]
    assert "ca.pem" in told[0].reason
    assert told[1].reason == ""
    logged = [each for each in caplog.records if "certificates" in each.message]
    assert [each.levelname for each in logged] == ["WARNING", "INFO"][: len(logged)]


def test_a_server_that_renews_its_certificate_loses_no_call(client_for):
    """For a few seconds of calls it changes certificate and drops connections."""
    certificates = ServerTls(client_ca=True)
    outcomes = []
    with Server({"echo": lambda n: n}, tls=certificates) as server:
        client = client_for(server, tls=Tls(**certificates.client), **QUICK)
        done = threading.Event()

        def call():
            while not done.is_set():
                outcomes.append(
                    client.call("echo", [1], idempotent=True, wait_for_ready=True)
                )

        threads = [threading.Thread(target=call) for _ in range(4)]
        for thread in threads:
            thread.start()
        for n in range(10):
            before = len(outcomes)
            certificates.renew()
            server.wait_for_connections(1)  # TLS 1.3: the client has it first
            server.drop_connections()
            until(lambda n=n: client.servers()[0].connects == n + 2)
            until(lambda before=before: len(outcomes) > before + 100)
        done.set()
        for thread in threads:
            thread.join()
        assert client.stats().failures == client.stats().timeouts == 0
        assert client.stats().ok == len(outcomes)
        assert client.servers()[0].losses == 10


@pytest.mark.parametrize("connections", [1, 2])
def test_a_renewed_certificate_is_seen_when_connections_reach_their_age(
    client_for, connections
):
    """No call is lost; without an age, connections would stay with the old one."""
    certificates = ServerTls(client_ca=True)
    with Server({"echo": lambda n: n}, tls=certificates) as server:
        client = client_for(
            server,
            tls=Tls(**certificates.client),
            connections=connections,
            max_connection_age=1,
        )
        assert client.call("echo", [1]) == 1  # connected before the first renewal
        for days in (20, 10):
            certificates.renew(days_from_now(days))

            def is_seen(days=days):
                assert client.call("echo", [1]) == 1
                left = client.servers()[0].tls.days_left
                return days - 1 < left < days + 1

            until(is_seen)
        info = client.servers()[0]
        assert (info.losses, info.attempts_failed) == (0, 0)
        assert info.renewals >= 2


def test_closing_faults_end_a_connection_and_no_more(
    serve, client_for, certificates, tls
):
    server = serve(Close(times=1), tls=certificates)
    client = client_for(server, tls=tls, **QUICK)
    assert client.call("add", [1, 2], idempotent=True, wait_for_ready=True) == 3
    assert client.servers()[0].losses == 1
