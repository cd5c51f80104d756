"""jsonrpcc.otel: spans, metrics, and the trace context that servers get."""

import asyncio
import gc
import importlib.metadata
import inspect
import re
import subprocess
import sys
import weakref
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.semconv._incubating.attributes import (
    jsonrpc_attributes,
    rpc_attributes,
)
from opentelemetry.semconv._incubating.metrics import rpc_metrics
from opentelemetry.semconv.attributes import (
    error_attributes,
    network_attributes,
    server_attributes,
)
from opentelemetry.trace import SpanKind, StatusCode
from telemetry import METHODS, Telemetry, context_of

from jsonrpcc import AsyncClient, Client, RemoteError, RequestTimeout, otel
from jsonrpcc.testing import Drop, Server

ROOT = Path(__file__).parents[2]


@pytest.fixture
def server():
    with Server(METHODS) as server:
        yield server


@pytest.fixture
def telemetry():
    return Telemetry()


def test_a_call_has_a_span_and_counts(server, telemetry):
    with Client(server.address) as client:
        telemetry.instrument(client, methods=["add", "fail"])
        assert client.call("add", [1, 2]) == 3
        with pytest.raises(RemoteError):
            client.call("fail", [-7])
        client.call("note")
        assert client.proxy.add(3, 4) == 7
        client.notification("note")
    good, bad, other, proxied, note = telemetry.spans()
    assert (good.name, good.kind) == ("add", SpanKind.CLIENT)
    assert dict(good.attributes) == {
        otel.SYSTEM: "jsonrpc",
        otel.VERSION: "2.0",
        otel.METHOD: "add",
        otel.ADDRESS: "127.0.0.1",
        otel.PORT: server.port,
        otel.PEER_ADDRESS: "127.0.0.1",
        otel.PEER_PORT: server.port,
        otel.TRANSPORT: "tcp",
    }
    assert good.status.status_code == StatusCode.UNSET
    assert (bad.attributes[otel.ERROR], bad.attributes[otel.STATUS]) == ("-7", "-7")
    assert bad.status.status_code == StatusCode.ERROR
    assert (other.name, other.attributes[otel.METHOD]) == ("jsonrpc", "_OTHER")
    assert other.attributes[otel.METHOD_ORIGINAL] == "note"
    assert (proxied.name, note.name) == ("add", "jsonrpc")
    assert telemetry.counts() == {
        ("add", None): 2, ("fail", "-7"): 1, ("_OTHER", None): 2
    }  # fmt: skip


def test_callbacks_and_futures(server, telemetry, caplog):
    heard = []
    with Client(server.address) as client:
        telemetry.instrument(client, methods=["add", "fail"])
        assert client.submit("add", [1, 2]).result() == 3
        client.request("add", [3, 4], heard.append)
        client.request("fail", [-7], heard.append, heard.append)
        client.request("fail", [-8])
        client.drain()
        with pytest.raises(TypeError, match="on_result must be callable"):
            client.request("add", [1, 2], 7)
    assert heard[0] == 7
    assert heard[1].code == -7
    assert "code=-8" in caplog.text
    assert "no on_error was given" in caplog.text
    assert telemetry.counts() == {
        ("add", None): 2, ("fail", "-7"): 1, ("fail", "-8"): 1
    }  # fmt: skip


def test_a_client_of_asyncio(server, telemetry):
    heard = []

    async def main():
        async with AsyncClient(server.address) as client:
            telemetry.instrument(client, methods=["add"])
            assert inspect.iscoroutinefunction(client.call)
            assert await client.call("add", [1, 2]) == 3
            await client.request("add", [3, 4], heard.append)
            await client.notification("note")
            assert await client.drain()
            server.misbehave(Drop())
            with pytest.raises(RequestTimeout):
                await client.call("add", [1, 2], timeout=0.05)
            task = asyncio.create_task(client.call("add", [1, 2]))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())
    assert heard == [7]
    assert telemetry.counts() == {
        ("add", None): 2,
        ("_OTHER", None): 1,
        ("add", "RequestTimeout"): 1,
        ("add", "CancelledError"): 1,
    }


@pytest.mark.parametrize("how", ["meta", "member"])
def test_the_server_gets_the_context(server, telemetry, how):
    with Client(server.address) as client:
        telemetry.instrument(client, trace=how)
        with telemetry.tracers.get_tracer("test").start_as_current_span("outside"):
            assert client.call("add", {"a": 1, "b": 2}) == 3
            assert client.submit("add", {"a": 1, "b": 2}).result() == 3
            client.notification("add", {"a": 1})
        server.wait_for_requests(3)

    async def main():
        async with AsyncClient(server.address) as client:
            telemetry.instrument(client, trace=how)
            assert await client.call("add", {"a": 1, "b": 2}) == 3
            await client.request("add", {"a": 1, "b": 2})
            await client.notification("add", {"a": 1})
            await client.drain()
        await asyncio.to_thread(server.wait_for_requests, 6)

    asyncio.run(main())
    spans = {
        f"{span.context.trace_id:032x}-{span.context.span_id:016x}": span
        for span in telemetry.spans()
    }
    seen = [context_of(request, how) for request in server.requests]
    assert len(set(seen)) == 6
    for each in seen:
        assert spans[each[3:-3]].name == "jsonrpc"
    outside = next(span for span in telemetry.spans() if span.name == "outside")
    assert spans[seen[0][3:-3]].parent.span_id == outside.context.span_id
    assert all(request.method == "add" for request in server.requests)


def test_params_that_cannot_carry_it_are_left_alone(server, telemetry):
    params = {"a": 1, "_meta": {"mine": 2}}
    with Client(server.address) as client:
        telemetry.instrument(client, trace="meta")
        assert client.call("add", [1, 2]) == 3
        assert client.call("add") == 0
        client.call("add", params)
    assert params == {"a": 1, "_meta": {"mine": 2}}
    first, second, third = server.requests
    assert first.params == [1, 2]
    assert second.params is None
    assert third.params["_meta"].keys() == {"mine", "traceparent"}


def test_the_status_code_has_the_name_that_is_chosen(server, monkeypatch):
    for chosen, names in [
        ("", {otel.STATUS}),
        ("http,rpc", {otel.STATUS_LATER}),
        ("rpc/dup", {otel.STATUS, otel.STATUS_LATER}),
    ]:
        monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", chosen)
        telemetry = Telemetry()
        with Client(server.address) as client:
            telemetry.instrument(client)
            with pytest.raises(RemoteError):
                client.call("fail", [-7])
        [span] = telemetry.spans()
        both = {otel.STATUS, otel.STATUS_LATER}
        assert both & span.attributes.keys() == names


def test_which_conventions_the_names_are_of():
    """When this fails, look at what has been renamed, in the one table."""
    for ours, theirs in [
        (otel.DURATION, rpc_metrics.RPC_CLIENT_CALL_DURATION),
        (otel.SYSTEM, rpc_attributes.RPC_SYSTEM_NAME),
        (otel.METHOD, rpc_attributes.RPC_METHOD),
        (otel.METHOD_ORIGINAL, rpc_attributes.RPC_METHOD_ORIGINAL),
        (otel.STATUS, rpc_attributes.RPC_RESPONSE_STATUS_CODE),
        (otel.VERSION, jsonrpc_attributes.JSONRPC_PROTOCOL_VERSION),
        (otel.ERROR, error_attributes.ERROR_TYPE),
        (otel.ADDRESS, server_attributes.SERVER_ADDRESS),
        (otel.PORT, server_attributes.SERVER_PORT),
        (otel.PEER_ADDRESS, network_attributes.NETWORK_PEER_ADDRESS),
        (otel.PEER_PORT, network_attributes.NETWORK_PEER_PORT),
        (otel.TRANSPORT, network_attributes.NETWORK_TRANSPORT),
    ]:
        assert ours == theirs
    installed = importlib.metadata.version("opentelemetry-semantic-conventions")
    assert installed == otel.CONVENTIONS


def test_calls_that_are_not_sampled_count(server):
    telemetry = Telemetry(ALWAYS_OFF)
    with Client(server.address) as client:
        telemetry.instrument(client, methods=["add"], trace="meta")
        assert client.call("add", {"a": 1}) == 1
    assert telemetry.spans() == []
    assert telemetry.counts() == {("add", None): 1}
    flags = server.requests[0].params["_meta"]["traceparent"].rpartition("-")[2]
    assert int(flags, 16) & 1 == 0  # not sampled


def test_an_instrumented_client_is_still_that_client(server, telemetry):
    client = Client(server.address)
    telemetry.instrument(client)
    assert isinstance(client, Client)
    assert type(client).__name__ == "Client"
    assert repr(client).startswith("<Client 127.0.0.1:")
    with pytest.raises(TypeError, match="method must be a str"):
        client.call(7)
    with pytest.raises(ValueError, match="already"):
        telemetry.instrument(client)
    otel.uninstrument(client)
    assert type(client) is Client
    assert client.call("add", [1, 2]) == 3
    assert telemetry.spans() == []
    otel.uninstrument(client)
    telemetry.instrument(client)
    dead = weakref.ref(client)
    client.close()
    del client
    assert dead() is None  # no cycle keeps it
    gc.collect()


def test_wrong_arguments(server):
    with Client(server.address) as client:
        with pytest.raises(TypeError, match="several names"):
            otel.instrument(client, methods="add")
        with pytest.raises(ValueError, match='"meta", "member" or None'):
            otel.instrument(client, trace="header")
    with pytest.raises(TypeError, match="is needed"):
        otel.instrument(object())


def test_without_a_provider_nothing_is_recorded(server):
    with Client(server.address) as client:
        otel.instrument(client, trace="member")
        assert client.call("add", [1, 2]) == 3
    assert b"traceparent" not in server.requests[0].raw
    assert not trace.get_current_span().is_recording()


def test_the_docs_have_each_name():
    """The one table of names, and its rows."""
    ours = {
        value for name, value in vars(otel).items()
        if name.isupper() and isinstance(value, str) and "." in value
    }  # fmt: skip
    others = {otel.DURATION, otel.ATTEMPT, otel.ATTEMPT_NUMBER}  # no attributes of ours
    ours -= {otel.CONVENTIONS, *others}
    text = (ROOT / "docs" / "metrics.md").read_text()
    section = text.partition("## OpenTelemetry\n")[2].partition("\n## ")[0]
    table = section.partition("| attribute | on | value |\n")[2].partition("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines()[1:]]
    listed = {name for row in rows for name in re.findall("`([^`]*)`", row)}
    assert listed == ours
    assert others <= set(re.findall("`([^`]*)`", section))


@pytest.mark.parametrize(
    ("server", "where"),
    [
        ("10.0.0.7:9999", ("10.0.0.7", 9999, "10.0.0.7", 9999, "tcp")),
        ("[::1]:9999", ("::1", 9999, "::1", 9999, "tcp")),
        ("db:9999", ("db", 9999, None, None, "tcp")),
        ("db/10.0.0.7:9999", ("db", 9999, "10.0.0.7", 9999, "tcp")),
        ("db/[::1]:9999", ("db", 9999, "::1", 9999, "tcp")),
        ("unix:/run/db.sock", ("unix:/run/db.sock", None, "unix:/run/db.sock",
                               None, "unix")),
        ("fd:7", ("fd:7", None, None, None, None)),
    ],
)  # fmt: skip
def test_where_a_call_went(telemetry, server, where):
    """The name is the server's address; what it stands for is the peer's."""
    with Client("127.0.0.1:1") as client:
        telemetry.instrument(client)
        error = RequestTimeout("late", server=server)
        client.telemetry_.end(client.telemetry_.begin("add"), "add", error, client)
    [span] = telemetry.spans()
    names = (otel.ADDRESS, otel.PORT, otel.PEER_ADDRESS, otel.PEER_PORT, otel.TRANSPORT)
    assert tuple(map(span.attributes.get, names)) == where


def test_it_is_imported_only_if_asked_for():
    program = "import sys, jsonrpcc; assert 'opentelemetry' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
