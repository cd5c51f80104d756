"""Messages for users who have made a mistake, or whose server has."""

import asyncio
import copy
import dataclasses
import math
import pickle
import re
import traceback
from typing import get_type_hints

import pytest
from children import run_program
from history import wait_for_state

import jsonrpcc


@pytest.mark.parametrize(
    ("servers", "hint"),
    [
        (("10.0.0.7", 9999), "not tuple; write '10.0.0.7:9999'"),
        ([("a", 1), ("::1", 2)], "not list; write 'a:1 [::1]:2'"),
        (["a:1,2", "b:1,1"], "not list; write 'a:1,2 b:1,1'"),
        (9999, 'host2:port2,priority2", not int'),
        ([9999, None], "not list"),
    ],
)
def test_servers_of_another_type_are_shown_as_a_string(servers, hint):
    with pytest.raises(TypeError, match=f"{re.escape(hint)}$"):
        jsonrpcc.Client(servers)


@pytest.mark.parametrize(
    ("servers", "hint"),
    [
        ("tcp://a:1", "servers: no scheme is expected at offset 0: write 'a:1'"),
        ("a:1 TCP://[::1]:2,3/", "at offset 4: write '[::1]:2,3'"),
        ("a:1,b:2", "between two of them, not ',', at offset 3: ',b:2'"),
        ("a:1,2;b:2", "between two of them, not ';', at offset 5: ';b:2'"),
        ("dns://a:1", "no // is expected at offset 0: write 'dns:a:1'"),
        ("a:1 dnss:b:2", "unknown scheme 'dnss' at offset 4; did you mean 'dns'?"),
        ("DNS:b:2", "unknown scheme 'DNS' at offset 0; did you mean 'dns'?"),
        ("name:b:2", "unknown scheme 'name' at offset 0; is 'dns:' meant?"),
        ("a:1,dns:b:2", "between two of them, not ',', at offset 3: ',dns:b:2'"),
        ("a:1, b:2", "between two of them, not ',', at offset 3: ', b:2'"),
    ],
)
def test_servers_in_other_notations_are_recognized(servers, hint):
    with pytest.raises(ValueError, match=re.escape(hint)):
        jsonrpcc.Client(servers)


@pytest.mark.parametrize("cls", [jsonrpcc.Client, jsonrpcc.AsyncClient])
def test_a_misspelt_option_gets_a_suggestion(cls):
    for wrong, right in (("timeot", "timeout"), ("on_evnt", "on_event")):
        with pytest.raises(TypeError, match=f"{wrong!r}; did you mean {right!r}"):
            cls("127.0.0.1:1", **{wrong: 1})
    with pytest.raises(TypeError, match=r"unknown option 'xyzzy'$"):
        cls("127.0.0.1:1", xyzzy=1)


def test_a_method_of_the_server_is_not_an_attribute(serve, client_for):
    client = client_for(serve())
    with pytest.raises(
        AttributeError, match=r"client\.proxy\.add\(\.\.\.\)$"
    ) as caught:
        client.add(1, 2)
    assert 'client.call("add", ...)' in str(caught.value)
    with pytest.raises(AttributeError) as caught:
        client.cal("add")
    # What Python needs to say "Did you mean: 'call'?" below a traceback.
    assert (caught.value.name, caught.value.obj) == ("cal", client)
    assert not hasattr(client, "add")
    with pytest.raises(AttributeError, match=r"no attribute '_add'$"):
        _ = client._add


@pytest.mark.parametrize("base", [jsonrpcc.Client, jsonrpcc.AsyncClient])
def test_a_subclass_may_look_names_up_itself(base):
    class Own(base):
        def __getattr__(self, name):
            if name == "extra":
                return 7
            raise (KeyError if name == "other" else AttributeError)(name)

    client = Own.__new__(Own)  # without a connection
    assert client.extra == 7
    assert client.call.__self__ is client
    with pytest.raises(KeyError):
        _ = client.other


def test_a_base_without_a_hint_has_no_such_attribute():
    with pytest.raises(AttributeError):
        _ = jsonrpcc._speedups.Client().add


def test_an_async_client_says_await(serve):
    async def main():
        async with jsonrpcc.AsyncClient(serve().address) as client:
            with pytest.raises(AttributeError, match=r"await client\.proxy\.add"):
                client.add(1, 2)

    asyncio.run(main())


def test_a_failure_names_each_server_and_why(serve):
    servers = [serve() for _ in range(10)]
    for server in servers:
        server.stop()
    text = " ".join(each.address for each in servers)
    with jsonrpcc.Client(text) as client:
        with pytest.raises(jsonrpcc.ServerFailure) as caught:
            client.call("add")
        said = str(caught.value)
        for each in servers[:8]:
            assert f"{each.address} Connection refused (just now)" in said
        assert said.endswith(", and 2 more")
        assert repr(client).endswith(" down, ... (0 of 10 up)>")


def test_a_failure_is_looked_at_again(serve):
    """Messages describe the present state of a server, not an earlier failure."""
    best, spare = serve(), serve()
    with jsonrpcc.Client(f"{best.address},2 {spare.address},1") as client:
        client.call("echo", [1])
        best.stop()
        client.call("echo", [1], idempotent=True)
        spare.stop()
        spare.wait_for_connections(0)
        wait_for_state(client, "down", 0, 1)
        with pytest.raises(jsonrpcc.ServerFailure) as caught:
            client.call("echo", [1])
        assert f"{best.address} " in str(caught.value)
        assert f"{spare.address} " in str(caught.value)


@pytest.mark.parametrize("codec", ["msgspec", "json", "orjson"])
@pytest.mark.parametrize(
    ("params", "place"),
    [
        ([1, object()], "params[1]: "),
        ({"a": {"b": [1, (2, object())]}}, "params['a']['b'][1][1]: "),
        ([{"x": [1.5]}, {"y": math}], "params[1]['y']: "),
        ({object(): 1}, "params: "),
    ],
)
def test_what_a_codec_refuses_is_reported_with_its_place(serve, codec, params, place):
    with (
        jsonrpcc.Client(serve().address, codec=codec) as client,
        pytest.raises(TypeError) as caught,
    ):
        client.call("echo", params)
    assert str(caught.value).startswith(place)
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize("codec", ["msgspec", "json", "orjson"])
def test_a_number_that_json_lacks_is_reported_with_its_place(serve, codec):
    with (
        jsonrpcc.Client(serve().address, codec=codec) as client,
        pytest.raises(ValueError, match=r"^params\[0\]\['x'\]\[2\]: "),
    ):
        client.call("echo", [{"x": [1.0, None, math.nan]}])


def test_public_classes_have_public_names():
    public = [getattr(jsonrpcc, name) for name in jsonrpcc.__all__]
    classes = [each for each in public if isinstance(each, type)]
    for cls in classes:
        if not dataclasses.is_dataclass(cls):
            assert f"{cls.__module__}.{cls.__qualname__}" == f"jsonrpcc.{cls.__name__}"
        assert pickle.loads(pickle.dumps(cls)) is cls  # noqa: S301
    for record in (jsonrpcc.Event, jsonrpcc.ServerInfo, jsonrpcc.Stats):
        assert get_type_hints(record)
    error = jsonrpcc.RemoteError(5, "five")
    assert traceback.format_exception_only(error) == ["jsonrpcc.RemoteError: 5 five\n"]


def test_a_remote_error_says_all_it_knows():
    say = jsonrpcc.RemoteError
    assert str(say(-1, "m", method="f", server="h:1")) == "f at h:1: -1 m"
    assert str(say(-1, "m", method="f")) == "f: -1 m"
    assert str(say(None, "", method="f", server="h:1")) == "f at h:1: error"
    assert str(say("E7", "m")) == "E7 m"
    copied = copy.copy(say(-1, "m", method="f", server="h:1"))
    assert str(copied) == "f at h:1: -1 m"


def test_suggestions_cost_nothing_without_a_mistake():
    """The module that suggests names is imported only after a mistake."""
    assert run_program("imports.py").report() == {"difflib": False, "unittest": False}
