"""jsonrpcc, with orjson as its codec."""

from __future__ import annotations

from bench.rivals.ours import Runs

_runs = Runs(codec="orjson")
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
clients1 = clients10 = clients100 = _runs.clients
