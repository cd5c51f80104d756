"""Calls to one server after another, for ``top`` and ``doctor``."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jsonrpcc

METHOD_NOT_FOUND = -32601
PING = "rpc.ping"


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return the smallest of sorted numbers that *percent* of them do not exceed."""
    rank = -(-len(ordered) * percent // 100)  # rounded up
    return ordered[max(0, int(rank) - 1)]


def milliseconds(seconds: float) -> str:
    """Return a duration with three digits, as far as they are before the point."""
    ms = seconds * 1000
    return f"{ms:.0f} ms" if ms >= 100 else f"{ms:#.3g} ms"  # noqa: PLR2004


def target_of(
    server: jsonrpcc.ServerInfo, tls: jsonrpcc.Tls | None
) -> tuple[str, jsonrpcc.Tls | None]:
    """
    Return the servers string and TLS that lead to this server alone.

    An address that a name stands for proves itself by the name.
    """
    name, slash, address = server.address.rpartition("/")
    if server.port == 0 or not slash:
        return server.address, tls
    if tls is not None and tls.server_name is None:
        tls = dataclasses.replace(tls, server_name=name)
    return address, tls


@dataclasses.dataclass(frozen=True)
class Sample:
    """
    What a server has done since the last sample.

    Attributes:
        server: What the client knows of it.
        latencies: Seconds of each call that was answered, from the smallest on.
        errors: How many calls have failed, by what happened.
        in_flight: Calls without an outcome, now.
        seconds: How long that was.
    """

    server: jsonrpcc.ServerInfo
    latencies: list[float]
    errors: dict[str, int]
    in_flight: int
    seconds: float


class Probe:
    """
    A client of one server, whose calls are counted.

    Any answer counts, also that there is no such method: what is asked for is whether
    the server answers, and how quickly.
    """

    def __init__(
        self,
        server: jsonrpcc.ServerInfo,
        *,
        method: str = PING,
        params: str | None = None,
        timeout: float,
        options: Mapping[str, Any],
    ) -> None:
        """*options* are those of its client."""
        self.name = server.address
        self._method, self._params = method, params
        address, tls = target_of(server, options.get("tls"))
        self._answers: collections.deque[float] = collections.deque()
        self._failures: collections.deque[str] = collections.deque()
        self._since = time.monotonic()
        ours = {"timeout": timeout, "connect_timeout": min(timeout, 1.0)}
        self.client = jsonrpcc.Client(address, **{**ours, **options, "tls": tls})

    def close(self) -> None:
        """End."""
        self.client.close()

    def ask(self) -> None:
        """Make a call, and do not wait for it."""
        started = time.monotonic()
        on_error = partial(self._failed, started)
        with contextlib.suppress(jsonrpcc.QueueFull):
            self.client.request(
                self._method,
                self._params,
                partial(self._answered, started),
                on_error,
                block=False,
            )

    def _answered(self, started: float, _result: Any = None) -> None:
        self._answers.append(time.monotonic() - started)

    def _failed(self, started: float, error: jsonrpcc.JsonRpcError) -> None:
        if isinstance(error, jsonrpcc.RemoteError):
            self._answered(started)
            if error.code == METHOD_NOT_FOUND and self._method == PING:
                return
        self._failures.append(type(error).__name__)

    def sample(self) -> Sample:
        """Return what came of the calls since the last sample."""
        now = time.monotonic()
        seconds, self._since = now - self._since, now
        answers = sorted(_taken(self._answers))
        errors = dict(collections.Counter(_taken(self._failures)))
        (server,) = self.client.servers()
        return Sample(server, answers, errors, self.client.stats().in_flight, seconds)


def _taken(values: collections.deque[Any]) -> list[Any]:
    """Return all that is in the deque, to which another thread may append."""
    return [values.popleft() for _ in range(len(values))]
