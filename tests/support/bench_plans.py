"""A plan of ``jsonrpcc bench`` for tests to change."""

import msgspec

from jsonrpcc._cli.bench_plan import Plan, Share

PLAN = Plan(
    servers="", shares=[Share("add", "[{n}, 1]")], tls=None, rate=200.0,
    arrivals="constant", duration=0.5, warmup=0.1, in_flight=1000, timeout=5.0, seed=1,
)  # fmt: skip


def plan(**changes):
    return msgspec.structs.replace(PLAN, **changes)
