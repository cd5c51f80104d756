"""Refuses processes in which a client cannot work, before anything hangs."""

from __future__ import annotations

import _thread
import sys
import types
from typing import Any


def check_interpreter() -> None:
    """
    Refuse any interpreter but the main one.

    Raises:
        RuntimeError: This is a subinterpreter.
    """
    for name in ("_interpreters", "_xxsubinterpreters"):
        module = sys.modules.get(name)
        if module is not None:
            current = module.get_current()
            current = current[0] if isinstance(current, tuple) else current
            main = module.get_main()
            if current != (main[0] if isinstance(main, tuple) else main):
                msg = "jsonrpcc works only in the main interpreter"
                raise RuntimeError(msg)
            return


def check_threads() -> None:
    """
    Refuse to work if `threading` starts and waits for something else.

    Raises:
        RuntimeError: gevent or eventlet has patched it.
    """
    start: Any = _thread.start_new_thread
    if isinstance(start, types.BuiltinFunctionType):
        return
    library = str(getattr(start, "__module__", "")).partition(".")[0] or "something"
    msg = (
        f"threading is patched by {library}: a client would wait for real threads for "
        "ever; do not patch them (monkey.patch_all(thread=False), "
        "eventlet.monkey_patch(thread=False)), and make blocking calls in a pool of "
        "real threads (gevent.get_hub().threadpool, eventlet.tpool)"
    )
    raise RuntimeError(msg)
