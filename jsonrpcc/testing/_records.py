"""What a server has seen, to be read and waited for in any thread."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from jsonrpcc.testing._faults import Request


class Records:
    """What a server has seen; the one part of it that every thread may touch."""

    def __init__(self, keep: int | None) -> None:
        self.changed = threading.Condition()
        self.requests: deque[Request] = deque(maxlen=keep)
        self.before_hello: deque[Request] = deque(maxlen=keep)
        self.invalid: deque[bytes] = deque(maxlen=keep)
        self.failed_handshakes: deque[str] = deque(maxlen=keep)
        self.seen = 0
        self.accepted = 0
        self.open = 0

    def add(self, requests: list[Request], invalid: list[bytes]) -> None:
        """Note what has arrived."""
        with self.changed:
            self.requests.extend(requests)
            self.invalid.extend(invalid)
            self.seen += len(requests)
            self.changed.notify_all()

    def premature(self, request: Request) -> None:
        """Note a request that came before the hello."""
        with self.changed:
            self.before_hello.append(request)
            self.changed.notify_all()

    def connected(self, change: int, accepted: int = 0) -> None:
        """Note that the number of connections changes."""
        with self.changed:
            self.open += change
            self.accepted += accepted
            self.changed.notify_all()

    def refused(self, why: str) -> None:
        """Note a connection that ended during its handshake."""
        with self.changed:
            self.failed_handshakes.append(why)
            self.accepted += 1
            self.changed.notify_all()

    def wait_for_requests(self, count: int, timeout: float) -> None:
        """Wait until *count* have been seen; a TimeoutError says how many were."""
        self._wait(
            lambda: self.seen >= count,
            timeout,
            lambda: f"{self.seen} of {count} requests",
        )

    def wait_for_connections(self, count: int, timeout: float) -> None:
        """Wait until exactly *count* are open; or a TimeoutError."""
        self._wait(
            lambda: self.open == count,
            timeout,
            lambda: f"{self.open} connections instead of {count}",
        )

    def wait_for_accepted(self, count: int, timeout: float) -> None:
        """Wait until *count* have been accepted; or a TimeoutError."""
        self._wait(
            lambda: self.accepted >= count,
            timeout,
            lambda: f"{self.accepted} of {count} connections accepted",
        )

    def _wait(
        self, done: Callable[[], bool], timeout: float, text: Callable[[], str]
    ) -> None:
        with self.changed:
            if not self.changed.wait_for(done, timeout):
                raise TimeoutError(f"{text()} after {timeout} s")

    def clear(self) -> None:
        """Forget all requests."""
        with self.changed:
            self.requests.clear()
            self.before_hello.clear()
            self.invalid.clear()
            self.seen = 0
