"""The command ``jsonrpcc notify``."""

from __future__ import annotations

import argparse
import sys
import time

import jsonrpcc
from jsonrpcc._cli.connecting import read_tls, settle_servers
from jsonrpcc._cli.exits import FAILURE, OK, TIMEOUT
from jsonrpcc._cli.output import complain


def run(args: argparse.Namespace) -> int:
    """Send a notification; wait until it has been sent or cannot be."""
    settle_servers(args, "method", "params")
    params = sys.stdin.read() if args.params == "-" else args.params
    with jsonrpcc.Client(args.servers, tls=read_tls(args)) as client:
        client.notification(
            args.method, params, timeout=args.timeout, wait_for_ready=args.wait
        )
        # A notification has no outcome to wait for; its deadline bounds this.
        while not (
            (stats := client.stats()).ok
            or stats.timeouts
            or stats.failures
            or stats.out_of_memory
        ):
            time.sleep(0.002)
        if stats.ok:
            return OK
        reasons = [
            f"{server.address} {server.last_error or server.state}"
            for server in client.servers()
        ]
    what = "timeout" if stats.timeouts else "failure: no server can be reached"
    complain(f"{what}: {args.method} (not sent): {'; '.join(reasons)}")
    return TIMEOUT if stats.timeouts else FAILURE
