"""
JSON-RPC 2.0 over TCP and netstrings, for services that cannot lose a call.

    client = jsonrpcc.Client("host1:9999,2 host2:9999,2 backup:9999,1", timeout=0.5)
    client.request("get_user", {"id": 1234}, on_result, on_error)
"""

from jsonrpcc._client import Client
from jsonrpcc._codec import Codec
from jsonrpcc._errors import (
    Cancelled,
    ClientClosed,
    ConnectionLost,
    InvalidResponse,
    JsonRpcError,
    QueueFull,
    RemoteError,
    RequestTimeout,
    ServerFailure,
)
from jsonrpcc._jsonrpcc import ffi as _ffi
from jsonrpcc._jsonrpcc import lib as _lib
from jsonrpcc._options import Options
from jsonrpcc._protocol import rpc
from jsonrpcc._records import Entry, Event, ServerInfo
from jsonrpcc._speedups import Call
from jsonrpcc._stats import Latency, MethodStats, Stats
from jsonrpcc._tls import Tls, TlsFiles, TlsInfo
from jsonrpcc.aio import AsyncClient
from jsonrpcc.capi import _capi as _capi  # PyCapsule_Import() looks for it here
from jsonrpcc.capi import get_include

__version__: str = _ffi.string(_lib.jsonrpcc_version()).decode()

__all__ = [
    "AsyncClient",
    "Call",
    "Cancelled",
    "Client",
    "ClientClosed",
    "Codec",
    "ConnectionLost",
    "Entry",
    "Event",
    "InvalidResponse",
    "JsonRpcError",
    "Latency",
    "MethodStats",
    "Options",
    "QueueFull",
    "RemoteError",
    "RequestTimeout",
    "ServerFailure",
    "ServerInfo",
    "Stats",
    "Tls",
    "TlsFiles",
    "TlsInfo",
    "__version__",
    "get_include",
    "rpc",
]

# Tracebacks, logs and pickles name the public module, not the file of a class.  The
# records keep theirs, where typing.get_type_hints() looks for what they are made of;
# Call has it from C.
for _name in __all__:
    _class = globals()[_name]
    if isinstance(_class, type) and not (
        _class.__module__ == "jsonrpcc" or hasattr(_class, "__dataclass_fields__")
    ):
        _class.__module__ = "jsonrpcc"
del _name, _class
