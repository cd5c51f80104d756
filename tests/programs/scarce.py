"""
A client where descriptors or threads run out: scarce.py WHAT ADDRESS KIND...

WHAT is "descriptors" or "threads".  Each kind of use is tried with 0, 1, 2 ...
left.  What comes of it is written as one line of JSON: how each ended, and what
was left behind.  Nothing may end the process.
"""

import asyncio
import gc
import json
import os
import resource
import sys
import time

import jsonrpcc

WHAT, ADDRESS, *KINDS = sys.argv[1:]
MOST = {"descriptors": 14, "threads": 5}[WHAT]
LIMIT = 10.0  # seconds
OPTIONS = {"timeout": 5.0, "reconnect_delay": 0.01, "reconnect_delay_max": 0.02}


def used():
    """The descriptors and threads of this process."""
    return [len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))]


class Scarcity:
    """So many are left, until it ends; *others* are the user's other threads."""

    def __init__(self, left, others=0):
        self._taken = []
        if WHAT == "threads":
            kind, most = resource.RLIMIT_NPROC, used()[1] + others + left
        else:
            kind, most = resource.RLIMIT_NOFILE, 128
        self._kind, self._before = kind, resource.getrlimit(kind)
        resource.setrlimit(kind, (most, self._before[1]))
        while WHAT == "descriptors":
            try:
                self._taken.append(os.dup(0))
            except OSError:
                break
        for _ in range(left if self._taken else 0):
            os.close(self._taken.pop())

    def end(self):
        resource.setrlimit(self._kind, self._before)
        for fd in self._taken:
            os.close(fd)


def outcome(use, *args):
    """How it ended, as a text."""
    try:
        return f"= {use(*args)}"
    except OSError as error:
        if error.errno is not None and type(error).__module__ == "builtins":
            return f"OSError {error.errno}"
        return type(error).__name__
    except Exception as error:
        return type(error).__name__ + ": " + str(error)[:80]


def check(client):
    """Whether it works now that there is enough of all."""
    return client.call("add", [1, 2], wait_for_ready=True, timeout=LIMIT) == 3


def use_new(address, scarcity):
    client = None

    def make():
        nonlocal client
        client = jsonrpcc.Client(address, **OPTIONS)
        return client.call("add", [1, 2])

    found = outcome(make)
    scarcity.end()
    works = client is None or check(client)
    if client is not None:
        client.close()
    return found, works


def client(scarcity):
    return use_new(ADDRESS, scarcity)


def name(scarcity):
    """A look-up needs a descriptor for each file that it reads, and a thread."""
    return use_new(f"localhost:{ADDRESS.rpartition(':')[2]}", scarcity)


def in_child(use):
    """A client that was made in good times, at its first use in a forked child."""

    def run(scarcity):
        scarcity.end()
        client = jsonrpcc.Client(ADDRESS, **OPTIONS)
        client.call("add", [1, 2])
        inside, outside = os.pipe()
        threads = used()[1]
        pid = os.fork()
        if pid == 0:
            scarce = Scarcity(run.left, threads)
            found = outcome(use, client)
            scarce.end()
            works = outcome(check, client) == "= True"
            os.write(outside, json.dumps([found, works]).encode())
            os._exit(0)
        os.close(outside)
        with open(inside, "rb") as pipe:
            text = pipe.read()
        status = os.waitpid(pid, 0)[1]
        works = check(client)
        client.close()
        if status != 0 or not text:
            return f"the child ended with {status}", False
        found, worked = json.loads(text)
        return found, works and worked

    return run


def request(client):
    done = []
    client.request("add", [1, 2], done.append, done.append)
    client.drain(LIMIT)
    if isinstance(done[0], Exception):
        raise done[0]
    return done[0]


def asynchronous(scarcity):
    found, works = None, False

    async def once():
        client = jsonrpcc.AsyncClient(ADDRESS, **OPTIONS)
        try:
            found = "= " + str(await client.call("add", [1, 2]))
        except (OSError, jsonrpcc.JsonRpcError) as error:
            number = getattr(error, "errno", None)
            found = type(error).__name__ if number is None else f"OSError {number}"
        scarcity.end()
        works = await client.call("add", [1, 2], wait_for_ready=True, timeout=LIMIT)
        await client.close()
        return found, works == 3

    async def make():
        try:
            return await once()
        except OSError as error:  # there was not even a client
            scarcity.end()
            return f"OSError {error.errno}", True

    found, works = loop.run_until_complete(make())
    return found, works


ALL = {
    "client": client,
    "name": name,
    "asynchronous": asynchronous,
    "child_call": in_child(lambda client: client.call("add", [1, 2])),
    "child_request": in_child(request),
    "child_submit": in_child(lambda client: client.submit("add", [1, 2]).result()),
    "child_map": in_child(lambda client: next(iter(client.map("add", [[1, 2]])))),
}

with jsonrpcc.Client("localhost:1") as warm:  # imports, encodings, resolv.conf
    outcome(warm.call, "add", [1, 2])
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
loop.run_until_complete(loop.run_in_executor(None, int))
if WHAT == "threads":  # the limit is a user's, and root has none
    os.setgid(65533)
    os.setuid(65533)
report = []
for kind in KINDS:
    before = used()
    for left in range(MOST):
        ALL[kind].left = left
        found, works = ALL[kind](Scarcity(left))
        deadline = time.monotonic() + LIMIT
        while (gc.collect(), used())[1] > before and time.monotonic() < deadline:
            time.sleep(0.001)
        more = [now - then for now, then in zip(used(), before, strict=True)]
        report.append([kind, left, found, works, more])
print(json.dumps(report))
