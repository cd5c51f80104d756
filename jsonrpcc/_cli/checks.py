"""
What ``jsonrpcc doctor`` looks at, one thing after the other.

Each check returns findings.  What is wrong with a server comes with what to do.
"""

from __future__ import annotations

import collections
import os
import resource
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jsonrpcc
from jsonrpcc._cli.probe import PING, Probe, milliseconds, percentile

PINGS = 20
SLEEP, SLEEPS = 0.002, 50
LATE = 0.01  # seconds by which threads may run late at p90
STEP = 0.05  # seconds that two clocks may differ by
DAYS = 14.0  # that a certificate should have left
FEW = 1024  # descriptors

NO_ROUTE = "This machine has no route to it: check its network, VPN and routes."
UNTRUSTED = "The authority is unknown here: --ca names its certificate."

# By words of the error, in lower case; the first that is found says what to do.
ADVICE = {
    "hello was answered with": "It refuses the hello: are its params right?",
    "hello was not answered": "It accepts connections and leaves the hello without an "
    "answer: is it overloaded, or does it speak something else?",
    "response to the hello": "What it answers is not JSON-RPC 2.0.",
    "refused": "Nothing listens there. Is the server running, and at this port?",
    "timed out": "Nothing answers: a firewall drops packets, or the address is wrong.",
    "unreachable": NO_ROUTE,
    "no route": NO_ROUTE,
    "not known": "No such name: check its spelling and /etc/resolv.conf.",
    "no address": "The name has no address of this kind: `dig` shows what DNS says.",
    "name resolution": "The DNS server does not answer: check /etc/resolv.conf.",
    "no such file": "There is no such socket. Is the server running, at this path?",
    "permission": "The socket belongs to someone else: check its owner and mode.",
    "mismatch": "It is for another name: --server-name says which one to expect.",
    "expired": "Renew the server's certificate.",
    "not yet valid": "A clock is wrong: compare `date -u` here and at the server.",
    "issuer": UNTRUSTED,
    "self-signed": UNTRUSTED,
    "self signed": UNTRUSTED,
    "certificate": "It wants a certificate, or refuses ours: see --cert and --ca.",
    "version": "There is no TLS at this port: leave out --tls, or use another one.",
}

PING_ADVICE = {
    "RequestTimeout": "It accepts connections and does not answer: is it overloaded, "
    "or does it speak something else than JSON-RPC 2.0 in netstrings?",
    "ConnectionLost": "It ends the connection: does it speak something else than "
    "JSON-RPC 2.0 in netstrings, or TLS (--tls)?",
    "ServerFailure": "It ends connections as soon as they are made: does it want TLS "
    "(--tls)?",
    "InvalidResponse": "What it answers is not JSON-RPC 2.0.",
}


@dataclass(frozen=True)
class Finding:
    """
    One line of the page.

    Attributes:
        topic: What it is about, such as ``names``.
        level: ``ok``, ``warn`` (calls work) or ``fail``.
        advice: What to do next; empty if there is nothing.
    """

    topic: str
    level: Literal["ok", "warn", "fail"]
    text: str
    advice: str = ""


def advice_for(error: str) -> str:
    """Return what to do about an error."""
    error = error.lower()
    return next((what for word, what in ADVICE.items() if word in error), "")


def names(client: jsonrpcc.Client) -> Iterator[Finding]:
    """Check the names that stand for servers."""
    for entry in client.entries():
        if entry.servers:
            yield Finding("names", "ok", f"{entry.text}: {entry.servers} servers")
        else:
            why = entry.last_error or "no answer yet"
            advice = advice_for(why) or "Ask DNS yourself: `dig` shows its answer."
            yield Finding("names", "fail", f"{entry.text}: {why}", advice)


def _sockets(server: jsonrpcc.ServerInfo) -> list[tuple[int, object, str]]:
    """Return family, address and its text of all that a server may be at."""
    if server.port == 0:
        path = server.host.removeprefix("unix:")
        if server.host.startswith("unix-abstract:"):
            path = "\0" + server.host.removeprefix("unix-abstract:")
        return [(socket.AF_UNIX, path, server.host)]
    host = server.host.rpartition("/")[2]
    found = socket.getaddrinfo(host, server.port, type=socket.SOCK_STREAM)
    return [(family, address, str(address[0])) for family, *_, address in found]


def addresses(server: jsonrpcc.ServerInfo, timeout: float) -> Iterator[Finding]:
    """Look a server's name up, and connect to each address."""
    begin = time.monotonic()
    try:
        found = _sockets(server)
    except OSError as error:
        why = f"{server.address}: {error.strerror or error}"
        yield Finding("names", "fail", why, advice_for(why))
        return
    took = milliseconds(time.monotonic() - begin)
    if found[0][2] not in server.host:
        listed = ", ".join(text for *_, text in found)
        yield Finding("names", "ok", f"{server.address}: {listed}, in {took}")
    working = 0
    failures = []
    for family, address, text in found:
        begin = time.monotonic()
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.settimeout(timeout)
            try:
                sock.connect(address)  # type: ignore[arg-type]
            except OSError as error:
                why = error.strerror or str(error)
                failures.append((f"{server.address} at {text}: {why}", why))
                continue
        working += 1
        took = milliseconds(time.monotonic() - begin)
        yield Finding("connections", "ok", f"{server.address} at {text}, in {took}")
    for what, why in failures:
        yield Finding(
            "connections", "warn" if working else "fail", what, advice_for(why)
        )


def tls(server: jsonrpcc.ServerInfo) -> Iterator[Finding]:
    """Look at what a handshake has shown."""
    why = server.last_error or server.state
    if server.state != "up" and "hello" not in why:  # which comes after it
        advice = advice_for(why) or "The connection works, the handshake does not."
        yield Finding("TLS", "fail", f"{server.address}: {why}", advice)
        return
    if server.tls is None:
        yield Finding("TLS", "warn", f"{server.address}: not used at Unix sockets")
        return
    text = f"{server.address}: {server.tls.version} {server.tls.cipher}"
    days = server.tls.days_left
    if days is None:
        yield Finding("TLS", "ok", text)
        return
    text += f", certificate valid for {days:.0f} days"
    if days < DAYS:
        yield Finding("TLS", "warn", text, "Renew the server's certificate soon.")
    else:
        yield Finding("TLS", "ok", text)


def answers(
    server: jsonrpcc.ServerInfo, timeout: float, options: Mapping[str, Any]
) -> Iterator[Finding]:
    """Say a server its hello, if there is one, and call it a few times."""
    probe = Probe(server, timeout=timeout, options=options)
    begin = time.monotonic()
    try:
        ready = probe.client.wait_ready(timeout)
        if options.get("hello"):
            took = milliseconds(time.monotonic() - begin)
            finding = _hello(probe.client, options["hello"], took, ready=ready)
            yield finding
            if finding.level == "fail":
                return
        yield _pings(probe, timeout)
    finally:
        probe.close()


def _hello(client: jsonrpcc.Client, hello: Any, took: str, *, ready: bool) -> Finding:
    """Return how the hello went, without what is in it."""
    (server,) = client.servers()
    if ready:
        said = ", ".join(str(pair[0]) for pair in hello)
        text = f"{server.address}: {said} answered, {took} after the connection began"
        return Finding("hello", "ok", text)
    why = server.last_error or "the hello was not answered in time"
    return Finding("hello", "fail", f"{server.address}: {why}", advice_for(why))


def _pings(probe: Probe, timeout: float) -> Finding:
    """Call a server a few times; any answer is one."""
    answers: list[float] = []
    errors: collections.Counter[str] = collections.Counter()
    for _ in range(PINGS):
        probe.ask()
        probe.client.drain(timeout + 1.0)
        sample = probe.sample()
        answers += sample.latencies
        errors.update(sample.errors)
        if not sample.latencies:
            break  # each might take as long
    answers.sort()
    text = f"{probe.name}: {len(answers)} calls of {PING} answered"
    if answers:
        times = (answers[0], percentile(answers, 50), answers[-1])
        text += ", in {} at least, p50 {}, {} at most".format(*map(milliseconds, times))
    if errors:
        (error, _), *_ = errors.most_common(1)
        return Finding(
            "ping", "fail", f"{text}, then {error}", PING_ADVICE.get(error, "")
        )
    return Finding("ping", "ok", text)


def lateness() -> Finding:
    """Measure how late threads of this machine run when they should."""
    late = []
    wall, monotonic = time.time(), time.monotonic()
    for _ in range(SLEEPS):
        begin = time.monotonic()
        time.sleep(SLEEP)
        late.append(time.monotonic() - begin - SLEEP)
    drift = abs((time.time() - wall) - (time.monotonic() - monotonic))
    if drift > STEP:
        text = f"the clock was set, by {drift:.2f} s, while this ran"
        return Finding("machine", "warn", text, "Is NTP just correcting it?")
    late.sort()
    text = f"threads run {milliseconds(percentile(late, 90))} late at p90, "
    text += f"{milliseconds(late[-1])} at most"
    if percentile(late, 90) > LATE:
        advice = "This machine is too busy for its CPUs: timeouts may be its own."
        return Finding("machine", "warn", text, advice)
    return Finding("machine", "ok", text)


def descriptors() -> Finding:
    """Look how many file descriptors there are."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0  # noqa: PTH208
    text = f"{used} of {most} file descriptors in use by this program"
    if most < FEW:
        return Finding("machine", "warn", text, "`ulimit -n` raises the limit.")
    return Finding("machine", "ok", text)
