"""
A client under load, and four servers to which everything happens.

    chaos.py SEED SECONDS

Two servers of priority 2 and two of priority 1, each a misbehaving witness behind
a fault proxy in a process of its own.  Eight threads and an asyncio loop make
calls in every style while faults come, several a second, as the seed says.  Now
and then all is calm: then nothing may go to the worse servers.  Reports what was
done and what came of it, as JSON; "broken" are the promises that were not kept.
"""

import asyncio
import collections
import contextlib
import faulthandler
import json
import random
import signal
import sys
import tempfile
import threading
import time

from chaos_servers import Place
from checker import LATE, Healthy, violations
from faults import FAULTS, skipped
from history import LIMIT, History, until
from misbehaviour import plan
from time_limits import PATIENCE

from jsonrpcc import AsyncClient, Client, QueueFull

PRIORITIES = (2, 2, 1, 1)
PAUSE = 0.2  # seconds between two faults
STEPS = 10  # of faults between two calms
CALM = 0.4
THREADS = 8

# Ended by "timeout", it says where it was.
faulthandler.register(signal.SIGTERM, chain=True)
seed, seconds = int(sys.argv[1]), float(sys.argv[2])
faults = collections.Counter()


# ---- the load -----------------------------------------------------------------------

stop = threading.Event()
history = History()
gaps = []
events = []
asynchronous_history = History(start=1 << 32)  # its client has connections of its own
LAST = 1 << 40


def options(die):
    return {
        # Shorter than a slow build answers, they would mark all servers down.
        "timeout": die.choice([0.05, 0.3, 1.0]) * PATIENCE,
        "idempotent": die.random() < 0.3,
    }


def work(number):
    die = random.Random(f"{seed} {number}")
    while not stop.is_set():
        with contextlib.suppress(QueueFull):
            for _ in range(10):
                _, call = history.request(client, **options(die))
                if die.random() < 0.02:
                    call.cancel()
            _, future = history.submit(client, **options(die))
            if die.random() < 0.1:
                future.cancel()
            history.call(client, **options(die))
            if die.random() < 0.05:
                history.map(client, 50, timeout=0.3)
            client.notification("note", [number])
        stop.wait(0.005)


def watch_the_clock():
    """Record when this process got no CPU time: then nothing can be on time."""
    last = time.monotonic()
    while not stop.wait(0.01):
        now = time.monotonic()
        if now - last > 0.05:
            gaps.append((last, now))
        last = now


def without_cpu(since, until):
    """Return how much of that time this process stood still."""
    return sum(max(0, min(end, until) - max(start, since)) for start, end in gaps)


async def aio(servers):
    die = random.Random(f"{seed} asyncio")
    async with AsyncClient(servers, **RECONNECT) as asynchronous:
        while not stop.is_set():
            calls = [asynchronous_history.await_call(asynchronous, **options(die))
                     for _ in range(20)]  # fmt: skip
            await asyncio.gather(*calls)
            await asyncio.sleep(0.02)


# ---- the run ------------------------------------------------------------------------


def wild(places, steps):
    """Inject one fault after another, each for a while, on servers without one."""
    undo = {}
    for place in places:
        place.tell("wild")
    for now in range(STEPS):
        for place in [p for p, (end, _) in undo.items() if end <= now]:
            undo.pop(place)[1]()
        if (step := next(steps)) is not None:
            faults[step.fault] += 1
            place = places[step.place]
            back = FAULTS[step.fault](place, step.at)
            if back:
                undo[place] = (now + step.steps, back)
        stop.wait(PAUSE)
    for _, back in undo.values():
        back()


def answers(index):
    server = client.servers()[index]
    return server.responses, server.losses


def is_trusted(index, since):
    """Not so after timeouts in a row, which a busy machine brings now and then."""
    address = client.servers()[index].address
    since += time.time() - time.monotonic() - 0.001
    return client.servers()[index].state == "up" and not any(
        event.server == address and event.time >= since for event in list(events)
    )


def calm(places):
    """Let all servers recover; record how long the best two are healthy."""
    for place in places:
        place.tell("calm")
        place.tell("each", "reset")
    spans = []
    for index in (0, 1):
        # On what is left of a connection that was reset there are no answers.
        responses, losses = answers(index)

        def is_well(index=index):
            nonlocal responses, losses
            now = answers(index)
            if now[1] != losses:
                responses, losses = now
            return now[0] > responses + 20

        try:
            until(is_well, LIMIT, "the way back of the best servers")
        except AssertionError as error:
            raise AssertionError(f"{error}: {client.servers()}, {faults}") from None
        spans.append((index, time.monotonic(), losses))
    stop.wait(CALM)
    end = time.monotonic()
    return [
        Healthy(index, since, end)
        for index, since, losses in spans
        if is_trusted(index, since) and answers(index)[1] == losses
    ]


RECONNECT = {"reconnect_delay": 0.02, "reconnect_delay_max": 0.1}
with tempfile.TemporaryDirectory() as folder:
    places = [Place(number, folder, seed) for number in range(4)]
    servers = " ".join(
        f"127.0.0.1:{place.port},{priority}"
        for place, priority in zip(places, PRIORITIES, strict=True)
    )
    client = Client(servers, max_in_flight=2048, on_event=events.append, **RECONNECT)
    threads = [threading.Thread(target=work, args=(n,)) for n in range(THREADS)]
    threads.append(threading.Thread(target=lambda: asyncio.run(aio(servers))))
    threads.append(threading.Thread(target=watch_the_clock))
    for thread in threads:
        thread.start()
    healthy = []
    steps = plan(seed, sorted(FAULTS), len(places))
    started = time.monotonic()  # four servers may take long to come up
    try:
        while time.monotonic() < started + seconds:
            wild(places, steps)
            healthy += calm(places)
    finally:
        stop.set()  # else the threads would not let a failed run end
    for thread in threads:
        thread.join(LIMIT)
        assert not thread.is_alive(), "a thread of the load hangs"
    history.wait()
    # After the faults: every call has its outcome and a new one succeeds.
    last = History(start=LAST)
    assert not last.call(client).error
    stats = client.stats()
    assert stats.in_flight == 0
    client.close()
    closed_at = time.monotonic()
    for place in places:
        place.end()
    seen = [one for place in places for one in place.seen() if one.nonce != LAST]

entries = history.entries + asynchronous_history.entries
ended = [entry for entry in entries if entry.outcomes]
late = [entry.outcomes[0].time - entry.deadline for entry in ended]
for entry in ended:
    if entry.outcomes[0].time > entry.deadline + LATE:
        entry.deadline += without_cpu(entry.deadline, entry.outcomes[0].time)
own = [one for one in seen if one.nonce < asynchronous_history.start]
broken = violations(
    history.entries, own, closed_at, priorities=PRIORITIES, healthy=healthy
) + violations(
    asynchronous_history.entries,
    [one for one in seen if one.nonce >= asynchronous_history.start],
)
outcomes = collections.Counter(
    f"{type(entry.error).__name__} {entry.error.fate}" if entry.error else "ok"
    for entry in ended
)
misbehaved = sum((place.answers for place in places), collections.Counter())
report = {
    "seed": seed,
    "calls": len(entries),
    "outcomes": outcomes,
    "faults": faults,
    "misbehaved": misbehaved,
    "lives": sum(place.lives for place in places),
    "frames_seen": len(seen),
    "garbage": sum(len(place.garbage) for place in places),
    "garbage_seen": [place.garbage[:3] for place in places],
    "resent": stats.resent,
    "moved": stats.moved,
    "unmatched": stats.unmatched,
    "calms": len(healthy) // 2,
    "latest": max(late),
    "longest_without_cpu": max((end - start for start, end in gaps), default=0),
    "skipped": skipped,
    "broken": broken[:20],
    "broken_count": len(broken),
}
print(json.dumps(report))
