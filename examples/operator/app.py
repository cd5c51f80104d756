"""
A program that calls its servers all the time, and shows what it counts.

    python examples/operator/app.py "localhost:9999,2 localhost:9998,1" 8000

The metrics are at http://127.0.0.1:8000/metrics; port 0 takes any free one.
"""

import signal
import sys
import threading

from prometheus_client import start_http_server

import jsonrpcc
from jsonrpcc.prometheus import Collector


def main(servers: str, port: int) -> None:
    """Make fifty calls a second until SIGTERM or Ctrl-C."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with jsonrpcc.Client(servers, name="users", timeout=0.5) as client:
        Collector(client)
        httpd, thread = start_http_server(port, addr="127.0.0.1")
        print(f"http://127.0.0.1:{httpd.server_port}/metrics", flush=True)
        while not stop.wait(0.02):
            # The outcome is in the metrics; a real program needs the result, too.
            client.request("add", [1, 2], on_error=lambda _: None)
        httpd.shutdown()
        thread.join()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
