"""Leaks on purpose, one by one: what looks for leaks has to find those of ours."""

import ctypes
import time

from jsonrpcc import Client
from jsonrpcc._jsonrpcc import lib

COUNT = 3  # what is left of the last one may still be seen on the stack
lose = ctypes.pythonapi.Py_IncRef
lose.argtypes = [ctypes.py_object]
raw_malloc = ctypes.pythonapi.PyMem_RawMalloc


def in_the_core(client):
    """Do what a C caller does that forgets jsonrpcc_sync_free()."""
    for _ in range(COUNT):
        lib.jsonrpcc_sync_new(client._session.handle)


def in_fast(client):
    """A reference that is not given back, to an object that _speedups has made."""
    for _ in range(COUNT):
        lose(client.request("nobody"))


def in_python():
    """Leak something that is not ours: it must be reported, but must not count."""
    for _ in range(COUNT):
        raw_malloc(1009)


with Client("127.0.0.1:1") as client:
    in_the_core(client)
    in_fast(client)
    in_python()
    client.drain()
del client
time.sleep(0.2)  # threads that are just ending are more than LSan can take
