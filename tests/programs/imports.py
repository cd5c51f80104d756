"""Check what a program without mistakes has not imported by its end."""

import json
import sys

import jsonrpcc
from jsonrpcc.testing import Server

server = Server({"add": lambda a, b: a + b})
with server, jsonrpcc.Client(server.start().address) as client:
    client.call("add", [1, 2])
print(json.dumps({name: name in sys.modules for name in ("difflib", "unittest")}))
