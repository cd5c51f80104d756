"""jsonrpcc.otel: the one span of a map."""

import asyncio

import pytest
from opentelemetry.trace import SpanKind, StatusCode
from telemetry import METHODS, Telemetry, context_of

from jsonrpcc import AsyncClient, Client, RemoteError, otel
from jsonrpcc.testing import Drop, Server


@pytest.fixture
def server():
    with Server(METHODS) as server:
        yield server


@pytest.fixture
def telemetry():
    return Telemetry()


def of_maps(telemetry):
    """Calls, errors and error.type of all spans."""
    names = (otel.MAP_CALLS, otel.MAP_ERRORS, otel.ERROR)
    return [
        tuple(map(span.attributes.get, names)) for span in telemetry.spans()
    ]  # fmt: skip


def test_a_map_has_one_span(server, telemetry):
    with Client(server.address) as client:
        telemetry.instrument(client, methods=["add"])
        assert list(client.map("add", [[i, 1] for i in range(100)])) == [*range(1, 101)]
        found = list(client.map("fail", [[-7], [-8]], return_exceptions=True))
        assert [each.code for each in found] == [-7, -8]
        with pytest.raises(RemoteError):
            list(client.map("fail", [[-7]]))
        some = client.map("add", [[1, 2], [3, 4]])
        assert iter(some) is some
        assert next(some) == 3
        assert len(telemetry.spans()) == 3
        del some
        others = client.map("add", [[1, 2]])
        others.close()
        assert list(others) == []
        with pytest.raises(TypeError):
            client.map("add", 7)
        with pytest.raises(ValueError, match="window"):
            client.map("add", [], window=0)
        with pytest.raises(TypeError, match="method must be a str"):
            client.map(7, [])
    spans = telemetry.spans()
    assert (spans[0].name, spans[0].kind) == ("add", SpanKind.CLIENT)
    assert spans[0].attributes[otel.PORT] == server.port
    assert of_maps(telemetry) == [
        (100, 0, None), (2, 2, None), (1, 1, "-7"), (1, 0, None), (0, 0, None),
        (0, 0, "TypeError"), (0, 0, "ValueError"),
    ]  # fmt: skip
    assert spans[2].attributes[otel.STATUS] == "-7"
    assert [span.status.status_code for span in spans[1:4]] == [
        StatusCode.UNSET, StatusCode.ERROR, StatusCode.UNSET
    ]  # fmt: skip
    assert telemetry.reader.get_metrics_data() is None  # its calls do not count


def test_a_map_in_use_is_that_of_its_user(server, telemetry):
    def params():
        with pytest.raises(ValueError, match="already executing"):
            next(results)
        yield [1, 2]

    with Client(server.address) as client:
        telemetry.instrument(client)
        results = client.map("add", params())
        assert list(results) == [3]
    assert of_maps(telemetry) == [(1, 0, None)]


def test_a_map_of_asyncio_has_one_span(server, telemetry):
    async def numbers():
        for i in range(3):
            yield {"a": i, "b": 1}

    async def main():
        async with AsyncClient(server.address) as client:
            telemetry.instrument(client, methods=["add"], trace="meta")
            assert [each async for each in client.map("add", numbers())] == [1, 2, 3]
            failing = client.map("fail", [[-7]])
            with pytest.raises(RemoteError):
                await anext(failing)
            server.misbehave(Drop())
            slow = client.map("add", [[1, 2]])
            assert aiter(slow) is slow
            task = asyncio.create_task(anext(slow))
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError, match="already executing"):
                await anext(slow)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert len(telemetry.spans()) == 2  # it may go on
            await slow.aclose()
            with pytest.raises(ValueError, match="window"):
                client.map("add", [], window=0)

    asyncio.run(main())
    assert of_maps(telemetry) == [
        (3, 0, None), (1, 1, "-7"), (0, 0, None), (0, 0, "ValueError")
    ]  # fmt: skip
    span = telemetry.spans()[0].context
    seen = {request.params["_meta"]["traceparent"] for request in server.requests[:3]}
    assert {each[3:-3] for each in seen} == {
        f"{span.trace_id:032x}-{span.span_id:016x}"
    }


@pytest.mark.parametrize("how", ["meta", "member"])
def test_the_calls_of_a_map_carry_its_span(server, telemetry, how):
    params = [{"a": i, "b": 1} for i in range(3)]
    with Client(server.address) as client:
        telemetry.instrument(client, trace=how)
        assert list(client.map("add", iter(params))) == [1, 2, 3]
        assert list(client.map("add", params)) == [1, 2, 3]
    first, second = (
        f"{span.context.trace_id:032x}-{span.context.span_id:016x}"
        for span in telemetry.spans()
    )
    seen = [context_of(request, how)[3:-3] for request in server.requests]
    assert seen == [first] * 3 + [second] * 3
    assert all("_meta" not in each for each in params)
