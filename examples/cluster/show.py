"""The phases, what each of them promises, and the table that is printed meanwhile."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from ledger import OUTCOMES, Ledger, faults
from parts import PORT, PROCESSES, Missing, Parts, Server
from picture import Sample, draw

CALLS = 1_000_000
LIMIT = 240  # seconds for all of it
SHARES = 1.25  # the busiest server's calls over those of the least busy one
FOLLOWED = 4  # seconds until all clients have followed a change
CONNECTS = 1.5 * 3 * PROCESSES  # of a server in its life
NAME = f"dns:servers.cluster.test:{PORT}"


@dataclass
class Show:
    """What is known so far."""

    parts: Parts
    ledger: Ledger
    servers: list[Server]
    backends: list[Server]
    started: float = field(default_factory=time.monotonic)
    phase: str = "start"
    phases: list[tuple[float, str]] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    @property
    def failed(self) -> int:
        """Calls that failed, whatever for."""
        outcomes = self.ledger.outcomes
        return outcomes.count(OUTCOMES["not_sent"]) + outcomes.count(
            OUTCOMES["unknown"]
        )

    def calls(self, servers: list[Server]) -> list[int]:
        """How many calls each of them has had in this life."""
        return [self.ledger.life(server.life)[0] for server in servers]

    def say(self, text: str) -> None:
        """Print a line with the time."""
        print(f"{self.now:6.1f} s  {text}", flush=True)

    def expect(self, what: str, kept: bool) -> None:
        """Note whether a promise was kept."""
        self.say(f"{'kept  ' if kept else 'BROKEN'}  {what}")
        if not kept:
            self.broken.append(what)

    def begin(self, phase: str) -> None:
        """Begin a phase."""
        self.phase = phase
        self.phases.append((self.now, phase))
        self.say(f"--- {phase}")

    def sample(self) -> None:
        """Note where everything stands, and print a row of the table."""
        lives = [self.ledger.life(n)[0] for n in range(len(self.parts.lives))]
        now = Sample(self.now, lives, self.failed)
        if self.samples:
            last = self.samples[-1]
            before = last.lives + [0] * (len(lives) - len(last.lives))
            rate = (sum(lives) - sum(before)) / (now.at - last.at)
            busy = sum(a > b for a, b in zip(lives, before, strict=True))
            self.say(
                f"        {rate:7,.0f} calls/s at {busy:2} servers, {sum(lives):9,} "
                f"in all, {now.failed:3} failed"
            )
        self.samples.append(now)


def watch(show: Show, stop: threading.Event) -> None:
    """Print the table until told to stop."""
    while not stop.wait(2):
        show.sample()


# ---- the phases --------------------------------------------------------------------


def scale(show: Show, count: int, seconds: float) -> None:
    """Have that many servers, and see all of them used alike."""
    parts, servers = show.parts, show.servers
    was = sum(server.process is not None for server in servers)
    show.begin(f"{was} → {count} servers" if was != count else f"{count} servers")
    for server in servers[was:count]:
        parts.begin_life(server)
    parts.publish(server.host for server in servers[:count])
    time.sleep(FOLLOWED)
    for server in servers[count:was]:
        parts.end_life(server, signal.SIGTERM)
    before = show.calls(servers[:count])
    time.sleep(seconds - FOLLOWED)
    after = show.calls(servers[:count])
    shares = [a - b for a, b in zip(after, before, strict=True)]
    ratio = max(shares) / max(min(shares), 1)
    show.expect(
        f"{count} servers share the calls {FOLLOWED} s later: "
        f"most over least {ratio:.2f}, at most {SHARES}",
        ratio <= SHARES,
    )


def kill_one_a_second(show: Show, count: int, seconds: int) -> None:
    """Kill servers in turn; each is back after two seconds."""
    show.begin("kill -9 of a server a second")
    dead: list[Server] = []
    for second in range(seconds + 2):
        if second < seconds:
            server = show.servers[second % count]
            show.parts.end_life(server)
            dead.append(server)
        if second >= 2:  # noqa: PLR2004  # seconds
            show.parts.begin_life(dead.pop(0))
        time.sleep(1)


def empty_balancers(show: Show, seconds: float) -> None:
    """Take away what stands behind HAProxy and nginx, and give it back."""
    show.begin("the balancers have no backends")
    for server in show.backends:
        show.parts.end_life(server)
    time.sleep(seconds)
    for server in show.backends:
        show.parts.begin_life(server)
    show.begin("they have them again")
    time.sleep(5)
    before = sum(show.calls(show.backends))
    time.sleep(3)
    show.expect(
        "calls go through the balancers again",
        sum(show.calls(show.backends)) > before,
    )


def freeze_name_server(show: Show, seconds: float) -> None:
    """Stop the name server, without a word to anybody."""
    named = show.parts.named
    assert named is not None
    show.begin("the name server is frozen")
    failed = show.failed
    named.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    named.send_signal(signal.SIGCONT)
    show.expect("nobody noticed the frozen name server", show.failed == failed)


def finish(show: Show, ended: int) -> None:
    """Compare what the servers ran with what the callers were told."""
    ledger, parts = show.ledger, show.parts
    show.expect(f"all {ledger.calls:,} calls have ended", ended == ledger.calls)
    for what, count in faults(ledger).items():
        show.expect(f"calls {what}: {count}", count == 0)
    failures = ledger.path.with_name("failures.txt")
    for line in failures.read_text().splitlines() if failures.exists() else ():
        if line.startswith("idempotent"):
            show.say(line)
    behind = {server.host for server in show.backends}
    connects = [
        ledger.life(n)[1] for n, host in enumerate(parts.lives) if host not in behind
    ]
    show.expect(
        f"connections to a server in its life: at most {max(connects)}, "
        f"and {CONNECTS:.0f} were allowed",
        max(connects) <= CONNECTS,
    )
    show.expect(f"it took {show.now:.0f} s, at most {LIMIT}", show.now <= LIMIT)


def play(show: Show) -> None:
    """Start everything, run the phases, and judge."""
    parts = show.parts
    parts.build_witness()
    parts.start_name_server()
    for server in show.servers[:12] + show.backends:
        parts.begin_life(server)
    parts.publish(server.host for server in show.servers[:12])
    balancers = parts.start_balancers(show.backends)
    parts.start_celery(NAME)
    parts.start_gunicorn(NAME)
    from traffic import Traffic  # noqa: PLC0415  # its broker is up only now

    traffic = Traffic(show.ledger, f"{balancers[0]},3 {balancers[1]},2 {NAME},1")
    stop = threading.Event()
    table = threading.Thread(target=watch, args=(show, stop))
    traffic.start()
    table.start()
    try:
        scale(show, 12, 14)
        scale(show, 20, 16)
        scale(show, 6, 16)
        show.expect("no call failed for a change of the list", show.failed == 0)
        scale(show, 12, 10)
        kill_one_a_second(show, 12, 24)
        empty_balancers(show, 8)
        freeze_name_server(show, 20)
        show.begin("the rest of the calls")
        while traffic.ended < show.ledger.calls and show.now < LIMIT:
            time.sleep(0.2)
    finally:
        stop.set()
        table.join()
        traffic.stop()
    finish(show, traffic.ended)


def run(folder: Path) -> int:
    """Run the show; return the exit code."""
    for old in ("ledger", "failures.txt", "zone", "zone.jnl"):
        (folder / old).unlink(missing_ok=True)
    ledger = Ledger(folder / "ledger", CALLS)
    os.environ.update(
        LEDGER=str(ledger.path), CALLS=str(CALLS), BROKER="redis://127.0.0.1:6379/0"
    )
    parts = Parts(folder, ledger)
    servers = [Server(f"127.0.1.{n}") for n in range(1, 21)]
    backends = [Server(f"127.0.2.{n}") for n in range(1, 5)]
    show = Show(parts, ledger, servers, backends)
    try:
        play(show)
    except Missing as error:
        print(f"{error}; the logs are in {folder}", file=sys.stderr)
        return 2
    finally:
        parts.stop()
    target = folder / "cluster.png"
    draw(target, show.samples, show.phases, parts.lives)
    show.say(f"the picture: {target}")
    for what in show.broken:
        show.say(f"BROKEN  {what}")
    return 1 if show.broken else 0
