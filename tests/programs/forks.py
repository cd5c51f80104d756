"""
Fork again and again while threads submit and the loop is busy.

    forks.py ACTION COUNT ADDRESS

Each child does ACTION and ends; the parent's calls go on and each has its
outcome.  Reports as JSON: children by how they ended, the parent's calls.
"""

import asyncio
import concurrent.futures
import contextlib
import ctypes
import gc
import itertools
import json
import multiprocessing
import os
import sys
import threading
import warnings
from collections import Counter

import everywhere
from forked import exit_code, in_child
from history import LIMIT, History, until

from jsonrpcc import AsyncClient, Client, ClientClosed

everywhere.heed()  # also in what multiprocessing spawns, which is this file again
warnings.filterwarnings("ignore", "This process .* is multi-threaded")

action, count, address = sys.argv[1], int(sys.argv[2]), sys.argv[3]
# Several connections are replaced while the program forks.
connections = int(sys.argv[4]) if len(sys.argv) > 4 else 1
wide = {"connections": connections, "max_connection_age": int(connections > 1)}
spellings = (address, address.replace("127.0.0.1", "localhost"))
history = History()
stop = threading.Event()


# ---- what children do ------------------------------------------------------------


def use():
    assert client.call("child", [1]) == 1
    assert client.submit("child", [2]).result(LIMIT) == 2
    assert list(client.map("child", [[i] for i in range(300)])) == list(range(300))
    assert client.stats().requests == 302
    assert client.servers()[0].state == "up"


def use_and_close():
    use()
    client.close()
    closed()


def close():
    client.close()
    closed()


def closed():
    for how in (client.call, client.request, client.notification, client.submit):
        try:
            how("child", [1])
        except ClientClosed:
            continue
        raise AssertionError(f"{how.__name__} works after close")


def drop():
    global client
    client = None
    gc.collect()


def look():
    """Nothing that the parent's client had open is open in the child."""
    left = []
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            left.append(os.readlink(f"/proc/self/fd/{fd}"))
    ours = [link for link in left if "socket:" in link or "anon_inode" in link]
    assert not ours, ours


def new():
    with Client(address) as fresh:
        assert fresh.call("child", [1]) == 1
        assert fresh.submit("child", [2]).result(LIMIT) == 2


def aio():
    async def main():
        async with AsyncClient(address) as fresh:
            calls = [fresh.call("child", [i]) for i in range(20)]
            assert await asyncio.gather(*calls) == list(range(20))

    asyncio.run(main())


def aio_inherited():
    """The parent's AsyncClient is closed in the child, which can create another one."""

    async def main():
        for use in (
            lambda: asynchronous.call("child", [1]),
            lambda: asynchronous.request("child", [1]),
            lambda: anext(asynchronous.map("child", [[1]])),
        ):
            try:
                await use()
            except (ClientClosed, RuntimeError):
                pass
            else:
                raise AssertionError("it is the parent's")
        await asyncio.wait_for(asynchronous.close(), LIMIT)

    asyncio.run(main())
    aio()


def aio_goes_on():
    """Forked by the loop's own thread, as servers do; a loop of its own comes next."""
    use()
    aio()


def closed_meanwhile():
    """Its state is that of the fork; what another thread began hangs no child."""
    with contextlib.suppress(ClientClosed):
        assert closing.call("child", [1]) == 1
    closing.close()
    use()


def in_pool(number):
    assert client.call("child", [number]) == number
    assert client.submit("child", [number]).result(LIMIT) == number


def fork_again():
    """A grandchild of a child that uses the client."""
    assert client.call("child", [1]) == 1
    pid = os.fork()
    if pid == 0:
        in_child(use)
    assert os.waitpid(pid, 0)[1] == 0
    assert client.call("child", [1]) == 1


def change():
    """The child has a list of its own, whatever becomes of the parent's."""
    assert client.call("child", [1]) == 1
    client.set_servers(spellings[1])
    assert client.call("child", [2]) == 2
    until(lambda: [each.host for each in client.servers()] == ["localhost"])
    client.set_servers(address)
    use_again = [client.submit("child", [i]) for i in range(100)]
    assert [each.result(LIMIT) for each in use_again] == list(range(100))


def cancel_what_is_not_ours():
    """The parent's calls do not exist here, whatever their ids."""
    future = client.submit("silence", timeout=0.3)
    first.cancel()
    for call in list(calls):
        call.cancel()
    try:
        future.result(LIMIT)
    except Exception as error:
        assert "timeout" in str(error), error


def normal_exit():
    """The interpreter's whole end, atexit included, runs in the child."""
    sys.exit(0)


def exec_ls(pipe):
    os.dup2(pipe, 1)
    os.execv("/bin/ls", ["ls", "/proc/self/fd"])


ACTIONS = {
    "_exit": lambda: None,
    "exit": normal_exit,
    "use": use,
    "use_and_close": use_and_close,
    "close": close,
    "closing": closed_meanwhile,
    "drop": drop,
    "look": look,
    "new": new,
    "aio": aio,
    "aio_inherited": aio_inherited,
    "fork_again": fork_again,
    "cancel": cancel_what_is_not_ours,
    "change": change,
}


# ---- the parent ------------------------------------------------------------------


def wait_for(pid):
    """Return how the child ended."""
    code = exit_code(pid)
    return "hung" if code is None else f"code {code}"


def fork_once():
    if action == "exec":
        ours, its = os.pipe()
        pid = os.fork()
        if pid == 0:
            exec_ls(its)
        os.close(its)
        ended = wait_for(pid)
        with os.fdopen(ours) as pipe:
            return f"{ended}, descriptors {pipe.read().split()}"
    if action in {"fork", "spawn", "forkserver"}:
        context = multiprocessing.get_context(action)
        process = context.Process(target=use if action == "fork" else new)
        process.start()
        process.join(2 * LIMIT)
        return f"code {process.exitcode}" if not process.is_alive() else "hung"
    if action == "closing":
        return fork_while_closing()
    if action == "pool":
        context = multiprocessing.get_context("fork")
        with concurrent.futures.ProcessPoolExecutor(2, context) as pool:
            list(pool.map(in_pool, range(4)))
        return "code 0"
    pid = os.fork()
    if pid == 0:
        if action == "exit":
            stop.set()
            normal_exit()
        in_child(ACTIONS[action])
    return wait_for(pid)


def fork_while_closing():
    """fork() at some moment of a close() by another thread."""
    global closing
    closing = Client(address)
    closing.notification("child", [1])
    thread = threading.Thread(target=closing.close)
    thread.start()
    pid = os.fork()
    if pid == 0:
        in_child(closed_meanwhile)
    thread.join()
    return wait_for(pid)


def fork_in_callback():
    """The child continues on what was the dispatcher's thread."""
    ended = []
    done = threading.Event()

    def on_result(_):
        pid = os.fork()
        if pid == 0:
            in_child(use_and_close)
        ended.append(wait_for(pid))
        done.set()

    client.request("echo", [-1], on_result)
    assert done.wait(2 * LIMIT)
    return ended[0]


def fork_in_a_loop():
    """fork() inside a coroutine; the child runs a loop of its own."""

    async def main():
        async with AsyncClient(address) as mine:
            assert await mine.call("child", [1]) == 1
            pid = os.fork()
            if pid == 0:
                # The running loop is the parent's: asyncio wants it forgotten.
                asyncio._set_running_loop(None)
                in_child(aio_goes_on)
            ended = await asyncio.to_thread(wait_for, pid)
            assert await mine.call("child", [2]) == 2
            return ended

    return asyncio.run(main())


def unseen(work):
    """Work in a thread whose objects are no leaks for LSan: a child has no such
    thread, whose stack would hold them."""
    disable = getattr(ctypes.CDLL(None), "__lsan_disable", None)
    if disable is not None:
        disable()
    work()


def submit():
    while not stop.is_set():
        for _ in range(50):
            calls.append(history.request(client)[1])
            del calls[:-50]
        until(lambda: len(history.open()) < 500 or stop.is_set())
        del history.entries[:-5000]


def call():
    while not stop.is_set():
        history.call(client)


def change_the_list():
    """The same server under one name, another, and both."""
    lists = itertools.cycle([" ".join(spellings), spellings[1], address])
    while not stop.is_set():
        client.set_servers(next(lists))
        stop.wait(0.002)


def await_calls():
    """Load by asyncio, in a thread of its own."""

    async def main():
        global asynchronous
        async with AsyncClient(address, timeout=30) as asynchronous:
            ready.set()
            while not stop.is_set():
                calls = [asynchronous.call("aio", [i]) for i in range(20)]
                if await asyncio.gather(*calls) != list(range(20)):
                    history.entries.append("an answer of another call")
                await asyncio.sleep(0.001)

    asyncio.run(main())


def fork_so():
    if action == "callback":
        return fork_in_callback()
    return fork_in_a_loop() if action == "loop" else fork_once()


def main():
    global client, first
    client = Client(address, max_in_flight=4096, **wide)
    first = client.request("silence", timeout=60)
    until(lambda: client.servers()[0].state == "up")
    works = [submit, submit, call]
    if action == "change":
        works.append(change_the_list)
    if action == "look":
        ready.set()  # an event loop's own descriptors stay open, as they should
    else:
        works.append(await_calls)
    workers = [threading.Thread(target=unseen, args=(work,)) for work in works]
    for worker in workers:
        worker.start()
    assert ready.wait(LIMIT)
    ended = Counter()
    for _ in range(count):
        ended[fork_so()] += 1
    stop.set()
    for worker in workers:
        worker.join()
    history.wait()
    history.check_outcomes()
    report = {
        "ended": ended,
        "calls": client.stats().requests,
        "lost": sum(each.losses for each in client.servers()),
        "errors": [repr(error) for error in history.errors()][:3],
    }
    client.close()
    print(json.dumps(report))


calls = []
client = closing = first = asynchronous = None
ready = threading.Event()
if __name__ == "__main__":  # spawned children import this file
    main()
