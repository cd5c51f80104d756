"""Print the memory, in MiB, with thirty clients: the first thirty, and the third."""

import json
import os
from pathlib import Path

import jsonrpcc
from jsonrpcc.testing import Server


def resident():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") // 2**20


with Server({"echo": lambda x: x}) as server:
    seen = []
    for _ in range(3):
        clients = [jsonrpcc.Client(server.address) for _ in range(30)]
        for client in clients:
            client.call("echo", [1])
            client.submit("echo", [1]).result()
        seen.append(resident())
        for client in clients:
            client.close()
        del clients, client
print(json.dumps(seen))
