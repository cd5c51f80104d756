"""The files of prometheus_client's multiprocess mode, made so that readers see all."""

from __future__ import annotations

import contextlib
import inspect
import os
import struct
from pathlib import Path
from typing import Any

# As prometheus_client's mmap_dict.py begins a file: how much of it is used, then zeros.
_HEADER = struct.pack("i", 8)
_SIZE = 1 << 16
_CHECK = "_MmapedValue__check_for_pid_change"  # the method that knows the function


def process_of(values: Any) -> Any:
    """
    Return what the mode calls this process in the names of its files, or None.

    That is the process id, unless the application has set another function.
    *values* is prometheus_client.values.ValueClass.
    """
    if not getattr(values, "_multiprocess", False):  # it is another class
        return None
    with contextlib.suppress(KeyError, TypeError):
        check = inspect.getclosurevars(vars(values)[_CHECK])
        return check.nonlocals["process_identifier"]()
    return None


def make_files(process: Any, kinds: tuple[str, ...]) -> None:
    """
    Make the files of this process that do not exist, each whole at once.

    prometheus_client makes them empty and fills them then, and a scrape that comes in
    between fails by a struct.error.  What goes wrong here is left to it.
    """
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if not folder:
        return
    for kind in kinds:
        path = Path(folder, f"{kind}_{process}.db")
        whole = path.with_suffix(".new")  # which a scrape does not look at
        with contextlib.suppress(OSError):
            if path.exists():
                continue
            try:
                whole.write_bytes(_HEADER.ljust(_SIZE, b"\0"))
                os.link(whole, path)  # a rename might take the place of another
            finally:
                whole.unlink()
