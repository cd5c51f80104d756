"""A testing server: says its address, serves until its input ends."""

import sys

from history import METHODS

from jsonrpcc.testing import Drop, Payload, Server

METHODS = {**METHODS, "silence": print, "broken": print}
FAULTS = {"silence": Drop(), "broken": Payload('{"id":$id,"result":1e999}')}

with Server(METHODS, faults=FAULTS, keep=16) as server:
    print(server.address, flush=True)
    sys.stdin.read()
