"""``jsonrpcc servers --watch``: what happens to the servers, a line each."""

from __future__ import annotations

import dataclasses
import json
import queue
import time
from typing import Any, NoReturn

import jsonrpcc
from jsonrpcc._cli.output import visible, visible_json, write


def clock(seconds: float) -> str:
    """Return a time by ``time.time()`` as the local time of day, to milliseconds."""
    text = time.strftime("%H:%M:%S", time.localtime(seconds))
    return f"{text}.{int(seconds % 1 * 1000):03d}"


def line_of(event: jsonrpcc.Event, *, as_json: bool) -> str:
    """Return the line of an event."""
    if as_json:
        return visible_json(json.dumps(dataclasses.asdict(event)))
    words = (clock(event.time), event.kind, event.server, event.reason)
    return visible(" ".join(filter(None, words)))


def watch(servers: str, options: dict[str, Any], *, as_json: bool) -> NoReturn:
    """Print events until Ctrl-C, or until the reader has gone."""
    events: queue.SimpleQueue[jsonrpcc.Event] = queue.SimpleQueue()
    with jsonrpcc.Client(servers, **(options | {"on_event": events.put})):
        while True:
            write(line_of(events.get(), as_json=as_json) + "\n")
