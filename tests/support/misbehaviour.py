"""What happens to servers and how they answer; determined by a seed."""

import itertools
import json
import random
from dataclasses import dataclass

from witness import CLOSE, RESET, loads, netstring

RATES = {
    "drop": 0.02,
    "delay": 0.06,
    "late": 0.01,
    "twice": 0.03,
    "reorder": 0.05,
    "foreign id": 0.02,
    "past id": 0.02,
    "text id": 0.02,
    "float id": 0.01,
    "no version": 0.02,
    "both": 0.01,
    "neither": 0.01,
    "bad JSON": 0.01,
    "bad UTF-8": 0.01,
    "deep": 0.005,
    "batch": 0.01,
    "unasked": 0.03,
    "asks back": 0.01,
    "remote error": 0.05,
    "pieces": 0.03,
    "bad frame": 0.003,
    "garbage": 0.002,
    "announce": 0.002,
    "half": 0.004,
    "close": 0.003,
    "reset": 0.003,
    "banner": 0.002,
}


@dataclass(frozen=True)
class Step:
    """What happens to one of the servers, and for how many steps."""

    fault: str
    place: int
    steps: int
    at: int  # a number of bytes, for faults that come in the middle of something


def plan(seed, faults, places):
    """Yield steps for ever; at most one at a time for each server."""
    dice = random.Random(f"plan {seed}")
    busy = {}
    for now in itertools.count():
        step = Step(
            dice.choice(faults),
            dice.randrange(places),
            dice.randrange(1, 4),
            dice.randrange(1, 2000),
        )
        if busy.get(step.place, 0) > now:
            yield None
            continue
        busy[step.place] = now + step.steps
        yield step


def _answer(identity, result):
    return json.dumps({"jsonrpc": "2.0", "id": identity, "result": result}).encode()


class Misbehaviour:
    """
    Answers the method "echo" with the first of its params, badly at random.

    The n-th request gets the n-th throw of the dice, so the same seed means the same
    faults in the same order.  `counts` says how often each came.
    """

    def __init__(self, seed):
        self.dice = random.Random(f"misbehaviour {seed}")
        self.on = True
        self.counts = {}
        self._kept = None  # an answer that was held back
        self._past = {}  # by connection, ids of calls that were answered

    def _pick(self):
        throw = self.dice.random()
        for name, rate in RATES.items():
            if throw < rate:
                return name
            throw -= rate
        return None

    def __call__(self, frame):
        message = loads(frame.payload)
        if "id" not in message:
            return []
        fault = self._pick() if self.on else None
        if fault:
            self.counts[fault] = self.counts.get(fault, 0) + 1
        identity = message["id"]
        past = self._past.setdefault(frame.connection, [-1])
        answers = self._faulty(fault, identity, message["params"][:1], past)
        if fault is None:
            past.append(identity)
            del past[:-20]
        return answers

    def _faulty(self, fault, identity, result, past):  # noqa: C901, PLR0911, PLR0912
        right = netstring(_answer(identity, result))
        dice = self.dice
        kept, self._kept = self._kept, None
        before = [(0, kept)] if kept else []
        match fault:
            case None:
                return [*before, (0, right)]
            case "drop":
                return before
            case "delay":
                return [*before, (dice.random() * 0.1, right)]
            case "late":
                return [*before, (2.0, right)]
            case "twice":
                return [*before, (0, right), (dice.random() * 0.01, right)]
            case "reorder":
                self._kept = right
                return before
            case "foreign id":
                payload = _answer(identity + (1 << 40), result)  # not in flight
            case "past id":
                payload = _answer(dice.choice(past), result)
            case "text id":
                payload = _answer(str(identity), result)
            case "float id":
                payload = _answer(float(identity), result)
            case "no version":
                payload = json.dumps({"id": identity, "result": result}).encode()
            case "both":
                payload = _answer(identity, result)[:-1] + b',"error":{}}'
            case "neither":
                payload = b'{"jsonrpc":"2.0","id":%d}' % identity
            case "bad JSON":
                payload = right.partition(b":")[2][:-3]
            case "bad UTF-8":
                payload = b'{"jsonrpc":"2.0","id":%d,"result":"\xff"}' % identity
            case "deep":
                payload = _answer(identity, result)[:-1] + b',"x":' + b"[" * 9999
            case "batch":
                payload = b"[" + _answer(identity, result) + b"]"
            case "unasked":
                return [*before, (0, netstring(_answer(-1, 0)) * 3 + right)]
            case "asks back":
                asks = b'{"jsonrpc":"2.0","method":"x","id":%d}' % identity
                return [*before, (0, netstring(asks)), (0, right)]
            case "remote error":
                error = b'"error":{"code":1,"message":"no"}'
                payload = b'{"jsonrpc":"2.0","id":%d,%b}' % (identity, error)
            case "pieces":
                at = dice.randrange(len(right))
                return [*before, (0, right[:at]), (0, right[at:])]
            case "bad frame":
                return [*before, (0, right[:-1] + b";")]
            case "garbage":
                return [*before, (0, dice.randbytes(200))]
            case "announce":
                return [*before, (0, b"999999999:")]
            case "half":
                return [*before, (0, right[: dice.randrange(len(right))]), (0, CLOSE)]
            case "close":
                return [*before, (0, CLOSE)]
            case "reset":
                return [*before, (0, RESET)]
            case "banner":
                return [*before, (0, b"HTTP/1.1 400 Bad Request\r\n\r\n")]
        return [*before, (0, netstring(payload))]
