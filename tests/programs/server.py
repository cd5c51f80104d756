"""A testing server: says its address, serves until its input ends."""

import sys

from firing import METHODS

from jsonrpcc.testing import Server

with Server(METHODS, keep=16) as server:
    print(server.address, flush=True)
    sys.stdin.read()
