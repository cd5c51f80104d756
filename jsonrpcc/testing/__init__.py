"""
A JSON-RPC 2.0 server over netstrings, for tests, that misbehaves on demand.

    with Server({"add": lambda a, b: a + b}) as server:
        client = Client(f"{server.address},1")
        ...
        server.misbehave(Delay(0.5))

`Server` runs in its own thread, or inside an asyncio loop with ``async with``.
Faults say how it misbehaves.  They can be combined, and apply to all requests, to
one method, n times, by a function of the request, or at random with `Chaos`.
"""

from jsonrpcc.testing._certificates import ServerTls
from jsonrpcc.testing._connection_faults import (
    Banner,
    Close,
    Early,
    NeverRead,
    Reject,
    Reset,
    SlowRead,
)
from jsonrpcc.testing._faults import (
    Around,
    Delay,
    Drip,
    Drop,
    Duplicate,
    Fault,
    FaultLike,
    Flood,
    Frame,
    Merge,
    Payload,
    Raw,
    Reply,
    Request,
    Split,
    WrongId,
)
from jsonrpcc.testing._loop_thread import LoopThread
from jsonrpcc.testing._methods import Error
from jsonrpcc.testing._mock import Expectation, MockServer
from jsonrpcc.testing._netstring import (
    BrokenNetstringError,
    netstring,
    split_netstrings,
)
from jsonrpcc.testing._schedule import Chaos
from jsonrpcc.testing._server import Server

__all__ = [
    "Around",
    "Banner",
    "BrokenNetstringError",
    "Chaos",
    "Close",
    "Delay",
    "Drip",
    "Drop",
    "Duplicate",
    "Early",
    "Error",
    "Expectation",
    "Fault",
    "FaultLike",
    "Flood",
    "Frame",
    "LoopThread",
    "Merge",
    "MockServer",
    "NeverRead",
    "Payload",
    "Raw",
    "Reject",
    "Reply",
    "Request",
    "Reset",
    "Server",
    "ServerTls",
    "SlowRead",
    "Split",
    "WrongId",
    "netstring",
    "split_netstrings",
]
