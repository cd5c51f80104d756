"""
A misbehaving witness behind a fault proxy, in a process to be stopped and killed.

    wild_server.py SEED LOG [PORT]

Says the proxy's port.  Every request that it received whole stands in LOG, as
"nonce connection time", before it is answered.  Its input is one command a line,
a JSON array: ["calm"], ["wild"], ["listen"], ["refuse"], ["each", "reset"],
["set", {"delay": 0.1}], ["stall", ...], ["cut", "to client", 100, "reset"],
["counts"].  Each is answered with a line.
"""

import asyncio
import json
import os
import sys

from misbehaviour import Misbehaviour
from proxy import Proxy
from witness import Witness


async def commands(proxy, witness):
    """Obey until the input ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        name, *args = json.loads(line)
        answer = ""
        match name:
            case "calm":
                witness.answer.on = False
                proxy.calm()
                await proxy.listen()
            case "wild":
                witness.answer.on = True
            case "listen":
                await proxy.listen()
            case "set":
                vars(proxy).update(args[0])
            case "counts":
                answer = {
                    "faults": witness.answer.counts,
                    "garbage": [ascii(text) for text in witness.garbage],
                    "connections": witness.connections,
                }
            case _:
                getattr(proxy, name)(*args)
        print(json.dumps(answer), flush=True)


async def main():
    seed, path, *port = sys.argv[1:]
    log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC)

    def note(frames):
        lines = []
        for frame in frames:
            message = frame.message()
            if message["method"] == "echo":
                nonce = message["params"][0]
                lines.append(f"{nonce} {frame.connection} {frame.time:.6f}\n")
        os.write(log, "".join(lines).encode())

    witness = Witness(Misbehaviour(seed), note=note)
    witness.loop = asyncio.get_running_loop()
    await witness.listen()
    proxy = Proxy(witness.port, int(port[0]) if port else 0)
    await proxy.listen()
    print(proxy.port, flush=True)
    await commands(proxy, witness)
    os._exit(0)  # with all connections, as they are


asyncio.run(main())
