"""
Close clients in trouble; reports what happened, as JSON.

    closing.py TROUBLE ROUNDS SEED ADDRESS...

The servers answer, or hang, or do not read, or are not there.  Each round has
clients with calls of every style in flight, and closes them in TROUBLE, which is
one of those below.  Whatever it is: close() returns, by then each accepted call has
had its one outcome, none comes later, and nothing is left behind.
"""

import asyncio
import concurrent.futures
import contextlib
import gc
import itertools
import json
import logging
import os
import random
import resource
import signal
import sys
import threading
import time
import warnings

from helpers import descriptors, threads
from history import LIMIT, History, until

from jsonrpcc import AsyncClient, Client, ClientClosed, JsonRpcError, QueueFull

trouble, rounds, seed = sys.argv[1], int(sys.argv[2]), sys.argv[3]
addresses = sys.argv[4:]
dice = random.Random(f"{trouble} {seed}")
logging.disable(logging.CRITICAL)
warnings.filterwarnings("ignore", "This process .* is multi-threaded")
problems = []
closes = 0
QUICK = {"reconnect_delay": 0.01, "reconnect_delay_max": 0.05}


def pause(most):
    threading.Event().wait(dice.uniform(0, most))


def live():
    """Let clients be used for a while."""
    pause(dice.choice([0.001, 0.01, 0.01, 0.05, 0.3]))


def some_servers():
    return " ".join(dice.sample(addresses, dice.randint(1, len(addresses))))


def time_limit():
    return dice.choice([0.005, 0.05, 30, 30])


def checked(close):
    """Close, and have it noted if that takes too long."""
    global closes
    began = time.monotonic()
    close()
    closes += 1
    if time.monotonic() - began > LIMIT:
        problems.append(f"close took {time.monotonic() - began:.1f} s")


# ---- clients in use ------------------------------------------------------------------


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
        """Close for good, and look at what came of its calls."""
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


# ---- troubles of Client ----------------------------------------------------------


def by_threads():
    """Several close at once, while others use it."""
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


def by_raising():
    """close() itself is left by what a handler raises; another one ends it."""

    def on_alarm(*_):
        raise Outside

    victim = Victim()
    live()
    signal.signal(signal.SIGALRM, on_alarm)
    with contextlib.suppress(Outside):
        signal.setitimer(signal.ITIMER_REAL, dice.uniform(1e-5, 1e-3))
        victim.client.close()
    with contextlib.suppress(Outside):
        signal.setitimer(signal.ITIMER_REAL, 0)
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
    problems.extend(f"a child: {c}" for c in map(ended, children) if c != 0)


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


def ended(pid):
    """Return the exit code of a child; None: it hangs, and is killed."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        pause(0.002)
    os.kill(pid, signal.SIGABRT)
    os.waitpid(pid, 0)
    return None


@contextlib.contextmanager
def few_descriptors():
    """None is left, or some, in here."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, soft), hard))
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.dup(0))
        for _ in range(dice.randrange(4)):
            os.close(taken.pop())
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in taken:
            os.close(fd)


def without_descriptors():
    """They run out while it is used, and come back when it is closed."""
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


# ---- troubles of AsyncClient -----------------------------------------------------


class AsyncVictim:
    """An AsyncClient with tasks that await calls."""

    def __init__(self, count=6):
        self.history = History()
        self.hook = lambda: None
        self.client = AsyncClient(
            some_servers(), timeout=30, max_in_flight=dice.choice([2, 64]),
            on_event=lambda _: self.hook(), **QUICK,
        )  # fmt: skip
        self.tasks = [asyncio.create_task(self.use()) for _ in range(count)]

    async def use(self):
        while not self.client._closed:
            await self.history.await_call(self.client, timeout=time_limit())
            if dice.random() < 0.2:
                with contextlib.suppress(JsonRpcError):
                    await self.client.notification("note", ["x" * 100_000])
            self.hook()

    async def end(self):
        began = time.monotonic()
        await asyncio.wait_for(self.client.close(), LIMIT)
        done, late = await asyncio.wait(self.tasks, timeout=LIMIT)
        self.look(done, late, began)

    def look(self, done, late, began):
        global closes
        closes += 1
        if late:
            problems.append(f"{len(late)} calls never ended")
        if time.monotonic() - began > LIMIT:
            problems.append("close took too long")
        problems.extend(
            f"a task: {task.exception()!r}" for task in done
            if not task.cancelled() and task.exception()
            and not isinstance(task.exception(), ClientClosed)
        )  # fmt: skip
        if self.client.stats().in_flight:
            problems.append("calls are in flight in a closed client")


async def nap(most):
    await asyncio.sleep(dice.choice([0, dice.uniform(0, most), dice.uniform(0, most)]))


async def cancelled():
    """By tasks that are cancelled at any moment, or run out of time."""
    victim = AsyncVictim()
    await nap(dice.choice([0.01, 0.1]))
    closers = [asyncio.create_task(victim.client.close()) for _ in range(3)]
    for closer in closers:
        await nap(0.002)
        closer.cancel()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(dice.uniform(0, 0.002)):
            await victim.client.close()
    await victim.end()


async def busy_executor():
    """The loop's executor has no thread left, or is gone."""
    victim = AsyncVictim()
    loop, release = asyncio.get_running_loop(), threading.Event()
    executor = concurrent.futures.ThreadPoolExecutor(1)
    loop.set_default_executor(executor)
    busy = loop.run_in_executor(None, release.wait, LIMIT)
    await nap(dice.choice([0.01, 0.1]))
    if dice.random() < 0.5:
        executor.shutdown(wait=False)
    await victim.end()
    release.set()
    await busy


async def crosswise():
    """Two clients, each closed by tasks of the other's outcomes and events."""
    victims = AsyncVictim(), AsyncVictim()
    closers = []
    for victim, other in zip(victims, reversed(victims), strict=True):

        def close(other=other):
            if dice.random() < 0.3:
                closers.append(asyncio.ensure_future(other.client.close()))

        victim.hook = close
    await nap(dice.choice([0.01, 0.1]))
    for victim in victims:
        await victim.end()
    await asyncio.wait_for(asyncio.gather(*closers), LIMIT)


async def async_without_descriptors():
    victim = AsyncVictim()
    await nap(0.005)
    with few_descriptors():
        await nap(0.02)
        closing = asyncio.create_task(victim.client.close())
        await nap(0.005)
    await asyncio.wait_for(closing, LIMIT)
    await victim.end()


async def async_while_forking():
    """The loop forks in the middle of its own close()."""
    victim = AsyncVictim()
    await nap(dice.choice([0.01, 0.1]))
    closing = asyncio.create_task(victim.client.close())
    for _ in range(dice.randrange(3)):
        await asyncio.sleep(0)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            asyncio._set_running_loop(None)
            asyncio.run(victim.client.close())
            code = 0
        finally:
            os._exit(code)
    await asyncio.wait_for(closing, LIMIT)
    await victim.end()
    if (code := await asyncio.to_thread(ended, pid)) != 0:
        problems.append(f"a child: {code}")


def after_its_loop():
    """The loop has ended under it, maybe in the middle of a close()."""

    async def use():
        victim = AsyncVictim()
        await nap(dice.choice([0.01, 0.1]))
        closing = asyncio.create_task(victim.client.close())
        for _ in range(dice.randrange(3)):
            await asyncio.sleep(0)
        if dice.random() < 0.5:
            closing.cancel()
        return victim

    began = time.monotonic()
    victim = asyncio.run(use())
    if dice.random() < 0.5:
        asyncio.run(victim.client.close())
    else:
        with contextlib.suppress(StopIteration):
            victim.client.close().send(None)
    victim.look(victim.tasks, [], began)


def in_a_loop(coroutine):
    return lambda: asyncio.run(coroutine())


TROUBLES = {
    "threads": by_threads,
    "callbacks": by_callbacks,
    "signals": by_signals,
    "raising": by_raising,
    "fork": while_forking,
    "descriptors": without_descriptors,
    "garbage": as_garbage,
    "cancelled": in_a_loop(cancelled),
    "executor": in_a_loop(busy_executor),
    "crosswise": in_a_loop(crosswise),
    "async_descriptors": in_a_loop(async_without_descriptors),
    "async_fork": in_a_loop(async_while_forking),
    "loop": after_its_loop,
}


def main():
    asyncio.run(asyncio.sleep(0))  # what Python opens for good
    before = threads(), descriptors()
    for number in itertools.count():
        if number == rounds or problems:
            break
        TROUBLES[trouble]()
    gc.collect()
    with contextlib.suppress(AssertionError):
        until(lambda: threads() <= before[0] and descriptors() <= before[1])
    left = threads() - before[0], descriptors() - before[1]
    print(json.dumps({"closes": closes, "problems": problems[:5], "left": left}))


main()
