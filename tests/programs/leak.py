"""Leaks on purpose, in our own code: what looks for leaks has to find it."""

import time

from jsonrpcc import Client
from jsonrpcc._jsonrpcc import lib


def leak(client):
    """What a C caller does who forgets jsonrpcc_sync_free()."""
    for _ in range(3):
        lib.jsonrpcc_sync_new(client._handle)


client = Client("127.0.0.1:1")
leak(client)
client.close()
del client
time.sleep(0.2)  # threads that are just ending are more than LSan can take
