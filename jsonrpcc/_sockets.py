"""Connected sockets that a program gives to a client."""

from __future__ import annotations

import sys
from typing import Any


def entry_of(sock: Any) -> str:
    """
    Return what stands for a socket in the servers string.

    Raises:
        TypeError: It is no socket, or one of ssl, whose encryption is not in it.
        ValueError: It is closed.
    """
    socket: Any = sys.modules.get("socket")  # without it, there is none
    if socket is None or not isinstance(sock, socket.socket):
        msg = f"sock must be a socket.socket, not {type(sock).__name__}"
        if type(sock).__name__ == "TransportSocket":
            msg += "; that of an asyncio transport belongs to the transport"
        raise TypeError(msg)
    ssl: Any = sys.modules.get("ssl")
    if ssl is not None and isinstance(sock, ssl.SSLSocket):
        msg = "sock must not be an ssl.SSLSocket: the client has TLS of its own, tls="
        raise TypeError(msg)
    if sock.fileno() < 0:
        raise ValueError("sock is closed")
    return f"fd:{sock.fileno()}"
