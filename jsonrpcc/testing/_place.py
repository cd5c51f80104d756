"""Where a server listens, and how it keeps that place while it is stopped."""

from __future__ import annotations

import socket
import sys
import weakref
from pathlib import Path

from jsonrpcc.testing._sockets import (
    SocketFile,
    bound,
    bound_unix,
    fill_queue,
    remove_file,
    socket_file,
    unix_address,
)


class Place:
    """
    A port that stays the same, or the path of a Unix socket.

    Attributes:
        host: The host; not used with a path.
        port: The port; 0 until there is a listener, if any free port will do.
        path: None; or absolute, unless it begins with NUL.
    """

    def __init__(self, host: str, port: int, path: str | None) -> None:
        if isinstance(port, bool) or not isinstance(port, int):
            msg = f"port must be an integer, not {port!r}"
            raise TypeError(msg)
        if not 0 <= port < 1 << 16:
            msg = f"port must be from 0 to 65535, not {port}"
            raise ValueError(msg)
        self.host = host
        self.port = port
        if path is not None and not path.startswith("\0"):
            path = str(Path(path).absolute())
        self.path = path
        self._release_port: weakref.finalize[[], Place] | None = None
        self._file: SocketFile | None = None
        self._hole: list[socket.socket] = []

    @property
    def address(self) -> str:
        """``host:port``, ``[host]:port`` or ``unix:/path``."""
        if self.path is not None:
            return unix_address(self.path)
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def listener(self) -> socket.socket:
        """
        Return a new socket that listens here.

        Raises:
            OSError: As `bound` and `bound_unix`.
        """
        self.fill_hole()
        is_port = self.path is None and sys.platform == "linux"
        if self._release_port is None and is_port:
            # Bound and not listening, it keeps the port ours while we are stopped:
            # any outgoing connection on this machine might get it otherwise.
            self._release_port = weakref.finalize(self, self._bound().close)
        listener = self._bound()
        try:
            listener.listen(4096)
        except BaseException:
            listener.close()
            raise
        self._file = socket_file(self.path)
        return listener

    def _bound(self) -> socket.socket:
        if self.path is not None:
            return bound_unix(self.path)
        sock = bound(self.host, self.port)
        self.port = sock.getsockname()[1]
        return sock

    def open_hole(self) -> None:
        """Let connections to here neither succeed nor fail, until `fill_hole`."""
        fill_queue(self._bound(), self._hole)

    def fill_hole(self) -> None:
        """Undo `open_hole`."""
        for sock in self._hole:
            sock.close()
        self._hole.clear()

    def free(self) -> None:
        """Let others have the port or path."""
        if self._release_port is not None:
            self._release_port()
            self._release_port = None
        if self._file is not None:
            remove_file(self._file)
            self._file = None
