"""How gunicorn serves app.py; it reads this file by itself."""

import os
import tempfile

from prometheus_client import multiprocess

# prometheus_client reads this when it is imported, which app.py does later.
os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", tempfile.mkdtemp(prefix="metrics-"))

workers = 3
preload_app = True  # the workers inherit the client; without this, each makes one
max_requests, max_requests_jitter = 1000, 100  # recycled workers are counted, too


def child_exit(server, worker):
    """Let the gauges of a worker that ended count no more."""
    multiprocess.mark_process_dead(worker.pid)
