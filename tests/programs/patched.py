"""
A process whose standard library gevent or eventlet has replaced.

    patched.py {gevent,eventlet} {before,later,but_threads,load} ADDRESS

Prints what became of the client, as JSON; after a load, how often other greenlets
ran meanwhile, and the answers that were wrong.
"""

import asyncio
import importlib
import json
import os
import sys
import warnings

warnings.simplefilter("ignore")  # eventlet's about itself

library, when, address = sys.argv[1:]


def patch(**what):
    if library == "gevent":
        importlib.import_module("gevent.monkey").patch_all(**what)
    else:
        importlib.import_module("eventlet").monkey_patch(**what)


def refusal(use):
    try:
        use()
    except RuntimeError as error:
        return str(error)
    return ""


def run_in_pool(function, *args):
    if library == "gevent":
        gevent = importlib.import_module("gevent")
        return gevent.get_hub().threadpool.spawn(function, *args).get()
    return importlib.import_module("eventlet.tpool").execute(function, *args)


def load(client, greenlets=20, calls=50):
    """Greenlets that call through the library's pool, and one that counts."""
    hub = importlib.import_module(library)
    ticks, wrong = 0, []

    def tick():
        nonlocal ticks
        while True:
            ticks += 1
            hub.sleep(0.001)

    def work(number):
        for n in range(number * calls, (number + 1) * calls):
            call = (client.call, lambda *args: client.submit(*args).result())[n % 2]
            result = run_in_pool(call, "add", [n, 1])
            if result != n + 1:
                wrong.append([n, result])

    ticker = hub.spawn(tick)
    workers = [hub.spawn(work, number) for number in range(greenlets)]
    for worker in workers:
        (worker.get if library == "gevent" else worker.wait)()
    ticker.kill()
    return ticks, wrong


if when == "before":
    patch()
if when in {"but_threads", "load"}:
    patch(thread=False)

import jsonrpcc  # noqa: E402


async def first_use(client):
    async with client:
        pass


if when == "before":
    print(json.dumps([
        refusal(lambda: jsonrpcc.Client(address)),
        refusal(lambda: jsonrpcc.AsyncClient(address)),
    ]))  # fmt: skip
elif when == "later":
    client = jsonrpcc.Client(address)
    asynchronous = jsonrpcc.AsyncClient(address)
    loop = asyncio.new_event_loop()
    sums = [client.call("add", [1, 2])]
    patch()
    # Neither library has its own threads survive that; calls need none.
    sums.append(client.call("add", [3, 4]))
    refused = refusal(lambda: loop.run_until_complete(first_use(asynchronous)))
    print(json.dumps([sums, refused]))
elif when == "load":
    with jsonrpcc.Client(address) as client:
        print(json.dumps(load(client)))
else:
    with jsonrpcc.Client(address) as client:
        sums = [run_in_pool(client.call, "add", [n, 1]) for n in range(5)]
        future = client.submit("add", [5, 1])
        sums.append(run_in_pool(future.result))
    print(json.dumps(sums))
sys.stdout.flush()
os._exit(0)
