"""The expert's client of protocol.py on asyncio's own loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bench.drive import blob
from bench.rivals.protocol import await1_main, await_main, callback_main, run_on

if TYPE_CHECKING:
    from bench.job import Job


def callback(job: Job) -> None:
    """Each callback submits the next call."""
    run_on(asyncio.new_event_loop, callback_main(job))


def await_(job: Job) -> None:
    """Many tasks."""
    run_on(asyncio.new_event_loop, await_main(job))


def await1(job: Job) -> None:
    """One call after the other."""
    run_on(asyncio.new_event_loop, await1_main(job))


def blob64k(job: Job) -> None:
    """Results of 64 KiB."""
    run_on(asyncio.new_event_loop, callback_main(job, blob("blob64k")))
