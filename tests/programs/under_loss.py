"""
A client and its servers in a network namespace of their own, and what nft does.

    under_loss.py HOW

The namespace is this process's alone, made by the test; reports as JSON.
"""

import contextlib
import json
import sys
import threading
import time
from pathlib import Path

import kernel
from history import METHODS, History, servers_string, state_of, until, wait_for_state

from jsonrpcc import Client, RequestTimeout, ServerFailure
from jsonrpcc.testing import Server

QUICK = {"reconnect_delay": 0.02, "reconnect_delay_max": 0.1}


def must(*command):
    code, text = kernel.run(*command)
    assert code == 0, f"{command}: {text}"


def sysctl(name, value):
    Path("/proc/sys/net/ipv4", name).write_text(str(value))


def rule(*words):
    """Add a rule for what goes over the loopback device."""
    must("nft", "add", "rule", "inet", "fire", "lo", *words)


def no_rules():
    must("nft", "flush", "chain", "inet", "fire", "lo")


def set_up():
    must("ip", "link", "set", "lo", "up")
    must("nft", "add", "table", "inet", "fire")
    must("nft", "add", "chain", "inet", "fire", "lo",
         "{ type filter hook input priority 0; }")  # fmt: skip


def load(client, count, **options):
    """Calls from four threads; all have ended when it returns."""

    def work():
        for i in range(count):
            history.request(client, idempotent=i % 3 == 0, **options)
            history.call(client, idempotent=i % 3 == 0, **options)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    history.wait()


def loss():
    """A fifth of all packets is lost, both ways: slower, and nothing else."""
    with servers(1) as [server], Client(server.address) as client:
        wait_for_state(client, "up")
        rule(
            "tcp",
            "dport",
            str(server.port),
            "numgen",
            "random",
            "mod",
            "5",
            "0",
            "drop",
        )
        rule(
            "tcp",
            "sport",
            str(server.port),
            "numgen",
            "random",
            "mod",
            "5",
            "0",
            "drop",
        )
        load(client, 60, timeout=10)
        lost = client.servers()[0].losses
        no_rules()
        history.check(server)
    return {"lost": lost, "errors": len(history.errors())}


def blackhole():
    """The best server's packets vanish: calls end in time, and go to the other."""
    with servers(2) as (best, other):
        text = servers_string(best, other, priorities=(2, 1))
        with Client(text, **QUICK) as client:
            wait_for_state(client, "up", 0, 1)
            rule("tcp", "dport", str(best.port), "drop")
            began = time.monotonic()
            until(lambda: not history.call(client, timeout=0.2).error)
            took = time.monotonic() - began
            load(client, 50, timeout=0.2)
            went_over = sum(r.params[0] >= 0 for r in other.requests)
            no_rules()
            # It answers again, and the calls go back.  Not without calls: on a new
            # connection it is a suspect still, until one of them has an answer.
            until(lambda: history.call(client) and state_of(client) == "up")
            before = len(best.requests)
            until(lambda: history.call(client) and len(best.requests) > before + 5)
            timeouts = [e for e in history.errors() if isinstance(e, RequestTimeout)]
            history.check(best, other)
    return {"took": took, "timeouts": len(timeouts), "went_over": went_over}


def silent_death():
    """The peer vanishes without a word: keepalive and TCP_USER_TIMEOUT find out."""
    with servers(1) as [server], Client(server.address, **QUICK) as client:
        wait_for_state(client, "up")
        history.call(client)
        rule("tcp", "dport", str(server.port), "drop")
        began = time.monotonic()
        entry = history.call(client, timeout=40)
        took = time.monotonic() - began
        no_rules()
        assert isinstance(entry.error, ServerFailure), entry
        history.check(server)
    return {"took": took, "error": type(entry.error).__name__}


def no_answer_to_syn():
    """Connecting gets no answer at all: the next server is asked in time."""
    with servers(2) as (best, other):
        rule("tcp", "dport", str(best.port), "drop")
        text = servers_string(best, other, priorities=(2, 1))
        with Client(text, connect_timeout=0.3, **QUICK) as client:
            entry = history.call(client, timeout=5)
            took = entry.outcomes[0].time - entry.submitted
            assert not entry.error
            assert client.servers()[0].connects == 0
            no_rules()
            wait_for_state(client, "up", 0)
            history.check(best, other)
    return {"took": took}


def reset_by_a_firewall():
    """Every tenth packet to the server is answered with a reset."""
    with servers(1) as [server], Client(server.address, **QUICK) as client:
        wait_for_state(client, "up")
        rule("tcp", "dport", str(server.port), "numgen", "random", "mod", "10", "0",
             "reject", "with", "tcp", "reset")  # fmt: skip
        load(client, 200, timeout=2, wait_for_ready=True)
        no_rules()
        lost = client.servers()[0].losses
        until(lambda: not history.call(client, wait_for_ready=True).error)
        history.check(server)
    return {"lost": lost, "errors": len(history.errors())}


def quota():
    """A connection falls silent after so many bytes, in the middle of a frame."""
    with servers(1) as [server], Client(server.address, **QUICK) as client:
        wait_for_state(client, "up")
        rule(
            "tcp", "dport", str(server.port), "quota", "over", "20000", "bytes", "drop"
        )
        load(client, 60, timeout=0.3)
        no_rules()
        until(lambda: not history.call(client).error)
        history.check(server)
    return {"errors": len(history.errors())}


def killed():
    """The kernel ends live connections (ss --kill): both ends see it."""
    with servers(1) as [server], Client(server.address, **QUICK) as client:
        wait_for_state(client, "up")
        done = threading.Event()
        kills = 0

        def kill():
            nonlocal kills
            while not done.wait(0.05):
                kernel.kill_connections(server.port)
                kills += 1

        thread = threading.Thread(target=kill)
        thread.start()
        load(client, 2000, timeout=2, wait_for_ready=True)
        done.set()
        thread.join()
        until(lambda: not history.call(client, wait_for_ready=True).error)
        lost = client.servers()[0].losses
        history.check(server)
    return {"kills": kills, "lost": lost, "errors": len(history.errors())}


@contextlib.contextmanager
def servers(count):
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Server(METHODS)) for _ in range(count)]


history = History()
set_up()
ways = (
    loss, blackhole, silent_death, no_answer_to_syn, reset_by_a_firewall, quota, killed,
)  # fmt: skip
report = {way.__name__: way for way in ways}[sys.argv[1]]()
print(json.dumps({**report, "calls": len(history.entries)}))
