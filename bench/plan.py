"""What is measured: the workloads, the rivals, and who runs what."""

from __future__ import annotations

import keyword
from dataclasses import dataclass


@dataclass(frozen=True)
class Workload:
    """One kind of use; *window* is how many calls may be in flight."""

    name: str
    title: str
    calls: int
    window: int
    pinned: bool = False
    function: str = ""
    """The name under which rivals have it, if it is not *name*."""

    @property
    def run(self) -> str:
        """The function of a rival's module that does this workload."""
        name = (self.function or self.name).replace("-", "_")
        return f"{name}_" if keyword.iskeyword(name) else name


@dataclass(frozen=True)
class Rival:
    """A client; *module* is below bench.rivals, or a C file there."""

    name: str
    title: str
    module: str
    workloads: frozenset[str]
    redis: bool = False
    share: float = 1.0
    """The part of a workload's calls that it is asked for: slow ones get less."""

    ours: bool = False

    @property
    def is_c(self) -> bool:
        """Whether it is a program of its own instead of a Python module."""
        return self.module.endswith(".c")


WORKLOADS = (
    Workload(
        "callback", "a callback per result, submitted by callbacks", 200_000, 1000
    ),
    Workload(
        "callback-main", "a callback per result, submitted by a thread", 200_000, 1000
    ),
    Workload("callback8", "a callback per result, 8 threads", 200_000, 1000),
    Workload("typed", "a callback per result of a type", 200_000, 1000),
    Workload("clients1", "a callback per result, one client", 100_000, 1000),
    Workload("clients10", "10 clients, 100 in flight each", 100_000, 1000),
    Workload("clients100", "100 clients, 10 in flight each", 50_000, 1000),
    Workload("map", "results in order, in bulk", 200_000, 1000),
    Workload("await", "1000 asyncio tasks, each awaiting its calls", 200_000, 1000),
    Workload("sync", "blocking calls, one after the other", 20_000, 1),
    Workload(
        "sync-pinned",
        "blocking calls, client and server on one core",
        20_000,
        1,
        pinned=True,
        function="sync",
    ),
    Workload("sync8", "blocking calls, 8 threads", 40_000, 8),
    Workload("sync64", "blocking calls, 64 threads", 40_000, 64),
    Workload("sparse2", "a blocking call every 2 ms", 500, 1),
    Workload("sparse5", "a blocking call every 5 ms", 300, 1),
    Workload("sparse20", "a blocking call every 20 ms", 100, 1),
    Workload("await1", "awaited calls, one after the other", 20_000, 1),
    Workload(
        "await1-pinned",
        "awaited calls, client and server on one core",
        20_000,
        1,
        pinned=True,
        function="await1",
    ),
    Workload("notify", "notifications, until the server has them all", 200_000, 1000),
    Workload("blob64k", "results of 64 KiB", 4_000, 16),
    Workload("blob64k-typed", "results of 64 KiB, of a type", 4_000, 16),
    Workload("blob64k-partial", "results of 64 KiB, three members of a row", 4_000, 16),
    Workload("blob1m", "results of 1 MiB", 250, 4),
    Workload("c-api", "from C: a callback per result", 1_000_000, 1000),
)


def _some(names: str) -> frozenset[str]:
    """The workloads called *names*, with their pinned twins."""
    known = {workload.name for workload in WORKLOADS}
    found = frozenset(names.split())
    return found | ({f"{name}-pinned" for name in found} & known)


_OURS = _some(
    "callback callback-main callback8 map await sync sync8 sync64 sparse2 sparse5"
    " sparse20 await1 notify blob64k blob1m clients1 clients10 clients100"
)
_TYPED = _some("typed blob64k-typed blob64k-partial")

RIVALS = (
    Rival("jsonrpcc", "jsonrpcc", "ours", _OURS | _TYPED, ours=True),
    Rival("jsonrpcc-orjson", "jsonrpcc, codec=orjson", "ours_orjson", _OURS, ours=True),
    Rival(
        "jsonrpcc-c",
        "jsonrpcc, C API, the shared library",
        "ours_shared.c",
        _some("c-api"),
        ours=True,
    ),
    Rival(
        "jsonrpcc-c-static",
        "jsonrpcc, C API, compiled in",
        "ours.c",
        _some("c-api"),
        ours=True,
    ),
    Rival(
        "sockets",
        "blocking sockets + orjson",
        "sockets",
        _some(
            "callback callback-main callback8 map sync sync8 sync64 sparse2 sparse5"
            " sparse20 notify blob64k blob1m clients1 clients10 clients100"
            " typed blob64k-typed blob64k-partial"
        ),
    ),
    Rival(
        "sockets-msgspec",
        "blocking sockets + msgspec, typed envelopes and results",
        "sockets_msgspec",
        _TYPED,
    ),
    Rival(
        "pingpong", "send and recv of fixed bytes, no JSON", "pingpong", _some("sync")
    ),
    Rival(
        "uvloop",
        "asyncio.Protocol + uvloop + orjson",
        "protocol",
        _some("callback map await await1 notify blob64k blob1m"),
    ),
    Rival(
        "asyncio",
        "asyncio.Protocol + orjson, default loop",
        "protocol_asyncio",
        _some("callback await await1"),
    ),
    Rival(
        "streams",
        "asyncio streams + orjson",
        "streams",
        _some("callback await await1 notify blob64k blob1m"),
        share=0.25,
    ),
    Rival(
        "aiorpcx",
        "aiorpcX",
        "aiorpc",
        _some("await await1 notify blob64k blob1m"),
        share=0.1,
    ),
    Rival(
        "redis-py",
        "redis-py + hiredis, own protocol",
        "redis_py",
        _some("callback callback8 map await sync await1 blob64k blob1m"),
        redis=True,
        share=0.25,
    ),
    Rival(
        "hiredis",
        "hiredis on libevent, own protocol",
        "hiredis.c",
        _some("c-api"),
        redis=True,
    ),
    Rival(
        "valkey",
        "libvalkey on libevent, own protocol",
        "valkey.c",
        _some("c-api"),
        redis=True,
    ),
    Rival("epoll", "bare epoll loop, ids only", "epoll.c", _some("c-api")),
)


@dataclass(frozen=True)
class Goal:
    """
    How we want to do: at most *goal* times *rival*, and not above *first*.

    A rival called "best" is the cheapest one written in Python.
    """

    workload: str
    rival: str
    first: float
    goal: float
    figure: str = "cpu_us"


GOALS = (
    Goal("callback", "sockets", 0.65, 0.5),
    Goal("callback8", "best", 0.7, 0.5),
    Goal("typed", "sockets", 0.5, 0.43),
    Goal("typed", "sockets-msgspec", 0.69, 0.55),
    Goal("map", "sockets", 0.5, 0.35),
    Goal("await", "uvloop", 0.5, 0.43),
    Goal("sync-pinned", "pingpong", 1.12, 1.05, "p50_us"),
    Goal("sparse2", "sockets", 1.0, 0.8),
    Goal("sparse5", "sockets", 1.0, 0.8),
    Goal("sparse20", "sockets", 1.0, 0.8),
    Goal("await1-pinned", "uvloop", 1.0, 0.9),
    Goal("notify", "sockets", 1.0, 0.5),
    Goal("blob64k", "best", 1.0, 0.9),
    Goal("blob64k-typed", "sockets", 1.0, 0.7),
    Goal("blob64k-partial", "sockets", 1.0, 0.45),
    Goal("blob1m", "best", 1.0, 0.8),
    Goal("c-api", "hiredis", 0.6, 0.3),
    Goal("c-api", "epoll", 2.0, 1.6),
)
