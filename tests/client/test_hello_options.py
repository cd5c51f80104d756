"""What a hello may consist of, and where its secrets never appear."""

import logging

import pytest
from greeting import LOGIN, METHODS, WORDS
from helpers import QUICK

from jsonrpcc import Client, Options, ServerFailure


def shown(client):
    """Return what a program might log about a client."""
    texts = [repr(client), *map(repr, client.servers()), repr(client.stats())]
    return "\n".join([*texts, repr(vars(client)), repr(client.methods())])


def test_secrets_are_in_no_text(serve, caplog):
    """Not even those that the server sends back."""
    caplog.set_level(logging.DEBUG)
    server = serve(methods=METHODS, hello=["login"])
    events = []
    texts = []
    with Client(
        server.address, hello=[("login", [WORDS, WORDS + "!"])],
        on_event=events.append, **QUICK,
    ) as client:  # fmt: skip
        with pytest.raises(ServerFailure) as failed:
            client.call("echo", [1])
        texts += [str(failed.value), repr(failed.value), shown(client)]
        client.set_hello(LOGIN)
        assert client.call("echo", [1], wait_for_ready=True) == [1]
        texts.append(shown(client))
    options = Options(hello=LOGIN)
    texts += [repr(options), repr(options.hello_errors), *map(repr, events)]
    ours = [each for each in caplog.records if "testing" not in each.name]
    texts += [each.getMessage() for each in ours]
    assert events
    for text in texts:
        assert WORDS not in text
        assert "horse" not in text


class Shy:
    """An object that cannot be encoded."""

    def __repr__(self):
        return WORDS


@pytest.mark.parametrize(
    ("hello", "kind", "text"),
    [
        ("rpc.ping", TypeError, "hello must be a list"),
        ({"login": []}, TypeError, "hello must be a list"),
        (7, TypeError, "hello must be a list"),
        (["login"], ValueError, r"hello\[0\] must be a \(method, params\) pair"),
        (("login", [WORDS]), ValueError, r"hello\[0\].*a list of such pairs"),
        ([("a", None), ("b",)], ValueError, r"hello\[1\] .*, not 1 items"),
        ([("a", [WORDS], 3)], ValueError, r"hello\[0\] .*, not 3 items"),
        ([(7, None)], TypeError, r"hello\[0\]: the method must be a str, not int"),
        ([("", None)], ValueError, r"hello\[0\]: method is empty"),
        ([("\ud800", None)], ValueError, r"hello\[0\]: the method is not valid UTF-8"),
        ([("a", 7)], TypeError, r"hello\[0\]: params must be"),
        ([("a", {WORDS})], TypeError, r"hello\[0\]: params must be"),
        ([("a", [1, Shy()])], TypeError, r"hello\[0\]: params\[1\]"),
        ([("a", [float("nan")])], ValueError, r"hello\[0\]: params\[0\]: nan"),
        ([("a", f'["{WORDS}",')], ValueError, r"hello\[0\]: params: .* at offset"),
        ([("a", WORDS)], ValueError, r"hello\[0\]: params: .* at offset 0"),
        ([("a", [WORDS * 4000])], ValueError, r"hello\[0\]: it is larger than 65536"),
        ([("a", None)] * 9, ValueError, "hello: 9 requests, of at most 8"),
    ],
)
def test_wrong_ones_are_refused_with_the_place(server, hello, kind, text):
    with pytest.raises(kind, match=text) as refused:
        Client(server.address, hello=hello)
    assert WORDS not in str(refused.value)
    assert refused.value.__cause__ is None
    with Client(server.address) as client:
        with pytest.raises(kind, match=text):
            client.set_hello(hello)
        assert client.call("echo", [1]) is not None


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"hello_errors": "maybe"}, ValueError, "hello_errors must be"),
        ({"hello_errors": 1}, ValueError, "hello_errors must be"),
        ({"ping_interval": 5}, ValueError, "ping_interval needs a hello"),
        ({"ping_interval": 0.5, "hello": LOGIN}, ValueError, "1 or more, not 0.5"),
        ({"ping_interval": 0, "hello": LOGIN}, ValueError, "ping_interval"),
        ({"ping_interval": "5", "hello": LOGIN}, TypeError, "ping_interval"),
    ],
)
def test_wrong_options(options, kind, text):
    with pytest.raises(kind, match=text):
        Client("127.0.0.1:1", **options)


def test_the_hello_cannot_be_removed_while_there_are_pings(server):
    with (
        Client(server.address, hello=[("rpc.ping", None)], ping_interval=1) as client,
        pytest.raises(ValueError, match="ping_interval"),
    ):
        client.set_hello([])
