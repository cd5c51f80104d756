"""Children that a program, or a test, makes with os.fork()."""

import os
import signal
import sys
import threading
import time
import traceback

import pytest
from history import LIMIT
from time_limits import ASAN, TSAN


def in_child(what):
    """Run it and exit silently, as a child of os.fork() should."""
    code = 0
    try:
        what()
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
        code = 1
    sys.stderr.flush()
    os._exit(code)


def exit_code(pid, limit=LIMIT):
    """Wait for a child and return its exit code; None: it hung, and was killed."""
    end = time.monotonic() + limit
    tick = threading.Event()
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        tick.wait(0.001)
    os.kill(pid, signal.SIGABRT)
    os.waitpid(pid, 0)
    return None


def check_in_child(check):
    """Fork, run it in the child, and see that it raises nothing there."""
    if ASAN or TSAN:
        pytest.skip("the sanitizer's locks are not made for fork()")
    pid = os.fork()
    if pid == 0:
        in_child(check)
    assert exit_code(pid) == 0
