"""Close Clients while things go wrong; report what happened, as JSON."""

import contextlib
import gc
import os
import signal
import sys
import threading
import time

from closing_trouble import (
    QUICK,
    closed,
    dice,
    few_descriptors,
    live,
    main,
    pause,
    problems,
    some_servers,
    time_limit,
)
from forked import exit_code
from history import LIMIT, History

from jsonrpcc import Client, ClientClosed, JsonRpcError, QueueFull


def checked(close):
    began = time.monotonic()
    close()
    closed(began)


class Victim:
    """A client that is used by threads and by callbacks, until it is closed."""

    def __init__(self, users=2):
        self.history = History()
        self.hook = lambda: None  # run by callbacks, now and then
        self.told = []
        self.client = Client(
            some_servers(), timeout=30, max_in_flight=dice.choice([4, 64, 4096]),
            on_event=lambda _: self.call_hook(), **QUICK,
        )  # fmt: skip
        self.users = [threading.Thread(target=self.use) for _ in range(users)]
        for user in self.users:
            user.start()

    def call_hook(self, *_):
        if dice.random() < 0.3:
            self.hook()

    def one(self):
        client, history, limit = self.client, self.history, time_limit()
        how = dice.randrange(7)
        if how == 0:
            history.call(client, timeout=limit)
        elif how == 1:
            history.submit(client, timeout=limit)[1].add_done_callback(self.call_hook)
        elif how == 2:
            history.map(client, 5, timeout=limit, window=2)
        elif how == 3:
            size = dice.choice([0, 100, 3_000_000])
            client.notification("note", ["x" * size], timeout=limit)
        elif how == 4:
            client.request("echo", [-1], self.call_hook, self.call_hook, timeout=limit)
        else:
            call = history.request(client, timeout=limit, block=dice.random() < 0.5)[1]
            if dice.random() < 0.1:
                call.cancel()

    def use(self):
        try:
            while True:
                with contextlib.suppress(QueueFull):
                    self.one()
                pause(0.001)
        except ClientClosed:
            pass
        except BaseException as error:
            problems.append(f"use: {error!r}")

    def end(self):
        """Close for good, and check the outcomes of its calls."""
        self.hook = lambda: None
        checked(self.client.close)
        open_calls = self.history.open()
        outcomes = sum(len(entry.outcomes) for entry in self.history.entries)
        for user in self.users:
            user.join(LIMIT)
            if user.is_alive():
                problems.append("a caller hangs")
                return
        if open_calls and self.history.open():
            problems.append(f"{len(self.history.open())} calls have no outcome")
        late = sum(len(e.outcomes) for e in self.history.entries) - outcomes
        # A call that was refused or ended meanwhile is told by its own thread.
        if late > 2 * len(self.users) * 5:
            problems.append(f"{late} outcomes after close()")
        try:
            self.history.check_outcomes()
        except AssertionError as error:
            problems.append(f"outcomes: {str(error)[:300]}")
        if self.client.stats().in_flight:
            problems.append("calls are in flight in a closed client")
        self.refuses()

    def refuses(self):
        client = self.client
        for use in (client.call, client.request, client.submit, client.notification):
            try:
                use("echo", [-1])
            except ClientClosed:
                continue
            problems.append(f"a closed client takes a {use.__name__}")


def by_threads():
    """Several threads close it at once, while others use it."""
    victim = Victim(users=3)
    live()
    closers = [
        threading.Thread(target=checked, args=(victim.client.close,)) for _ in range(4)
    ]
    for closer in closers:
        closer.start()
    victim.end()
    for closer in closers:
        closer.join(LIMIT)
        if closer.is_alive():
            problems.append("a close() hangs")


def by_callbacks():
    """One to three clients, closed by each other's callbacks of every kind."""
    victims = [Victim() for _ in range(dice.randint(1, 3))]
    for victim, other in zip(victims, [*victims[1:], victims[0]], strict=True):
        victim.hook = other.client.close
    live()
    for victim in victims:
        victim.end()


def by_signals():
    """A handler closes, whatever the main thread does with the client."""
    victim = Victim(users=1)
    signal.signal(signal.SIGALRM, lambda *_: checked(victim.client.close))
    signal.setitimer(signal.ITIMER_REAL, dice.uniform(1e-5, 0.01))
    victim.use()
    signal.setitimer(signal.ITIMER_REAL, 0)
    victim.end()


class Outside(BaseException):
    """What a handler raises."""


def report(unraisable):
    """Say what was ignored, unless it came in a finalizer, where Python drops it."""
    if not isinstance(unraisable.exc_value, Outside):
        sys.__unraisablehook__(unraisable)


sys.unraisablehook = report


def by_raising():
    """close() itself is left by what a handler raises; another one ends it."""
    fired = []

    def on_alarm(*_):
        fired.append(True)
        raise Outside

    victim = Victim()
    live()
    signal.signal(signal.SIGALRM, on_alarm)
    with contextlib.suppress(Outside):
        signal.setitimer(signal.ITIMER_REAL, dice.uniform(1e-5, 1e-3))
        victim.client.close()
        while not fired:  # so that it is not raised anywhere else
            time.sleep(1e-3)
    victim.end()


def while_forking():
    """Another thread forks; the children close too, and use it before or after."""
    victim = Victim()
    children = []

    def fork():
        for _ in range(2):
            pause(0.003)
            pid = os.fork()
            if pid == 0:
                in_child(victim.client)
            children.append(pid)

    forking = threading.Thread(target=fork)
    forking.start()
    pause(0.005)
    victim.end()
    forking.join(LIMIT)
    problems.extend(f"a child: {c}" for c in map(exit_code, children) if c != 0)


def in_child(client):
    code = 1
    try:
        if dice.random() < 0.5:
            with contextlib.suppress(JsonRpcError):
                client.call("echo", [1], timeout=0.02)
        client.close()
        try:
            client.request("echo", [1])
        except ClientClosed:
            code = 0
    finally:
        os._exit(code)


def without_descriptors():
    """They run out while it is used, and are available again when it is closed."""
    victim = Victim()
    live()
    with few_descriptors():
        pause(0.02)
        if dice.random() < 0.5:
            for user in victim.users:  # let it reconnect in vain
                user.join(0.01)
        checked(victim.client.close)
    victim.end()


def as_garbage():
    """Forgotten by some, closed by others, and collected in a callback."""
    victim = Victim(users=1)
    victim.hook = gc.collect
    box = [victim.client]
    forgetting = threading.Thread(target=lambda: (pause(0.005), box.clear()))
    forgetting.start()
    pause(0.01)
    victim.end()
    forgetting.join()


main(
    {
        "threads": by_threads,
        "callbacks": by_callbacks,
        "signals": by_signals,
        "raising": by_raising,
        "fork": while_forking,
        "descriptors": without_descriptors,
        "garbage": as_garbage,
    }
)
