"""
An exception from a signal handler at every moment of a use; reports, as JSON.

    interrupted.py USE OWN STEP ADDRESS

USE is what is interrupted: "create", "close", or "drop", the end of a client that was
not closed.  The first OWN clients have threads of
their own.  Python runs signal handlers between two bytecodes: the exception comes at
every STEPth of them, one at a time.  Whatever it leaves behind has to go by itself;
a client that was not closed works, and can be closed.
"""

import gc
import itertools
import json
import os
import random
import sys
import warnings
from pathlib import Path

from history import LIMIT, until

import jsonrpcc
from jsonrpcc import Client, _crew, _session
from jsonrpcc._jsonrpcc import lib

use, own, step, address = sys.argv[1:]
_session.OWN_THREADS, step = int(own), int(step)
PACKAGE = str(Path(jsonrpcc.__file__).parent)
warnings.simplefilter("ignore", ResourceWarning)


class Outside(BaseException):
    pass


class Moment:
    """Raises at the n-th bytecode of ours after it was set as trace function."""

    def __init__(self, left):
        self.left = left

    def __call__(self, frame, event, _):
        frame.f_trace_opcodes = frame.f_code.co_filename.startswith(PACKAGE)
        if event == "opcode":
            self.left -= 1
            if self.left == 0:
                raise Outside
        return self


def kept():
    """How much of clients there is: in C, of descriptors, and in crews."""
    gc.collect()
    return (
        lib.jsonrpcc_client_count(),
        len(os.listdir("/proc/self/fd")),
        sum(len(crew._places) for crew in _crew._crews),
    )


def create(at):
    moment, client = Moment(at), None
    sys.settrace(moment)
    try:
        client = Client(address, timeout=LIMIT)
    except Outside:
        pass
    finally:
        sys.settrace(None)
    if client is not None:
        client.close()
    return moment.left > 0


def close(at):
    moment, client = Moment(at), Client(address, timeout=LIMIT)
    told = []
    client.request("echo", [1], told.append, told.append)
    sys.settrace(moment)
    try:
        client.close()
    except Outside:
        pass
    finally:
        sys.settrace(None)
    client.close()
    if len(told) != 1:
        problems.append(f"{at}: {told}")
    return moment.left > 0


def drop(at):
    moment, client = Moment(at), Client(address, timeout=LIMIT)
    sys.settrace(moment)
    try:
        del client
    finally:
        sys.settrace(None)
    return moment.left > 0


problems = []
sys.unraisablehook = lambda _: None  # what is raised in a finalizer
with Client(address, timeout=LIMIT) as other, Client(address) as another:
    assert other.submit("echo", [1]).result(LIMIT) == [1]
    globals()[use](1)  # what is made once
    until(lambda: other.stats().in_flight == 0)
    for at in itertools.count(random.Random().randint(1, step), step):
        before = kept()
        if globals()[use](at):
            break
        try:
            until(lambda before=before: kept() <= before)
        except AssertionError:
            problems.append(f"{at}: {before} before, {kept()} after")
        if other.submit("echo", [at]).result(LIMIT) != [at]:
            problems.append(f"{at}: another client does not work")
        if problems:
            break
print(json.dumps({"moments": at // step, "problems": problems}))
