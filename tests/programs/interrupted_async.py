"""
An exception from a signal handler at every moment of an AsyncClient's life, as JSON.

    interrupted_async.py USE STEP ADDRESS

USE is what is interrupted: "open", the first use of a client, "close", or "drop", the
end of one that was not closed, with a call in flight or without.  Python runs signal
handlers after calls, and where a function or the next turn of a loop begins: the
exception comes at every STEPth such moment, in our code and in the event loop's that it
calls, one at a time.  Whatever it leaves behind has to go by itself, and a client that
was not dropped works.
"""

import asyncio
import dis
import functools
import gc
import json
import operator
import os
import random
import sys
import warnings
from pathlib import Path

from helpers import LIMIT, until_then

import jsonrpcc
from jsonrpcc import AsyncClient
from jsonrpcc._jsonrpcc import lib

use, step, address = sys.argv[1:]
step = int(step)
OURS = (str(Path(jsonrpcc.__file__).parent),)
if use != "close":  # there, a task that asyncio has half woken is asyncio's affair
    OURS += (asyncio.base_events.__file__,)
warnings.simplefilter("ignore", ResourceWarning)
LOOKS = {
    code
    for name, code in dis.opmap.items()
    if name.startswith(("CALL", "RESUME", "JUMP_BACKWARD"))
}
code_of = functools.cache(operator.attrgetter("co_code"))


class Outside(BaseException):
    pass


class Moment:
    """Raises at the n-th moment of ours after it was set as trace function."""

    def __init__(self, left):
        self.left = left
        self._is_one = False

    def __call__(self, frame, event, _):
        frame.f_trace_opcodes = frame.f_code.co_filename.startswith(OURS)
        if event == "opcode":
            is_one = self._is_one
            self._is_one = code_of(frame.f_code)[frame.f_lasti] in LOOKS
            self.left -= is_one
            if is_one and self.left == 0:
                raise Outside
        return self


def kept():
    """How much of clients there is: in C, of descriptors, and in the event loop."""
    gc.collect()
    readers = len(asyncio.get_running_loop()._selector.get_map())
    return lib.jsonrpcc_client_count(), len(os.listdir("/proc/self/fd")), readers


def first_step(client):
    """Make a call, as far as it comes without the event loop."""
    call = client.call("echo", [1])
    try:
        call.send(None)
    finally:
        call.close()


async def open_(at):
    moment, client = Moment(at), AsyncClient(address, timeout=LIMIT)
    sys.settrace(moment)
    try:
        first_step(client)
    except Outside:
        pass
    finally:
        sys.settrace(None)
    assert await client.call("echo", [at]) == [at]
    await client.close()
    return moment.left > 0


async def drop(at):
    moment, client = Moment(at), AsyncClient(address, timeout=LIMIT)
    await client.call("echo", [at])
    waiting = None
    if at % 2:
        waiting = asyncio.ensure_future(client.call("silence", timeout=LIMIT))
        await asyncio.sleep(0)
    sys.settrace(moment)
    try:
        del client
    finally:
        sys.settrace(None)
    if waiting is not None:
        (outcome,) = await asyncio.gather(waiting, return_exceptions=True)
        if not isinstance(outcome, jsonrpcc.ClientClosed):
            problems.append(f"{at}: {outcome!r}")
    return moment.left > 0


async def close(at):
    moment, client = Moment(at), AsyncClient(address, timeout=LIMIT)
    await client.call("echo", [at])
    waiting = asyncio.ensure_future(client.call("silence", timeout=LIMIT))
    await asyncio.sleep(0)
    closing = client.close()
    sys.settrace(moment)
    try:
        closing.send(None)
    except (Outside, StopIteration):
        pass
    finally:
        sys.settrace(None)
        closing.close()
    await client.close()
    (outcome,) = await asyncio.gather(waiting, return_exceptions=True)
    if not isinstance(outcome, jsonrpcc.ClientClosed):
        problems.append(f"{at}: {outcome!r}")
    return moment.left > 0


async def main():
    function = {"open": open_, "close": close, "drop": drop}[use]
    async with AsyncClient(address, timeout=LIMIT) as other:
        await other.call("echo", [0])
        await function(1)  # what is made once
        is_over, at = False, random.Random().randint(1, step)
        while not is_over and not problems:
            before = kept()
            is_over = await function(at)
            try:
                await until_then(lambda before=before: kept() <= before)
            except TimeoutError:
                problems.append(f"{at}: {before} before, {kept()} after")
            if await other.call("echo", [at]) != [at]:
                problems.append(f"{at}: another client does not work")
            at += step
    return at // step


problems = []
sys.unraisablehook = lambda _: None  # what is raised in a finalizer
print(json.dumps({"moments": asyncio.run(main()), "problems": problems}))
