"""jsonrpcc, with its default codec."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import jsonrpcc
from bench.drive import (
    GET_USER,
    TYPED,
    blob,
    chains,
    check_matching,
    one_by_one,
    side_by_side,
    side_chains,
    sparsely,
    submit,
)
from bench.job import USER, Job, WrongResultError, check_user
from bench.rivals.protocol import await_one_by_one, await_tasks, run_uvloop

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.drive import Work

THREADS = 8
TIMEOUT = 30.0


class Runs:
    """The workloads with the client's options as given."""

    def __init__(self, **options: Any) -> None:
        """For all clients that are made."""
        self._options = options

    def _client(self, job: Job) -> jsonrpcc.Client:
        return jsonrpcc.Client(job.server, timeout=TIMEOUT, **self._options)

    def _callback(self, job: Job, work: Work = GET_USER) -> None:
        failures: SimpleQueue[object] = SimpleQueue()

        def wait(start: Callable[..., None], *args: Any) -> None:
            start(client.request, *args, lambda: failures.put(None), failures.put)
            if (failure := failures.get()) is not None:
                raise WrongResultError(failure)

        with self._client(job) as client:
            check_matching(
                client.request, lambda: failures.put(None), failed=failures.put
            )
            if (failure := failures.get()) is not None:
                raise WrongResultError(failure)
            wait(chains, work, job.warmup, job.window, job.latencies)
            with job.measure():
                wait(chains, work, job.calls, job.window, job.latencies)

    def callback(self, job: Job) -> None:
        """Each callback submits the next call."""
        self._callback(job)

    def blob64k(self, job: Job) -> None:
        """Results of 64 KiB."""
        self._callback(job, blob("blob64k"))

    def blob1m(self, job: Job) -> None:
        """Results of 1 MiB."""
        self._callback(job, blob("blob1m"))

    def typed(self, job: Job) -> None:
        """Results of a type, or of a part of one."""
        work, result_type = TYPED[job.workload.replace("_", "-")]
        ends: SimpleQueue[object] = SimpleQueue()

        def run(calls: int) -> None:
            chains(
                request,
                work,
                calls,
                job.window,
                job.latencies,
                lambda: ends.put(None),
                ends.put,
            )
            if (failure := ends.get()) is not None:
                raise WrongResultError(failure)

        with self._client(job) as client:
            call = client.request

            # As programs write it: partial() with a keyword makes a dict for each call.
            def request(
                method: str,
                params: Any,
                on_result: Callable[[Any], None],
                on_error: Callable[[Any], None],
            ) -> None:
                call(method, params, on_result, on_error, result_type=result_type)

            run(job.warmup)
            with job.measure():
                run(job.calls)

    def clients(self, job: Job) -> None:
        """Many clients, each with its part of the calls."""
        ends: SimpleQueue[object] = SimpleQueue()
        count = int(job.workload.removeprefix("clients"))

        def run(calls: int) -> None:
            requests = [client.request for client in clients]
            side_chains(
                requests,
                calls,
                job.window,
                job.latencies,
                lambda: ends.put(None),
                ends.put,
            )
            if (failure := ends.get()) is not None:
                raise WrongResultError(failure)

        with ExitStack() as stack:
            clients = [stack.enter_context(self._client(job)) for _ in range(count)]
            run(job.warmup)
            with job.measure():
                run(job.calls)

    def callback_main(self, job: Job) -> None:
        """The main thread submits, and sleeps when the window is full."""
        with self._client(job) as client:
            _submit(client, job, job.warmup, job.window)
            with job.measure():
                _submit(client, job, job.calls, job.window)

    def callback8(self, job: Job) -> None:
        """Eight threads submit to one client."""
        gates = [threading.Barrier(THREADS + 1) for _ in range(2)]

        def work() -> None:
            for gate, calls in zip(gates, (job.warmup, job.calls), strict=True):
                _submit(client, job, calls // THREADS, job.window // THREADS)
                gate.wait()
                gate.wait()

        with self._client(job) as client:
            threads = [threading.Thread(target=work) for _ in range(THREADS)]
            for thread in threads:
                thread.start()
            gates[0].wait()
            with job.measure():
                gates[0].wait()
                gates[1].wait()
            gates[1].wait()
            for thread in threads:
                thread.join()

    def map(self, job: Job) -> None:
        """Results in order, from an iterable of params."""
        with self._client(job) as client:

            def run(calls: int) -> None:
                count = 0
                for result in client.map("get_user", (USER for _ in range(calls))):
                    check_user(result)
                    count += 1
                if count != calls:
                    raise WrongResultError(count)

            run(job.warmup)
            with job.measure():
                run(job.calls)

    def sync(self, job: Job) -> None:
        """One call after the other."""
        with self._client(job) as client:
            one_by_one(job, client.call)

    def sparse2(self, job: Job) -> None:
        """A call every 2 ms."""
        self._sparse(job, 0.002)

    def sparse5(self, job: Job) -> None:
        """A call every 5 ms."""
        self._sparse(job, 0.005)

    def sparse20(self, job: Job) -> None:
        """A call every 20 ms."""
        self._sparse(job, 0.02)

    def _sparse(self, job: Job, pause: float) -> None:
        with self._client(job) as client:
            sparsely(job, client.call, pause)

    def sync8(self, job: Job) -> None:
        """Eight threads with one client."""
        with self._client(job) as client:
            side_by_side(job, 8, lambda: client.call)

    def sync64(self, job: Job) -> None:
        """And 64 of them."""
        with self._client(job) as client:
            side_by_side(job, 64, lambda: client.call)

    def notify(self, job: Job) -> None:
        """Send, then ask the server how many it has got."""
        with self._client(job) as client:
            notification = client.notification
            for _ in range(job.warmup):
                notification("log", USER)
            before = client.call("count", [])
            with job.measure():
                for _ in range(job.calls):
                    notification("log", USER)
                count = client.call("count", [])
        if count - before != job.calls:
            raise WrongResultError(count)

    def await_(self, job: Job) -> None:
        """Many tasks."""

        async def main() -> None:
            async with jsonrpcc.AsyncClient(
                job.server, timeout=TIMEOUT, **self._options
            ) as client:
                await await_tasks(job, client.call)

        run_uvloop(main())

    def await1(self, job: Job) -> None:
        """One call after the other."""

        async def main() -> None:
            async with jsonrpcc.AsyncClient(
                job.server, timeout=TIMEOUT, **self._options
            ) as client:
                await await_one_by_one(job, client.call)

        run_uvloop(main())


def _submit(client: jsonrpcc.Client, job: Job, calls: int, window: int) -> None:
    steps: SimpleQueue[object] = SimpleQueue()

    def wait() -> None:
        if (failure := steps.get()) is not None:
            raise WrongResultError(failure)

    submit(
        client.request,
        GET_USER,
        calls,
        window,
        job.latencies,
        lambda: steps.put(None),
        wait,
        steps.put,
    )


_runs = Runs()
callback = _runs.callback
callback_main = _runs.callback_main
callback8 = _runs.callback8
map = _runs.map  # noqa: A001 - the workload's name
sync = _runs.sync
sync8 = _runs.sync8
sync64 = _runs.sync64
sparse2 = _runs.sparse2
sparse5 = _runs.sparse5
sparse20 = _runs.sparse20
notify = _runs.notify
await_ = _runs.await_
await1 = _runs.await1
blob64k = _runs.blob64k
blob1m = _runs.blob1m
typed = blob64k_typed = blob64k_partial = _runs.typed
clients1 = clients10 = clients100 = _runs.clients
