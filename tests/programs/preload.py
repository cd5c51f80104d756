"""A client made before four workers are forked, and used in all of them."""

import json
import os
import sys
import threading
import warnings

from history import LIMIT, History

from jsonrpcc import Client

warnings.filterwarnings("ignore", "This process .* is multi-threaded")

client = Client(sys.argv[1])


def work(number):
    history = History(start=number * 1_000_000)

    def some():
        for _ in range(50):
            history.call(client)
            history.submit(client)
        history.map(client, 150)

    threads = [threading.Thread(target=some) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    history.wait()
    history.check_outcomes()
    assert not history.errors()
    assert client.drain(LIMIT)
    return len(history.entries)


assert client.servers()[0].port  # it has threads and sockets by now
workers = {}
for number in range(4):
    ours, its = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(its, str(work(number)).encode())
        sys.exit(0)
    os.close(its)
    workers[pid] = ours
own = work(4)
report = {"ended": [], "calls": [own]}
for pid, pipe in workers.items():
    with os.fdopen(pipe) as text:
        report["calls"].append(int(text.read() or -1))
    report["ended"].append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
client.close()
print(json.dumps(report))
