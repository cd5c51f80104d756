"""
Whatever text is passed as method or params, the server gets one message: ours.

The server is a witness with its own netstring and JSON readers.  A call is
either refused at once, with ValueError, TypeError or the like, and nothing is sent,
or the witness sees exactly one more frame: with our method, our params, and an
id of ours that it has not seen before.
"""

import contextlib
import json
import os

import pytest
from history import until
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from witness import Witness, loads

from jsonrpcc import Client

# "make soak" asks for more.
EXAMPLES = int(os.environ.get("JSONRPCC_EXAMPLES", "300"))

many = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

NOTHING = object()


@pytest.fixture(scope="module")
def witness():
    with Witness() as witness:
        yield witness


@pytest.fixture(scope="module")
def client(witness):
    with Client(witness.address, timeout=20) as client:
        until(lambda: client.servers()[0].state == "up")
        yield client
    # Nothing arrived later, and no frame was cut short.
    assert not witness.garbage
    assert not witness.partial


@pytest.fixture(scope="module")
def ids():
    return set()


def sends(client, witness, ids, method, params, arrives=NOTHING):
    """Return whether it was sent; if so, check that it was one message and ours."""
    before = len(witness.frames)
    assert before == client.servers()[0].sent
    try:
        result = client.call(method, params)
    except (ValueError, TypeError):
        assert client.servers()[0].sent == before
        assert len(witness.frames) == before
        return False
    (frame,) = witness.frames[before:]
    message = frame.message()
    assert message["method"] == method
    assert message["id"] not in ids
    ids.add(message["id"])
    if arrives is not NOTHING:
        assert message.get("params") == arrives
        assert result == arrives
    assert client.servers()[0].losses == 0
    return True


# ---- what is tried ----------------------------------------------------------------

# All of Unicode, surrogates and controls included, and what means something here.
texts = st.text() | st.lists(
    st.sampled_from(
        ['"', "'", "\\", ",", ":", "[", "]", "{", "}", "\0", "\n", "\\u0022", "é",
         '"method":"admin.delete"', '"id":1', '"jsonrpc":"2.0"', "1", "null", " ",
         "0:,", "5:{},", "\ud800", "\u2028", "/*", "*/", "//", "#", "NaN", "0x1"]
    ), max_size=12,
).map("".join)  # fmt: skip

numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
good_text = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.none() | st.booleans() | numbers | good_text,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(good_text, inner, max_size=4)
    ),
    max_leaves=12,
)
containers = st.lists(values, max_size=4) | st.dictionaries(
    good_text, values, max_size=4
)

BREAK_OUTS = [
    '[1],"method":"admin.delete"',
    '[1],"method":"admin.delete","x":[1]',
    '[1]},{"jsonrpc":"2.0","method":"admin.delete","id":1',
    "[1]},5:{},",
    "[1]}\0,",
    "[1]'",
    "{'a':1},'method':'x'",
    "{'a':'b\",\"method\":\"x'}",
    '["\\"],"method":"x"]',
    "['\\u0022],\\u0022method\\u0022:\\u0022x']",
    "[1]/**/",
    "[1]//\n",
    "[/*]*/1]",
    "[1]\n[2]",
    "[1] x",
    "[1",
    "1",
    '"a"',
    "null",
    "",
    " ",
    "\ufeff[1]",
    "[NaN]",
    "[Infinity,-Infinity]",
    "{a:1}",
    "[01]",
    "[.5]",
    "[1.]",
    "[+1]",
    "[0x10]",
    "[True]",
    "[nul]",
    "['\n']",
    "['\\x']",
    "[,]",
    "[1,]",
    "{'a':1,}",
    "{'a' 1}",
    "{'a\0':1}",
    "{'a\\u0000b':1,'a':2}",
]


@many
@given(texts)
@example("rpc.discover")
@example('a","params":[1],"x":"')
@example("a\0b")
@example("\x7f\x1b[31m")
@example("")
@example("x" * 70000)
def test_any_text_as_method(client, witness, ids, method):
    sends(client, witness, ids, method, [1], [1])


@many
@given(containers)
@example({"method": "x", "id": 1, "jsonrpc": "1.0"})
@example(['"],"method":"x"'])
@example({'"': '"', "\0": "\0"})
@example([2**64, -(2**63) - 1, 10**400])
def test_any_params(client, witness, ids, params):
    assert sends(client, witness, ids, "echo", params, params)


@many
@given(texts.flatmap(lambda t: st.sampled_from([t, f"[{t}]", f"['{t}']", f'["{t}"]'])))
def test_any_text_as_params(client, witness, ids, text):
    """Strict JSON has the same meaning there; anything else is one message or none."""
    arrives = NOTHING
    with contextlib.suppress(ValueError):
        strict = loads(text.encode())
        arrives = strict if isinstance(strict, list | dict) else NOTHING
    sent = sends(client, witness, ids, "echo", text, arrives)
    assert sent or arrives is NOTHING


@pytest.mark.parametrize("text", BREAK_OUTS)
def test_break_outs(client, witness, ids, text):
    for params in (text, text.encode()):
        sends(client, witness, ids, "echo", params)


@many
@given(st.binary(max_size=40) | texts.map(lambda t: t.encode(errors="surrogatepass")))
@example(b"[\xff]")
@example(b'["\xed\xa0\x80"]')
@example(b"['\xc0\x80']")
def test_any_bytes_as_params(client, witness, ids, text):
    sends(client, witness, ids, "echo", text)
    sends(client, witness, ids, "echo", b"[" + text + b"]")
    sends(client, witness, ids, "echo", b"['" + text + b"']")


def lenient(value):
    """Write it with single quotes."""
    if isinstance(value, str):
        # The inside of a JSON string, where ' needs a backslash and " does not.
        inside = json.dumps(value, ensure_ascii=False)[1:-1]
        return "'" + inside.replace('\\"', '"').replace("'", "\\'") + "'"
    if isinstance(value, list):
        return "[" + ", ".join(map(lenient, value)) + "]"
    if isinstance(value, dict):
        members = (f"{lenient(k)} : {lenient(v)}" for k, v in value.items())
        return "{" + ",".join(members) + "}"
    return json.dumps(value)


@many
@given(containers)
@example(["'"])
@example(['"'])
@example(["\\'\"\\"])
@example({"it's": 'a "b"'})
@example([1.7976931348623157e308, 5e-324, 2**53 + 1])
def test_params_in_single_quotes_mean_the_same(client, witness, ids, params):
    text = lenient(params)
    sent = sends(client, witness, ids, "echo", text, params)
    assert sent or "\\u0000" in text  # json-c cuts names there


@many
@given(st.lists(st.tuples(texts, containers), min_size=1, max_size=20))
def test_many_at_once(client, witness, ids, calls):
    """Notifications and calls, packed into one write."""
    before = len(witness.frames)
    accepted = []
    for method, params in calls:
        try:
            client.notification(method, params)
        except ValueError:
            continue
        accepted.append((method, params))
    client.call("last", [])
    seen = [frame.message() for frame in witness.frames[before:]]
    assert [(m["method"], m["params"]) for m in seen[:-1]] == accepted
    assert all("id" not in message for message in seen[:-1])
    assert seen[-1]["method"] == "last"
