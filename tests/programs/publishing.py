"""Fork again and again while a publisher writes metrics; all of them publish."""

import json
import os
import sys
import threading

from jsonrpcc import Client
from jsonrpcc.prometheus import Publisher

address, children = sys.argv[1], int(sys.argv[2])
client = Client(address, timeout=10, name="app")
publisher = Publisher(client, every=0.0001)
stop = threading.Event()


def load():
    while not stop.is_set():
        client.call("first", [0])


threads = [threading.Thread(target=load) for _ in range(2)]
for thread in threads:
    thread.start()
for n in range(children):
    pid = os.fork()
    if pid == 0:
        for _ in range(n % 3):  # every third one does not use the client
            client.call("first", [n])
        sys.exit(0)
    assert os.waitpid(pid, 0)[1] == 0
stop.set()
for thread in threads:
    thread.join()
print(json.dumps({"children": children}))
