"""
A program that ends in one of twelve ways, under load.

    ending.py ENDING ADDRESS

The last statement prints time.monotonic(); the test measures from there.
"""

import contextlib
import os
import signal
import sys
import threading
import time

from firing import LIMIT, until

from jsonrpcc import Client, JsonRpcError

ending, address = sys.argv[1:]
client = Client(address, timeout=20, max_in_flight=2048)
forever = threading.Event()
blocked = threading.Event()


def ignore(_):
    pass


def block(_):
    blocked.set()
    forever.wait()


def submit():
    with contextlib.suppress(JsonRpcError):
        while True:
            client.request("echo", [1], ignore, ignore)


def call():
    with contextlib.suppress(JsonRpcError):
        while True:
            with contextlib.suppress(ConnectionError):
                client.call("echo", [1])


def bulk():
    with contextlib.suppress(JsonRpcError):
        while True:
            list(client.map("echo", [[1]] * 500, return_exceptions=True))


def load(*works):
    for work in works:
        threading.Thread(target=work, daemon=True).start()
    until(lambda: client.stats().requests > 300)


def last_statement():
    print(time.monotonic(), flush=True)


def exception():
    last_statement()
    raise LookupError("the end")


def exit_code():
    last_statement()
    sys.exit(3)


def os_exit():
    last_statement()
    os._exit(4)


def send(number):
    last_statement()
    os.kill(os.getpid(), number)
    forever.wait(LIMIT)


def dropped():
    global client
    mine, client = client, None
    for _ in range(500):
        mine.request("echo", [1], ignore, ignore)
    last_statement()
    del mine


def close_races():
    threading.Thread(target=client.close).start()
    last_statement()


def callback_runs():
    running = threading.Event()

    def spin(_):
        running.set()
        end = time.monotonic() + 0.2
        while time.monotonic() < end:
            pass

    client.request("echo", [1], spin, spin)
    assert running.wait(LIMIT)
    last_statement()


def callback_blocks():
    client.request("echo", [1], block, block)
    assert blocked.wait(LIMIT)
    last_statement()


ENDINGS = {
    "normal": ((submit,), last_statement),
    "exception": ((submit,), exception),
    "sys.exit": ((submit,), exit_code),
    "os._exit": ((submit, call), os_exit),
    "SIGTERM": ((submit, call), lambda: send(signal.SIGTERM)),
    "SIGINT": ((submit, call), lambda: send(signal.SIGINT)),
    "del": ((), dropped),
    "never closed": ((), last_statement),
    "close races": ((submit,), close_races),
    "daemons": ((submit, submit, call, call, bulk), last_statement),
    "callback runs": ((submit,), callback_runs),
    "callback blocks": ((submit,), callback_blocks),
}

works, end = ENDINGS[ending]
if works:
    load(*works)
end()
