"""Celery: prefork workers, each with a client that its first task makes."""

import os

import work
from celery import Celery

app = Celery("cluster", broker=os.environ["BROKER"])
app.conf.task_ignore_result = True
app.conf.worker_prefetch_multiplier = 1


@app.task  # type: ignore[untyped-decorator]
def run(first: int) -> None:
    """Make the calls of a task."""
    work.by_map(first)
