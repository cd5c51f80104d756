"""Starting and stopping the server of jsonrpcc.testing, in whatever state it is."""

import asyncio
import contextlib
import gc
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from peer import (
    LIMIT,
    METHODS,
    Peer,
    add,
    frame_of,
    linux,
    request,
    result,
    serving,
    text,
)

from jsonrpcc.testing import (
    Close,
    Delay,
    Drip,
    Flood,
    LoopThread,
    Merge,
    NeverRead,
    Raw,
    Server,
    SlowRead,
    netstring,
)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_address(host):
    with serving(host=host) as server:
        shown = "[::1]" if host == "::1" else host
        assert server.address == f"{shown}:{server.port}"
        assert server.port > 0
        with contextlib.closing(socket.create_connection((host, server.port))):
            server.wait_for_connections(1)


def test_a_port_in_use_raises_in_the_caller():
    threads = threading.active_count()
    with serving() as server:
        with pytest.raises(OSError, match="in use"):
            Server(port=server.port).start()
        with pytest.raises(OSError, match="in use"):
            asyncio.run(enter(Server(port=server.port)))
    with pytest.raises(OSError):  # noqa: PT011 - the text is the system's
        Server(host="192.0.2.1").start()
    assert threading.active_count() == threads


async def enter(server):
    async with server:
        pytest.fail("it must not start")


def test_stop_closes_everything_and_start_takes_the_same_port():
    with serving() as server:
        port = server.port
        for _ in range(5):
            with Peer(server) as peer:
                assert peer.call("add", [1, 2]) == result(3)
                server.stop()
                assert peer.until_end() == (b"", "close")
            with pytest.raises(ConnectionRefusedError):
                Peer(server)
            assert server.connections == 0
            server.start()
            assert server.port == port
        assert len(server.requests) == 5


def test_start_and_stop_are_idempotent():
    server = Server(METHODS)
    server.stop()
    assert server.start() is server.start()
    server.stop()
    server.stop()
    with server, Peer(server) as peer:
        assert peer.call("add", [1, 2]) == result(3)


@linux
def test_the_port_stays_ours_while_stopped():
    """No outgoing connection of this machine may get the port meanwhile."""
    with serving() as server:
        server.stop()
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", server.port))


def test_the_port_is_free_afterwards():
    with serving() as server:
        port = server.port
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))


def test_stop_from_a_method():
    def die():
        server.stop()

    with serving({"die": die, "add": add}) as server, Peer(server) as peer:
        peer.request("die")
        assert peer.until_end() == (b"", "close")
        server.start()
        with Peer(server) as peer2:
            assert peer2.call("add", [1, 2]) == result(3)


async def sleep_for_ever():
    await asyncio.Event().wait()


async def ignore_cancellation():
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0.3)
            return


async def leave_a_task():
    leave_a_task.task = asyncio.create_task(sleep_for_ever())


def open_descriptors():
    return sum(1 for _ in Path("/dev/fd").iterdir())


STATES = {
    "nothing happened": ([], []),
    "in a function": ([], [request("sleep_for_ever")]),
    "in a function that ignores it": ([], [request("ignore_cancellation")]),
    "a task left over": ([], [request("leave_a_task")]),
    "delayed": ([Delay(60)], [request("add", [1, 2])]),
    "dripping": ([Drip(1)], [request("add", [1, 2])]),
    "merging": ([Merge(5)], [request("add", [1, 2])]),
    "flooding": ([Flood()], [request("add", [1, 2])]),
    "half closed": ([Close(5)], [request("add", [1, 2])]),
    "reading slowly": ([SlowRead(1)], [request("add", [1, 2])]),
    "never reading": ([NeverRead()], [request("add", [1, 2])]),
    "half a frame": ([], None),
}


@pytest.mark.parametrize("state", STATES)
def test_leaving_takes_less_than_two_seconds_in_every_state(state, caplog):
    faults, messages = STATES[state]
    functions = [sleep_for_ever, ignore_cancellation, leave_a_task, add]
    methods = {function.__name__: function for function in functions}
    threads = threading.active_count()
    descriptors = open_descriptors()
    with serving(methods, fault=faults) as server, Peer(server) as peer:
        if messages is None:
            peer.sock.sendall(b"100:{")
        else:
            peer.send(*messages)
        if messages and "reading" not in state:
            server.wait_for_requests(1)
        else:
            server.wait_for_connections(1)
        start = time.monotonic()
        server.stop()
        assert time.monotonic() - start < 2
    assert threading.active_count() == threads
    assert open_descriptors() == descriptors
    gc.collect()
    assert caplog.records == [], "nor is anything logged"


@pytest.mark.parametrize("batch", [False, True])
def test_a_function_cancelled_before_it_began_warns_of_nothing(batch):
    def die():
        server.stop()

    methods = {"sleep": sleep_for_ever, "die": die}
    with serving(methods) as server, Peer(server) as peer:
        sleeps = [request("sleep")] * 3
        peer.send(sleeps if batch else sleeps[0], request("die"))
        assert peer.until_end() == (b"", "close")
    gc.collect()


def test_a_function_is_cancelled_when_its_connection_ends():
    ended = threading.Event()

    async def sleep():
        try:
            await sleep_for_ever()
        finally:
            ended.set()

    with serving({"sleep": sleep}) as server:
        with Peer(server) as peer:
            peer.request("sleep")
            server.wait_for_requests(1)
            peer.sock.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
        assert ended.wait(LIMIT)


def test_a_function_that_blocks_the_loop_is_left_with_a_warning():
    release = threading.Event()
    threads = set(threading.enumerate())
    methods = {"block": lambda: release.wait(LIMIT)}
    with serving(methods) as server, Peer(server) as peer:
        peer.request("block")
        server.wait_for_requests(1)
        start = time.monotonic()
        with pytest.warns(ResourceWarning, match="blocks"):
            server.stop()
        assert time.monotonic() - start < 2.2
        release.set()
        for thread in set(threading.enumerate()) - threads:
            thread.join(LIMIT)
            assert not thread.is_alive()
        assert peer.until_end()[1] == "close"


def test_stopping_while_connections_come_in_leaks_nothing():
    descriptors = open_descriptors()
    for _ in range(30):
        with serving() as server:
            peers = [Peer(server) for _ in range(5)]
        for peer in peers:
            peer.sock.close()
    gc.collect()
    assert open_descriptors() == descriptors


def test_inside_an_asyncio_loop():
    async def main():
        async with Server({"add": add, "sleep": asyncio.sleep}) as server:
            assert threading.active_count() == threads
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(netstring(text(request("add", [1, 2]))))
            assert await reader.readexactly(len(frame_of(3))) == frame_of(3)
            seen = await asyncio.to_thread(server.wait_for_requests, 1)
            assert seen[0].method == "add"
            with pytest.raises(RuntimeError, match="to_thread"):
                server.wait_for_requests(1)
            with pytest.raises(RuntimeError, match="freeze"):
                server.freeze()
            server.stop()
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()
            server.start()
            server.misbehave(Raw(b"!"))
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(netstring(text(request("sleep", [60]))))
            writer.write(netstring(text(request("add", [1, 2]))))
            assert await reader.readexactly(1) == b"!"
            writer.close()
            await writer.wait_closed()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    threads = threading.active_count()
    asyncio.run(main(), debug=True)


def test_many_servers_in_one_thread():
    threads = threading.active_count()
    with LoopThread() as thread, contextlib.ExitStack() as stack:
        servers = [
            stack.enter_context(Server(METHODS, thread=thread)) for _ in range(200)
        ]
        assert threading.active_count() == threads + 1
        assert len({server.port for server in servers}) == 200
        for server in servers[::20]:
            with Peer(server) as peer:
                assert peer.call("add", [1, 2]) == result(3)
        servers[0].stop()
        with pytest.raises(ConnectionRefusedError):
            Peer(servers[0])
        servers[0].start()
        with Peer(servers[0]) as peer:
            assert peer.call("add", [1, 2]) == result(3)
    assert threading.active_count() == threads


SERVE = """
from jsonrpcc.testing import Server
Server({"add": lambda a, b: a + b}).serve_forever(
    lambda server: print(server.port, flush=True))
print("bye")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_forever_until_a_signal(number):
    command = [sys.executable, "-W", "error", "-c", SERVE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        port = int(process.stdout.readline())
        address = ("127.0.0.1", port)
        with contextlib.closing(socket.create_connection(address, LIMIT)) as sock:
            sock.sendall(netstring(text(request("add", [1, 2]))))
            assert sock.recv(100) == frame_of(3)
            process.send_signal(number)
            assert process.wait(LIMIT) == 0
            assert process.stdout.read() == "bye\n"


def test_serve_forever_in_a_thread_until_stop():
    ready = threading.Event()
    server = Server(METHODS)
    thread = threading.Thread(target=server.serve_forever, args=[lambda _: ready.set()])
    thread.start()
    assert ready.wait(LIMIT)
    with Peer(server) as peer:
        assert peer.call("add", [1, 2]) == result(3)
    server.stop()
    thread.join(LIMIT)
    assert not thread.is_alive()
