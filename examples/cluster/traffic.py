"""A steady stream of tasks to celery, dask and gunicorn in turn."""

from __future__ import annotations

import concurrent.futures
import itertools
import logging
import os
import threading
import time
import urllib.request
from typing import Any

import celery_app
import dask.distributed as dd
import work
from ledger import Ledger
from parts import PROCESSES

RATE = 8  # tasks a second, of a thousand calls each
MOST = 72  # tasks that may be under way: a slow machine gets them more slowly


class MakeClient(dd.WorkerPlugin):
    """What each worker of dask does when it starts and when it ends."""

    def setup(self, worker: Any) -> None:
        """Make the client, whose log goes to a file."""
        logging.basicConfig(filename=work.ledger().path.with_name("dask.log"))
        work.client()

    def teardown(self, worker: Any) -> None:
        """Close it."""
        work.client().close()


class Traffic(threading.Thread):
    """Sends tasks until all calls of the ledger are made."""

    def __init__(self, ledger: Ledger, dask_servers: str) -> None:
        super().__init__(name="traffic", daemon=True)
        self._ledger = ledger
        self._stopped = threading.Event()
        self._web = concurrent.futures.ThreadPoolExecutor(PROCESSES)
        os.environ["SERVERS"] = dask_servers  # which the workers inherit
        self._cluster = dd.LocalCluster(
            n_workers=PROCESSES,
            threads_per_worker=1,
            dashboard_address=None,
            silence_logs=logging.ERROR,
        )
        self._dask = dd.Client(self._cluster)
        self._dask.register_plugin(MakeClient())
        self.sent = 0  # calls

    def run(self) -> None:
        """Send them."""
        started = time.monotonic()
        engines = itertools.cycle((self._to_celery, self._to_dask, self._to_gunicorn))
        for task in range(self._ledger.calls // work.TASK):
            while (
                time.monotonic() < started + task / RATE
                or self.sent - self.ended > MOST * work.TASK
            ):
                if self._stopped.wait(0.05):
                    return
            next(engines)(task * work.TASK)
            self.sent += work.TASK

    @property
    def ended(self) -> int:
        """How many calls have an outcome."""
        return self._ledger.calls - self._ledger.counts.count(0)

    def _to_celery(self, first: int) -> None:
        celery_app.run.delay(first)

    def _to_dask(self, first: int) -> None:
        dd.fire_and_forget(self._dask.submit(work.by_future, first, pure=False))

    def _to_gunicorn(self, first: int) -> None:
        url = f"http://127.0.0.1:8000/{first}"
        self._web.submit(lambda: urllib.request.urlopen(url, timeout=100).close())

    def stop(self) -> None:
        """End the workers of dask."""
        self._stopped.set()
        self.join()
        self._web.shutdown(wait=False, cancel_futures=True)
        self._dask.close()
        self._cluster.close()
