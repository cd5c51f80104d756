"""
Failover, live: real servers, real connections, a real kill -9.

Two primaries and a backup run as separate processes while requests and
notifications are sent without a pause.  One primary is killed, then the other, and
both come back.  The promises are checked at each step; the exit code is 1 if one of
them is broken.
"""

from __future__ import annotations

import collections
import contextlib
import itertools
import logging
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import jsonrpcc

PACE = 0.002  # seconds between two requests
WORK = 0.02  # seconds that a server needs for each, so that some are in flight
PHASE = 600  # outcomes to wait for before the next step
LIMIT = 10.0  # seconds to wait for something that is expected

STARTED = time.monotonic()


class Surprise(Exception):  # noqa: N818
    """Something did not happen as expected."""


def say(text: str) -> None:
    """Print a line with the seconds since the start."""
    print(f"{time.monotonic() - STARTED:7.3f} s  {text}", flush=True)


def expect(what: str, fine: bool) -> None:
    """Check a promise."""
    if not fine:
        raise Surprise(what)
    say(f"  ok: {what}")


class Server:
    """A `jsonrpcc serve` process that can be killed and started again."""

    def __init__(self, name: str, priority: int) -> None:
        self.name = name
        self.priority = priority
        # Bound but not listening: nobody else gets the port while we are down.
        self._port = socket.socket()
        self._port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._port.bind(("127.0.0.1", 0))
        self.port = self._port.getsockname()[1]
        self.process: subprocess.Popen[str] | None = None

    @property
    def address(self) -> str:
        """The address as in the client's servers string."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the process and wait until it listens."""
        self.process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "jsonrpcc", "serve", "--port", str(self.port)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        if (
            not select.select([self.process.stdout], [], [], LIMIT)[0]
            or self.process.stdout.readline().strip() != self.address
        ):
            raise Surprise(f"the {self.name} did not start")
        say(f"started the {self.name} at {self.address}, pid {self.process.pid}")

    def kill(self) -> None:
        """Kill the process, as an operator or the kernel might."""
        if self.process is None:
            return
        say(f"kill -9 {self.process.pid}, the {self.name}")
        self.process.kill()
        self.process.communicate()
        self.process = None

    def close(self) -> None:
        """End the process and free the port."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
        self._port.close()


class Watch:
    """What has happened so far; waits for more."""

    def __init__(self, servers: list[Server]) -> None:
        self._names = {server.address: server.name for server in servers}
        self._changed = threading.Condition()
        self.events: list[tuple[str, str]] = []
        self.outcomes: collections.Counter[int] = collections.Counter()
        self.errors: list[tuple[bool, jsonrpcc.JsonRpcError]] = []

    def on_event(self, event: jsonrpcc.Event) -> None:
        """Print and record an event of the client."""
        name = self._names[event.server]
        what = {
            "connected": f"connected to the {name}",
            "lost": f"lost the {name}: {event.reason}",
            "unreachable": f"the {name} is unreachable: {event.reason}",
            "suspect": f"the {name} is suspect: {event.reason}",
            "trusted": f"the {name} is trusted again",
            "failed_over": f"failed over to the {name}",
            "back": f"back to the {name}",
            "rejected": f"the {name} could not read a request",
        }[event.kind]
        say(f"    {what}")
        with self._changed:
            self.events.append((event.kind, name))
            self._changed.notify_all()

    def on_outcome(
        self,
        number: int,
        *,
        idempotent: bool = False,
        error: jsonrpcc.JsonRpcError | None = None,
    ) -> None:
        """Record that request *number* has ended."""
        with self._changed:
            self.outcomes[number] += 1
            if error is not None:
                self.errors.append((idempotent, error))
            self._changed.notify_all()

    def wait(self, what: str, condition: Callable[[], bool]) -> None:
        """Wait until *condition* is true."""
        with self._changed:
            if not self._changed.wait_for(condition, LIMIT):
                raise Surprise(f"not within {LIMIT:.0f} s: {what}")

    def wait_for_event(self, kind: str, *names: str) -> None:
        """Wait for an event of one of these servers; drop all events up to it."""
        wanted = {(kind, name) for name in names}
        self.wait(
            f"{kind} {' or '.join(names)}", lambda: bool(wanted & set(self.events))
        )
        with self._changed:
            first = min(
                self.events.index(each) for each in wanted if each in self.events
            )
            del self.events[: first + 1]

    def wait_for_outcomes(self, count: int) -> None:
        """Wait for *count* more outcomes."""
        wanted = len(self.outcomes) + count
        self.wait(f"{count} outcomes", lambda: len(self.outcomes) >= wanted)


class Traffic(threading.Thread):
    """Requests and notifications without a pause, until stopped."""

    def __init__(self, client: jsonrpcc.Client, watch: Watch) -> None:
        super().__init__(name="traffic")
        self._client = client
        self._watch = watch
        self._stopping = threading.Event()
        self.requests = 0
        self.notifications = 0

    def run(self) -> None:
        """Submit; every second one is idempotent, every fifth is followed by more."""
        for number in itertools.count():
            idempotent = number % 2 == 0
            self._client.request(
                "sleep",
                [WORK],
                lambda _, n=number: self._watch.on_outcome(n),
                lambda error, n=number, i=idempotent: self._watch.on_outcome(
                    n, idempotent=i, error=error
                ),
                idempotent=idempotent,
            )
            self.requests += 1
            if number % 5 == 0:
                self._client.notification("echo", [number])
                self.notifications += 1
            if self._stopping.wait(PACE):
                return

    def stop(self) -> None:
        """Stop submitting."""
        self._stopping.set()
        self.join()


def sent(client: jsonrpcc.Client) -> list[int]:
    """Return how many calls each server got so far."""
    return [server.sent for server in client.servers()]


def growth(client: jsonrpcc.Client, watch: Watch) -> list[int]:
    """Return how many calls each server gets until the next outcomes have come."""
    before = sent(client)
    watch.wait_for_outcomes(PHASE)
    after = sent(client)
    more = [b - a for a, b in zip(before, after, strict=True)]
    say(f"  sent: primary 1 {more[0]}, primary 2 {more[1]}, backup {more[2]}")
    return more


def show_failover(servers: list[Server], client: jsonrpcc.Client, watch: Watch) -> None:
    """Kill and restart servers; check where the traffic goes."""
    one, two, backup = servers
    for server in servers:
        watch.wait("connected", lambda s=server: ("connected", s.name) in watch.events)
    watch.events.clear()
    more = growth(client, watch)
    expect("both primaries share the traffic", min(more[:2]) > sum(more) / 4)
    expect("nothing goes to the backup", more[2] == 0)

    one.kill()
    watch.wait_for_event("lost", one.name)
    more = growth(client, watch)
    expect("all traffic goes to the other primary", more[1] >= PHASE / 2)
    expect("still nothing goes to the backup", sent(client)[2] == 0)

    two.kill()
    watch.wait_for_event("lost", two.name)
    watch.wait_for_event("failed_over", backup.name)
    more = growth(client, watch)
    expect("all traffic goes to the backup", more[2] >= PHASE / 2)

    one.start()
    watch.wait_for_event("back", one.name)
    two.start()
    watch.wait_for_event("connected", two.name)
    watch.wait_for_outcomes(50)  # those that the backup still had to answer
    more = growth(client, watch)
    expect("both primaries share the traffic again", min(more[:2]) > sum(more) / 4)
    expect("nothing goes to the backup any more", more[2] == 0)


def check_totals(client: jsonrpcc.Client, watch: Watch, traffic: Traffic) -> None:
    """Check that each request had exactly one outcome, and which ones failed."""
    expect(
        f"each of {traffic.requests} requests had exactly one outcome",
        len(watch.outcomes) == traffic.requests and set(watch.outcomes.values()) == {1},
    )
    others = [e for _, e in watch.errors if not isinstance(e, jsonrpcc.ConnectionLost)]
    expect(
        f"no error except ConnectionLost{f', but {others[0]!r}' if others else ''}",
        not others,
    )
    expect("some requests were in flight at a kill", bool(watch.errors))
    expect(
        "their fate is reported as unknown",
        all(error.fate == "unknown" for _, error in watch.errors),
    )
    expect(
        "no idempotent request was lost",
        not any(idempotent for idempotent, _ in watch.errors),
    )
    stats = client.stats()
    expect(
        "the client's own counters agree",
        stats.requests == traffic.requests
        and stats.notifications == traffic.notifications
        and stats.connections_lost == len(watch.errors)
        and stats.ok
        == traffic.requests + traffic.notifications - stats.connections_lost,
    )


def print_table(servers: list[Server], client: jsonrpcc.Client, watch: Watch) -> None:
    """Print the outcomes per server."""
    lost = collections.Counter(error.server for _, error in watch.errors)
    print(f"\n{'server':12}{'priority':>9}{'sent':>7}{'answered':>10}{'lost':>6}"
          f"{'connects':>10}")  # fmt: skip
    for server, info in zip(servers, client.servers(), strict=True):
        print(
            f"{server.name:12}{info.priority:9}{info.sent:7}{info.responses:10}"
            f"{lost[info.address]:6}{info.connects:10}"
        )
    stats = client.stats()
    print(
        f"\n{stats.requests} requests: {stats.requests - len(watch.errors)} results, "
        f"{len(watch.errors)} lost with a server (fate unknown), "
        f"{stats.resent} sent again (idempotent), "
        f"{stats.moved} moved before they were sent\n"
        f"{stats.notifications} notifications sent (counted above, never answered), "
        f"latency p50 {stats.latency.percentile(50) * 1000:.0f} ms, "
        f"p99 {stats.latency.percentile(99) * 1000:.0f} ms "
        f"(each request takes {WORK * 1000:.0f} ms on the server)"
    )


def main() -> int:
    """Run the demo; return the exit code."""
    servers = [Server("primary 1", 2), Server("primary 2", 2), Server("backup", 1)]
    watch = Watch(servers)
    logging.getLogger("jsonrpcc").addHandler(logging.NullHandler())  # we print events
    with contextlib.ExitStack() as stack:
        for server in servers:
            stack.callback(server.close)
        try:
            for server in servers:
                server.start()
            client = stack.enter_context(
                jsonrpcc.Client(
                    " ".join(f"{each.address},{each.priority}" for each in servers),
                    timeout=LIMIT / 2,
                    reconnect_delay=0.1,
                    reconnect_delay_max=0.5,
                    on_event=watch.on_event,
                )
            )
            traffic = Traffic(client, watch)
            stack.callback(traffic.stop)
            traffic.start()
            say(f"a request every {PACE * 1000:.0f} ms, and notifications")
            show_failover(servers, client, watch)
            traffic.stop()
            expect("all requests ended", client.drain(LIMIT))
            check_totals(client, watch, traffic)
        except Surprise as surprise:
            print(f"demo: FAILED: {surprise}", file=sys.stderr)
            return 1
        print_table(servers, client, watch)
    return 0


if __name__ == "__main__":
    sys.exit(main())
