"""The exit codes of the command line, and which error of a call has which."""

from __future__ import annotations

import jsonrpcc

OK, REMOTE, USAGE, TIMEOUT, FAILURE, INVALID, LOCAL = 0, 1, 2, 3, 4, 5, 6
INTERRUPTED = 130

EXIT_CODES = """\
exit codes:
  0    success; for "servers" and "doctor": all can be used
  1    the server answered with an error
  2    the command line, the servers string or the params are wrong
  3    no response arrived in time; for "bench": what it measured was itself
  4    no server can be reached, or the connection was lost
  5    the response is invalid, or not of the --type
  6    a local failure: the output could not be written (the call was made), or
       no memory, descriptors or threads were left
  130  Ctrl-C
"""

CODES: dict[type[Exception], int] = {
    jsonrpcc.RemoteError: REMOTE,
    jsonrpcc.RequestTimeout: TIMEOUT,
    jsonrpcc.ServerFailure: FAILURE,
    jsonrpcc.ConnectionLost: FAILURE,
    jsonrpcc.InvalidResponse: INVALID,
}


def code_of(error: Exception) -> int:
    """Return the exit code for what a call raised."""
    if isinstance(error, (TypeError, ValueError)):  # of its arguments
        return USAGE
    return CODES.get(type(error), FAILURE)
