"""
Flask: one client for the process, and an error handler for all of its calls.

    JSONRPCC_SERVERS=localhost:9999 flask --app examples/recipes/flask_app.py run
"""

import os

import flask

import jsonrpcc

SERVERS = os.environ.get("JSONRPCC_SERVERS", "localhost:9999")
client = jsonrpcc.Client(SERVERS, name="flask", timeout=0.5)
app = flask.Flask(__name__)


@app.get("/sum/<int:a>/<int:b>")
def add(a: int, b: int) -> dict[str, int]:
    """Call the server; all threads of the process share the client."""
    return {"sum": client.call("add", [a, b], idempotent=True)}


@app.errorhandler(jsonrpcc.JsonRpcError)
def failed(error: jsonrpcc.JsonRpcError) -> tuple[dict[str, str | None], int]:
    """Answer 502 if the server refused, 503 or 504 if it did not answer."""
    if isinstance(error, jsonrpcc.RemoteError):
        return {"error": error.message}, 502
    is_late = isinstance(error, jsonrpcc.RequestTimeout)
    return {"error": "timeout" if is_late else "no server"}, 504 if is_late else 503
