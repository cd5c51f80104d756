"""Modules that are imported when they are used first."""

from __future__ import annotations

import importlib
from typing import Any


class LazyModule:
    """
    Stands for a module until it is used.

    Programs without an event loop start faster without asyncio, which takes a fifth
    of the time to import this package.
    """

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __getattr__(self, name: str) -> Any:
        """Import the module, and remember what is asked for."""
        value = getattr(importlib.import_module(self.__name__), name)
        setattr(self, name, value)
        return value
