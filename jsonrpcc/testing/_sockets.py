"""
What `jsonrpcc.testing.Server` asks of sockets that asyncio has no words for.

`bound` gives its socket away; the others borrow theirs.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket
import stat
import struct
import sys
import termios
import time
from dataclasses import dataclass
from os import fsencode
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes


def bound(host: str, port: int) -> socket.socket:
    """
    Return a socket that is bound there and does not listen.

    Raises:
        OSError: The port is in use, or the host is not ours.
    """
    family, _, _, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    # asyncio sets TCP_NODELAY on sockets that name their protocol only.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except BaseException:
        sock.close()
        raise
    return sock


def bound_unix(path: str) -> socket.socket:
    """
    Return the same, of a Unix socket; an abstract one begins with NUL.

    A socket file that nobody listens at is replaced.

    Raises:
        OSError: The path is in use, too long, or in no directory that we may write to.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if not path.startswith("\0"):
            _remove_stale(path)
        sock.bind(path)
    except BaseException:
        sock.close()
        raise
    return sock


def _remove_stale(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(Path(path).stat().st_mode):
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)
            try:
                probe.connect(path)
            except ConnectionRefusedError:
                Path(path).unlink()
            except BlockingIOError:
                return  # its queue is full


@dataclass(frozen=True, slots=True)
class SocketFile:
    """The file of a Unix socket, which outlives the socket; *inode* says which."""

    path: Path
    inode: int


def socket_file(path: str | None) -> SocketFile | None:
    """Return the file of a socket bound there, if there is one."""
    if path is None or path.startswith("\0"):
        return None
    return SocketFile(Path(path), Path(path).stat().st_ino)


def remove_file(file: SocketFile) -> None:
    """Remove it, unless it has been replaced."""
    with contextlib.suppress(FileNotFoundError):
        if file.path.stat().st_ino == file.inode:
            file.path.unlink()


def unix_address(path: str) -> str:
    """Return how the path is written in a client's servers string."""
    is_abstract = path.startswith("\0")
    plain = "!\"#$&'()*+-./:;<=>?@[\\]^_`{|}~"
    text = quote_from_bytes(fsencode(path)[is_abstract:], safe=plain)
    return f"unix-abstract:{text}" if is_abstract else f"unix:{text}"


def fill_queue(hole: socket.socket, kept: list[socket.socket]) -> None:
    """
    Have *hole* listen, and its queue full for as long as all in *kept* are open.

    It is added to *kept* as well.
    """
    kept.append(hole)
    hole.listen(0)
    for _ in range(2):
        filler = socket.socket(hole.family, socket.SOCK_STREAM)
        kept.append(filler)
        filler.setblocking(False)
        filler.connect_ex(hole.getsockname())


def reset_on_close(sock: Any) -> None:
    """Make the socket's close send RST instead of FIN."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def narrow_window(sock: Any) -> None:
    """Have the kernel take little that was not read yet."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)


async def all_sent(sock: Any, limit: float) -> None:
    """
    Wait until the peer's kernel has everything that was written.

    Not for a peer that has stopped reading: *limit* seconds without any progress.
    """
    end = time.monotonic() + limit
    before = b""
    while sys.platform == "linux" and time.monotonic() < end:
        unsent = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0" * 4)
        if not any(unsent):
            break
        if unsent != before:
            before, end = unsent, time.monotonic() + limit
        await asyncio.sleep(0.001)
