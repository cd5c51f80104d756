"""
A web service on FastAPI: each worker process has one client for all requests.

    export JSONRPCC_SERVERS="localhost:9999,2 localhost:9998,1"
    uvicorn --app-dir examples/web --workers 2 app:app

The client is created when a worker's event loop runs, and closed when it ends.
"""

import contextlib
import os
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

import jsonrpcc

SERVERS = os.environ.get("JSONRPCC_SERVERS", "localhost:9999")


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the client of this worker for as long as the worker lives."""
    async with jsonrpcc.AsyncClient(SERVERS, name="web", timeout=0.5) as client:
        app.state.client = client
        yield


app = FastAPI(lifespan=lifespan)


@app.exception_handler(jsonrpcc.JsonRpcError)
async def failed(_: Request, error: jsonrpcc.JsonRpcError) -> JSONResponse:
    """Answer with the status that fits; the client's log has the details."""
    match error:
        case jsonrpcc.RemoteError():
            status, text = 502, error.message
        case jsonrpcc.RequestTimeout():
            status, text = 504, "timeout"
        case _:
            status, text = 503, "no server"
    # Nothing has run: the browser's next try is safe.
    headers = {"Retry-After": "1"} if error.fate == "not_sent" else {}
    return JSONResponse({"error": text}, status, headers)


@app.get("/sum/{a}/{b}")
async def add(a: int, b: int) -> dict[str, int]:
    """Call a method that may run twice, so that a lost connection costs nothing."""
    total = await app.state.client.call("add", [a, b], idempotent=True)
    return {"sum": total, "worker": os.getpid()}


@app.get("/ready")
async def ready() -> JSONResponse:
    """Tell a load balancer whether this worker can reach a server."""
    states = {each.address: each.state for each in app.state.client.servers()}
    is_ready = any(state in ("up", "proving") for state in states.values())
    return JSONResponse(states, 200 if is_ready else 503)
