"""
Forks that Python's hooks do not see, as C code in an extension forks.

Arguments: what the child does, how often, the address of a server.  The fork holds
the GIL, and no other thread waits for it: such a child could not go on, client or
not.  So the other threads have calls in flight, which are answered after the fork,
and what a client tells by itself has been told before it.
"""

import asyncio
import ctypes
import json
import os
import signal
import sys
import threading

from history import LIMIT, until

from jsonrpcc import AsyncClient, Client, ClientClosed

action, count, address = sys.argv[1], int(sys.argv[2]), sys.argv[3]
fork = ctypes.PyDLL(None).fork
connected = threading.Event()
client = Client(address, timeout=LIMIT, on_event=lambda _: connected.set())
# A thread gives the GIL up where it waits, and nowhere else: whoever is told by
# another one runs when that waits again.
sys.setswitchinterval(1000)
calls = []  # of the parent's, without an answer
bound = client.request, client.notification, client.call, client.submit


def await_child(pid):
    _, status = until(lambda: any(ended := os.waitpid(pid, os.WNOHANG)) and ended)
    return os.waitstatus_to_exitcode(status)


def use(request, notification, call, submit):
    done = threading.Event()
    request("first", [1], lambda _: done.set())
    assert done.wait(LIMIT)
    notification("first", [0])
    assert call("first", [2]) == 2
    assert call("first", params="[2]", timeout=5) == 2
    assert submit("first", [3]).result(LIMIT) == 3


def use_all():
    use(client.request, client.notification, client.call, client.submit)
    assert list(client.map("first", [[n] for n in range(9)])) == list(range(9))
    assert client.proxy.first(4) == 4
    assert client.drain(LIMIT)
    assert client.stats().requests > 10
    assert client.servers()[0].state == "up"
    client.close()


def each_first(n):
    """Each style of call is the child's first."""
    if n % 5 == 4:
        assert list(client.map("first", [[1]])) == [1]
    else:
        outcome = bound[n % 5]("first", [1])
        assert n % 5 != 3 or outcome.result(LIMIT) == 1
    assert client.drain(LIMIT)
    client.close()


def threads_first(_):
    """Several threads are the first to use it, and all get the same dispatcher."""
    wrong = []
    barrier = threading.Barrier(4)

    def work():
        barrier.wait(LIMIT)
        wrong.append(client.submit("first", [7]).result(LIMIT) != 7)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    assert wrong == [False] * 4
    assert len(client._dispatchers) == 1
    client.close()


def cancel(_):
    """The parent's calls do not exist in the child, whatever their ids."""
    mine = [client.submit("never", timeout=0.5) for _ in range(5)]
    for call in calls:
        call.cancel()
    for future in mine:
        error = future.exception(LIMIT)
        assert "timeout" in str(error), error
    client.close()


def look(_):
    assert client.drain(LIMIT)
    client.stats()
    client.servers()
    repr(client)
    client.close()


def again(n):
    """A fork of a fork of a fork."""
    sys.setswitchinterval(1000)
    for _ in range(2):
        connected.clear()
        assert client.submit("first", [n]).result(LIMIT) == n
        assert connected.wait(LIMIT)
        pid = fork()
        if pid:
            assert await_child(pid) == 0
            return
    each_first(n)


def leave_map(results):
    """A half-read map belongs to the parent."""
    try:
        rest = list(results)
    except ClientClosed:
        rest = None
    assert rest is None
    use_all()


async def awaits():
    async with AsyncClient(address, timeout=LIMIT) as mine:
        assert await mine.call("first", [1]) == 1
        pid = fork()
        if pid:
            return await_child(pid)
        refused = 0
        for _ in range(2):
            try:
                await mine.call("first", [2])
            except (ClientClosed, RuntimeError):
                refused += 1
        await mine.close()
        os._exit(0 if refused == 2 else 1)


ACTIONS = {
    "bound": lambda _: use(*bound),
    "cancel": cancel,
    "close": lambda _: client.close(),
    "drain": lambda _: client.drain(),
    "each": each_first,
    "exit": lambda _: sys.exit(0),
    "fork": again,
    "look": look,
    "threads": threads_first,
    "use": lambda _: use_all(),
    "used_exit": lambda _: (use_all(), sys.exit(0)),
}


def in_child(n):
    sys.setswitchinterval(0.005)
    try:
        ACTIONS[action](n)
    except SystemExit:
        raise
    except BaseException as error:
        os.write(2, f"{error!r}\n".encode())
        os._exit(1)
    os._exit(0)


def fork_in_map(n):
    results = client.map("first", [[n] for n in range(50)], window=5)
    assert next(results) == 0
    pid = fork()
    if pid == 0:
        ACTIONS["map"] = lambda _: leave_map(results)
        in_child(n)
    code = await_child(pid)
    assert list(results) == list(range(1, 50))
    return code


def fork_in_flight(n):
    """Two threads wait for outcomes that arrive after the fork."""
    told = []

    def work():
        told.append(client.submit("held", [7]).result(LIMIT))

    # Of others Python would wait for their end, which comes in the parent alone.
    threads = [threading.Thread(target=work, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    client.call("held_both")
    code = fork_unused(n)
    client.notification("go")
    for thread in threads:
        thread.join(LIMIT)
    assert told == [7, 7]
    return code


def fork_in_callbacks(method):
    """One of several callbacks returns in a child, which ends and runs no other."""
    me, codes, left, done = os.getpid(), [], [5], threading.Event()

    def tell(_):
        if os.getpid() != me:
            os._exit(3)
        if left[0] == 4:
            pid = fork()
            if pid == 0:
                return
            codes.append(await_child(pid))
        left[0] -= 1
        if left[0] == 0:
            done.set()

    def submit_some(_):
        for n in range(5):
            client.request(method, [n], tell, tell)
        client.call("first", [1])  # and by then they have come, too

    client.request("first", [1], submit_some)
    assert done.wait(2 * LIMIT)
    return codes[0]


def fork_in_event(_):
    me, codes, done = os.getpid(), [], threading.Event()

    def on_event(_):
        if os.getpid() != me:
            os._exit(3)
        if not codes:
            pid = fork()
            if pid == 0:
                return
            codes.append(await_child(pid))
            done.set()

    with Client(address, on_event=on_event) as other:
        assert done.wait(2 * LIMIT)
        assert other.call("first", [1]) == 1
    return codes[0]


def fork_in_handler(_):
    """A signal handler forks in the middle of a call, and returns in the child."""
    codes = []

    def handler(*_):
        pid = fork()
        codes.append(await_child(pid) if pid else None)
        if pid:
            client.notification("go")

    def kill():
        client.call("held_one")
        signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)

    signal.signal(signal.SIGUSR1, handler)
    killer = threading.Thread(target=kill)
    killer.start()
    try:
        assert client.call("held", [7]) == 7
    except ClientClosed as error:
        if codes != [None] or error.fate != "unknown":
            os._exit(4)
        ACTIONS["handler"] = lambda _: use_all()
        in_child(0)
    killer.join(LIMIT)
    return codes[0]


def fork_unused(n):
    pid = fork()
    if pid == 0:
        in_child(n)
    return await_child(pid)


def main():
    how = {
        "aio": lambda _: asyncio.run(awaits()),
        "event": fork_in_event,
        "failures": lambda _: fork_in_callbacks("fail"),
        "handler": fork_in_handler,
        "map": fork_in_map,
        "results": lambda _: fork_in_callbacks("first"),
    }
    if "unused" in sys.argv:
        how[action] = fork_unused
    else:
        use(*bound)
    assert connected.wait(LIMIT)
    calls.extend(client.request("never") for _ in range(5 * (action == "cancel")))
    ended = [how.get(action, fork_in_flight)(n) for n in range(count)]
    for call in calls:
        call.cancel()
    use_all()
    print(json.dumps(ended))


main()
