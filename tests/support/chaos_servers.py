"""The ports of chaos: at each port a server in its own process, or an impostor."""

import collections
import contextlib
import json
import socket
import subprocess
import threading
from pathlib import Path

from checker import Seen
from children import start_program
from history import LIMIT


class Place:
    """A server's port, and the process that serves there."""

    def __init__(self, number, folder, seed):
        self.number = number
        self.seed = seed
        self.log = Path(folder, f"witness-{number}")
        self.log.touch()
        # Bound and not listening: the port stays ours when the server is killed.
        self.holder = socket.socket()
        self.holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.holder.bind(("127.0.0.1", 0))
        self.port = self.holder.getsockname()[1]
        self.answers = collections.Counter()
        self.garbage = []  # how it began, as texts
        self.lives = 0
        self.start()

    def start(self):
        self.lives += 1
        life = f"{self.seed}-{self.number}-{self.lives}"
        self.child = start_program(
            "wild_server.py", life, self.log, self.port, stdin=subprocess.PIPE
        )
        assert int(self.child.stdout.readline()) == self.port

    def tell(self, *command):
        self.child.stdin.write(json.dumps(command) + "\n")
        self.child.stdin.flush()
        return json.loads(self.child.stdout.readline())

    def kill(self):
        self.child.kill()
        self.child.communicate()

    def send(self, number):
        self.child.send_signal(number)

    def end(self):
        """End it, and record how it answered."""
        counts = self.tell("counts")
        self.answers.update(counts["faults"])
        self.garbage = counts["garbage"]
        _, err = self.child.communicate(timeout=LIMIT)
        self.holder.close()
        assert not err, err

    def seen(self):
        for line in self.log.read_text().splitlines():
            yield Seen(int(line.split()[0]), self.number)


class Impostor:
    """Run another service at a server's port: it speaks HTTP first, and closes."""

    def __init__(self, port):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", port))
        self.listener.listen(64)
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                with self.listener.accept()[0] as sock:
                    sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    def end(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()
