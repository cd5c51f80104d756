"""A testing server, at a path or a port: says where, serves until its input ends."""

import sys

from history import METHODS

from jsonrpcc.testing import Drop, Payload, Server

METHODS = {**METHODS, "silence": print, "broken": print}
FAULTS = {"silence": Drop(), "broken": Payload('{"id":$id,"result":1e999}')}

path = sys.argv[1] if len(sys.argv) > 1 else None
with Server(METHODS, path=path, faults=FAULTS, keep=16) as server:
    print(server.address, flush=True)
    sys.stdin.read()
