"""
Names of servers, with the resolver of names.c; reports as JSON.

    names.py hang PORT   a name that the resolver never answers
    names.py change PORT OTHER_HOST   a name whose address changes
    names.py fail PORT   a name that does not exist
    names.py several PORT   a name with addresses of which only one listens
    names.py hello PORT FAULT   the first address does not answer hellos
"""

import json
import os
import sys
import time
from pathlib import Path

from history import History, until, wait_for_state

from jsonrpcc import Client, JsonRpcError
from jsonrpcc.testing import Drop, Raw, Reset, Server, WrongId

how, port, *rest = sys.argv[1:]
names = Path(os.environ["NAMES_FILE"])


def hang():
    names.write_text("".join(f"hang{i}.test hang\n" for i in range(20)))
    slow = " ".join(f"hang{i}.test:1,2" for i in range(20))
    history = History()
    began = time.monotonic()
    client = Client(f"{slow} 127.0.0.1:{port},1", connect_timeout=0.3)
    for _ in range(100):
        history.call(client)
    took = [entry.outcomes[0].time - entry.submitted for entry in history.entries]
    until(lambda: all(s.attempts_failed for s in client.servers()[:20]))
    threads = len(os.listdir("/proc/self/task"))
    closing = time.monotonic()
    client.close()
    history.check_outcomes()
    return {
        "errors": [repr(error) for error in history.errors()],
        "first": took[0],
        "longest of the rest": max(took[1:]),
        "threads": threads,
        "close": time.monotonic() - closing,
        "began": began,
    }


def change():
    (other,) = rest
    names.write_text("moving.test 127.0.0.1\n")
    history = History()
    with Client(f"moving.test:{port}", reconnect_delay=0.01) as client:
        assert not history.call(client).error
        names.write_text(f"moving.test {other}\n")
        print("moved", flush=True)  # the test stops the server at the old address
        until(lambda: client.servers()[0].losses)
        assert not history.call(client, wait_for_ready=True).error
    history.check_outcomes()
    return {}


def fail():
    names.write_text("nowhere.test fail\n")
    with Client(f"nowhere.test:{port}", reconnect_delay=0.01) as client:
        began = time.monotonic()
        try:
            client.call("echo", [1])
        except JsonRpcError as error:
            text = repr(error)
        took = time.monotonic() - began
        # It is looked up again at each attempt.
        names.write_text("nowhere.test 127.0.0.1\n")
        wait_for_state(client, "up")
        assert client.call("echo", [1]) == [1]
    return {"error": text, "took": took}


def several():
    names.write_text("several.test 127.0.0.9 ::1 127.0.0.8 127.0.0.1\n")
    history = History()
    with Client(f"several.test:{port}") as client:
        for _ in range(10):
            assert not history.call(client).error
        return {"attempts_failed": client.servers()[0].attempts_failed}


def hello():
    names.write_text("two.test 127.0.0.1 127.0.0.2\n")
    faults = {"drop": Drop(), "raw": Raw(b"?"), "reset": Reset(), "id": WrongId(7)}
    history = History()
    with (
        Server(port=int(port), faults={"login": faults[rest[0]]}) as first,
        Client(
            f"two.test:{port}", hello=[("login", None)], hello_errors="accept",
            connect_timeout=0.3,
        ) as client,
    ):  # fmt: skip
        for _ in range(10):
            assert not history.call(client).error
        info = client.servers()[0]
        return {
            "connects": info.connects,
            "attempts_failed": info.attempts_failed,
            "asked": len(first.requests),
        }


functions = {
    "hang": hang,
    "change": change,
    "fail": fail,
    "several": several,
    "hello": hello,
}
print(json.dumps(functions[how]()))
