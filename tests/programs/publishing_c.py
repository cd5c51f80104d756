"""Fork in C, past Python's hooks, while a thread is writing metrics."""

import ctypes
import os
import sys
import threading

from history import LIMIT

from jsonrpcc import Client, prometheus

client = Client(sys.argv[1], timeout=LIMIT, name="app")
publisher = prometheus.Publisher(client, every=3600)
assert client.call("first", [1]) == 1
is_writing, go_on = threading.Event(), threading.Event()
child_of = prometheus._metrics.child


def slow(*args):
    is_writing.set()
    assert go_on.wait(LIMIT)
    return child_of(*args)


prometheus._metrics.child = slow
writer = threading.Thread(target=publisher.publish)
writer.start()
assert is_writing.wait(LIMIT)
pid = ctypes.PyDLL(None).fork()
if pid == 0:
    assert client.call("first", [2]) == 2
    publisher.publish()  # whose locks are held, is not known
    client.close()
    publisher.close()
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
go_on.set()
writer.join()
print("true")
