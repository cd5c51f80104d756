"""Asks the workers of a prefork server, which run programs/wsgi.py."""

import concurrent.futures
import contextlib
import http.client
import json
import socket

from history import LIMIT, until


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("workers", timeout=LIMIT)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(LIMIT)
        self.sock.connect(self.path)


def listens(path):
    """The file is there a moment before anybody listens."""
    with contextlib.closing(UnixConnection(path)) as connection:
        try:
            connection.connect()
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        return True


def get(path):
    with contextlib.closing(UnixConnection(path)) as connection:
        connection.request("GET", "/")
        answer = json.loads(connection.getresponse().read())
    assert answer["right"], answer
    return answer["pid"]


def all_workers(path, count):
    """Ask, many at once, until so many workers have answered."""
    pids = set()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:

        def more():
            pids.update(pool.map(get, [path] * 24))
            return len(pids) >= count

        until(more, what=f"{count} workers")
    return pids
