"""
Celery: each process of the pool inherits the client, and opens its own connections.

A task is repeated only if its request was never sent.

    JSONRPCC_SERVERS=localhost:9999 celery -A celery_tasks worker
"""

import os

from celery import Celery, Task

import jsonrpcc

SERVERS = os.environ.get("JSONRPCC_SERVERS", "localhost:9999")
client = jsonrpcc.Client(SERVERS, name="celery", timeout=2.0)
app = Celery("tasks", broker=os.environ.get("BROKER", "amqp://localhost"))


@app.task(bind=True, max_retries=20)  # type: ignore[untyped-decorator]
def add(self: Task, a: int, b: int) -> int:
    """Do a task that must not run twice."""
    try:
        total: int = client.call("add", [a, b])
    except jsonrpcc.JsonRpcError as error:
        if error.fate == "not_sent":  # no server can have run it
            raise self.retry(exc=error, countdown=0.5) from error
        raise
    return total
