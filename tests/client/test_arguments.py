"""Arguments that cannot work are refused at once, saying what is wrong and where."""

import asyncio
import contextvars
import re

import pytest
from helpers import Told, until, until_then

from jsonrpcc import AsyncClient, Client
from jsonrpcc.testing import Server

BAD = [5, "print", [print], object()]


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("params", [[1], "[1]", None])
def test_callbacks_have_to_be_callable(serve, client_for, bad, params):
    """By position and by name, in C code and in Python code."""
    server = serve()
    client = client_for(server)
    for use in (
        lambda: client.request("echo", params, bad),
        lambda: client.request("echo", params, on_result=bad),
    ):
        with pytest.raises(TypeError, match=r"^on_result must be callable or None"):
            use()
    with pytest.raises(TypeError, match=r"^on_error must be callable or None"):
        client.request("echo", params, None, bad)
    assert client.call("echo") == []
    assert len(server.requests) == 1
    assert client.stats().in_flight == 0


@pytest.mark.parametrize(
    ("methods", "text"),
    [
        ({"add": 3}, "methods['add'] must be callable, not 3"),
        ({"add": print, "b": "x"}, "methods['b'] must be callable, not 'x'"),
        ({3: print}, "methods: a name must be a str, not 3"),
        (["add"], "methods must be a dict of functions by their names, not ['add']"),
        (print, f"methods must be a dict of functions by their names, not {print!r}"),
        (7, "methods must be a dict of functions by their names, not 7"),
    ],
)
def test_methods_of_a_server_are_functions_by_name(methods, text):
    with pytest.raises(TypeError, match=f"^{re.escape(text)}$"):
        Server(methods)


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize(
    ("servers", "text"),
    [
        ("a:1 b:1 a:1", 'duplicate server at offset 8: "a:1"'),
        ("a:1,2\ta:1,1", 'duplicate server at offset 6: "a:1,1"'),
        ("Host:1 hOST:1", 'duplicate server at offset 7: "hOST:1"'),
        ("[::1]:1 [::1]:1,3", 'duplicate server at offset 8: "[::1]:1,3"'),
        (
            "a:1 bücher.example:80",
            "a host name must be ASCII, at offset 4: 'bücher.example'; as IDNA has",
        ),
        ("\u2028:80", "a host name must be ASCII, at offset 0: '\\u2028'"),
    ],
)
def test_servers_that_cannot_be_meant_get_a_hint(kind, servers, text):
    with pytest.raises(ValueError, match=f"^servers: {re.escape(text)}"):
        kind(servers)


def test_the_same_host_with_other_ports_is_another_server():
    with Client("localhost:1 localhost:2 127.0.0.1:1") as client:
        assert len(client.servers()) == 3


def test_servers_of_a_closed_client_are_closed(serve):
    server = serve()
    client = Client(f"{server.address} 127.0.0.1:1")
    until(lambda: client.servers()[0].state == "up")
    client.close()
    assert [each.state for each in client.servers()] == ["closed", "closed"]
    assert client.servers()[0].connects == 1
    assert "closed" in repr(client)

    async def main():
        asynchronous = AsyncClient(server.address)
        async with asynchronous:
            await asynchronous.call("echo")
        return asynchronous.servers()

    assert [each.state for each in asyncio.run(main())] == ["closed"]


# ---- which context variables callbacks see ------------------------------------------

user = contextvars.ContextVar("user", default="nobody")


def test_callbacks_have_the_context_of_their_thread(serve):
    """They are not the caller's; changes by one callback are seen by the next one."""
    told, events = Told(), Told()
    token = user.set("caller")
    try:
        with Client(
            serve().address, on_event=lambda _: events.on_result(user.get())
        ) as client:
            assert events.result() == "nobody"
            client.request("echo", None, lambda _: told.on_result(user.get()))
            assert told.result() == "nobody"
            client.request("echo", None, lambda _: user.set("callback"))
            client.request("nobody", None, None, lambda _: told.on_result(user.get()))
            assert told.result() == "callback"
            context = contextvars.copy_context()
            client.request(
                "echo", None, lambda _: told.on_result(context.run(user.get))
            )
            assert told.result() == "caller"
            assert user.get() == "caller"
    finally:
        user.reset(token)


def test_on_event_of_an_async_client_has_the_context_of_the_first_use(serve, run):
    server = serve()
    seen = []

    async def use(client):
        user.set("first use")
        await client.call("echo")

    async def main():
        user.set("made")
        client = AsyncClient(server.address, on_event=lambda _: seen.append(user.get()))
        await asyncio.create_task(use(client))
        user.set("later")
        await client.call("echo")
        server.drop_connections()
        await until_then(lambda: len(seen) >= 2)
        assert user.get() == "later"
        await client.close()

    run(main())
    assert set(seen) == {"first use"}
