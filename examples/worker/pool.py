"""
A pool of processes that work through jobs, one number per line; a job is a call.

    seq 1000 | python examples/worker/pool.py "localhost:9999,2 localhost:9998,1"

It prints a line per job, and says for each that failed whether it may have run:
the errors of calls come home from the workers with all of their attributes.
"""

import multiprocessing
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed

import jsonrpcc

WORKERS = 4
client: jsonrpcc.Client  # one for each process


def start(servers: str) -> None:
    """Begin a worker: its client stays open until the process ends."""
    global client  # noqa: PLW0603
    client = jsonrpcc.Client(servers, name="pool", timeout=5.0)


def work(job: int) -> int:
    """Do a job.  To do it twice is no harm, so it survives lost connections."""
    total: int = client.call("add", [job, 1], idempotent=True, wait_for_ready=True)
    return total


def main(servers: str, jobs: Iterable[int]) -> int:
    """Do all jobs; return the exit code, 1 if any failed."""
    failures = 0
    # Not fork(), which Python 3.12 warns of in a process with threads.
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(WORKERS, context, start, (servers,)) as pool:
        futures = {pool.submit(work, job): job for job in jobs}
        for future in as_completed(futures):
            job = futures[future]
            try:
                print(f"{job}: {future.result()}")
            except jsonrpcc.JsonRpcError as error:
                failures += 1
                again = "again later" if error.fate == "not_sent" else "ask first"
                print(f"{job}: failed, {again}: {error}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], map(int, sys.stdin)))
