"""
Publish in a process and its child; which files of metrics were made empty.

    publishing_first.py ADDRESS [NAME]

NAME is what the application calls its process, instead of the process id.
"""

import json
import os
import sys

from prometheus_client import mmap_dict, values

from jsonrpcc import Client

EMPTY = []


class Watched(mmap_dict.MmapedDict):
    def __init__(self, filename, read_mode=False):
        if not os.path.exists(filename) or os.path.getsize(filename) == 0:
            EMPTY.append(filename)
        super().__init__(filename, read_mode)


values.MmapedDict = Watched
address, *names = sys.argv[1:]
if names:
    values.ValueClass = values.MultiProcessValue(lambda: names[0])

from jsonrpcc.prometheus import Publisher  # noqa: E402 - after what it is to use

client = Client(address, name="app")
publisher = Publisher(client, every=3600)
client.call("first", [1])
publisher.publish()
child = os.fork()
if child == 0:
    client.call("first", [2])
    publisher.publish()
    os._exit(len(EMPTY))
status = os.waitpid(child, 0)[1]
EMPTY += [f"{status} of the child"] if status else []
print(json.dumps({"pid": os.getpid(), "child": child, "by others": EMPTY}))
