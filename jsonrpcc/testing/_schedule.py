"""
Which faults a request or a connection of `jsonrpcc.testing.Server` gets.

A `Plan` is what is in force for a server or a method; `Chaos` is a choice at random
that can be part of one.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from jsonrpcc.testing._faults import (
    Fault,
    FaultChoice,
    FaultLike,
    Opening,
    Request,
    check_number,
)


def _checked(rates: Any) -> Mapping[Fault, float]:
    if not isinstance(rates, Mapping) or not all(
        isinstance(fault, Fault) for fault in rates
    ):
        raise TypeError(f"rates must be a dict of shares by faults, not {rates!r}")
    for rate in rates.values():
        check_number("rates", rate, 0)
    return rates


class Chaos:
    """
    Choose faults at random; the same *seed* gives the same faults.

    *rates* gives each fault its share, ``{Drop(): 0.01, Delay(0.1): 0.2}``, of the
    requests or, for faults of connections, of the connections.  The n-th request
    that a server sees gets the n-th choice.  Do not share one between servers.
    """

    def __init__(self, seed: int, rates: Mapping[Fault, float]) -> None:
        self._rates: dict[bool, dict[Fault, float]] = {False: {}, True: {}}
        for fault, rate in _checked(rates).items():
            self._rates[fault.of_connection][fault] = rate
        for shares in self._rates.values():
            if sum(shares.values()) > 1 + 1e-9:
                raise ValueError("rates must be shares of one")
        self._dice = {
            of_connection: random.Random(f"{seed} {of_connection}")  # noqa: S311
            for of_connection in self._rates
        }
        self._text = f"Chaos({seed!r}, {rates!r})"

    def __repr__(self) -> str:
        return self._text

    def __call__(self, request: Request) -> Fault | None:
        """Choose for a request."""
        del request
        return self._pick(of_connection=False)

    def for_connection(self) -> Fault | None:
        """Choose for a new connection."""
        return self._pick(of_connection=True)

    def _pick(self, *, of_connection: bool) -> Fault | None:
        dice = self._dice[of_connection].random()
        for fault, rate in self._rates[of_connection].items():
            if dice < rate:
                return fault
            dice -= rate
        return None


def _listed(faults: FaultLike) -> list[FaultChoice]:
    return list(faults) if isinstance(faults, Iterable) else [faults]


class Plan:
    """The faults in force for a server or a method, and how often each still is."""

    def __init__(self, faults: FaultLike = ()) -> None:
        chosen = _listed(faults)
        for choice in chosen:
            if not isinstance(choice, Fault) and (
                isinstance(choice, type) or not callable(choice)
            ):
                raise TypeError(f"{choice!r} is neither a fault nor a function")
        self._choices: list[FaultChoice] = chosen
        self._left = [getattr(choice, "times", None) for choice in chosen]

    @classmethod
    def of(cls, faults: Iterable[FaultLike]) -> Plan:
        """Return the plan of several faults, or lists of them."""
        return cls([each for fault in faults for each in _listed(fault)])

    def __bool__(self) -> bool:
        return bool(self._choices)

    def _take(self, wanted: Callable[[Fault], bool]) -> Iterator[Fault]:
        for i, choice in enumerate(self._choices):
            left = self._left[i]
            if isinstance(choice, Fault) and left != 0 and wanted(choice):
                self._left[i] = None if left is None else left - 1
                yield choice

    def for_request(self, request: Request, *, server_wide: bool) -> list[Fault]:
        """Choose for a request."""
        found = list(
            self._take(lambda fault: not (server_wide and fault.of_connection))
        )
        for choice in self._choices:
            if not isinstance(choice, Fault):
                chosen = choice(request)
                if isinstance(chosen, Fault):
                    found.append(chosen)
                elif chosen is not None:
                    found.extend(chosen)
        return found

    def for_connection(self, *, already_open: bool) -> Opening:
        """Choose for a connection."""
        opening = Opening()
        found = list(
            self._take(
                lambda fault: (
                    fault.of_connection and (fault.lasting or not already_open)
                )
            )
        )
        if not already_open:
            for choice in self._choices:
                fault = choice.for_connection() if isinstance(choice, Chaos) else None
                found += [fault] if fault is not None else []
        for fault in found:
            fault.open(opening)
        return opening
