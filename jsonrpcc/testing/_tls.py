"""
TLS between a `Connection` and its transport.

For the connection it is the transport; for the transport it is the protocol.  It
stands in for asyncio's own, which has no half-closed connections: a peer that
still sends would reset what a fault has just written.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import Any, cast

LINGER = 1.0  # seconds that a peer has to read why it was refused


def why(error: ssl.SSLError) -> str:
    """Return what OpenSSL says, without its places in source files."""
    return (error.reason or str(error)).replace("_", " ").lower()


class TlsLayer(asyncio.BufferedProtocol, asyncio.Transport):
    """
    The server's end of TLS, in memory.

    Attributes:
        handshake: A future: None when the handshake is over and *inner* has been
            connected, or why that failed.
        ended: A future, done when the connection has ended.
    """

    def __init__(
        self, inner: asyncio.BufferedProtocol, context: ssl.SSLContext
    ) -> None:
        loop = asyncio.get_running_loop()
        self.handshake: asyncio.Future[str | None] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()
        self._inner = inner
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._raw: asyncio.Transport
        self._view = memoryview(bytearray(65536))
        self._open = False
        self._over = False  # no further bytes are decrypted
        self._eof = False
        self._keep_open = False

    # --- the protocol that the socket's transport has ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the client to begin."""
        self._raw = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the connection, or whoever waits for the handshake."""
        if self._open:
            self._inner.connection_lost(exc)
        else:
            self._settle("the connection ended during the handshake")
        if not self.ended.done():
            self.ended.set_result(None)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Say where to read to."""
        del sizehint
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        """Take records in."""
        if self._over:
            return
        self._incoming.write(self._view[:nbytes])
        if self._open or self._shake_hands():
            self._pump()

    def eof_received(self) -> bool:
        """Tell the connection, unless close_notify has."""
        if not self._open:
            return False
        self._end_of_input()
        return self._keep_open

    def pause_writing(self) -> None:
        """Tell the connection."""
        if self._open:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Tell the connection."""
        if self._open:
            self._inner.resume_writing()

    # --- in ---

    def _shake_hands(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        except ssl.SSLError as error:
            self._refuse(why(error))
            return False
        self._flush()
        self._open = True
        self._settle()
        self._inner.connection_made(self)
        return True

    def _settle(self, error: str | None = None) -> None:
        if not self.handshake.done():
            self.handshake.set_result(error)

    def _refuse(self, reason: str) -> None:
        """Send the alert; close() would discard it if there are bytes still unread."""
        self._over = True
        self._flush()
        self._raw.write_eof()
        asyncio.get_running_loop().call_later(LINGER, self._raw.abort)
        self._settle(reason)

    def _pump(self) -> None:
        """Give the connection what has arrived, for as long as it reads."""
        while not self._over and self._raw.is_reading():
            buffer: Any = self._inner.get_buffer(-1)
            try:
                size = cast("int", self._tls.read(len(buffer), buffer))
            except ssl.SSLWantReadError:
                break
            except ssl.SSLError:
                self._over = True
                self._flush()
                self._raw.abort()
                return
            if not size:  # close_notify
                self._end_of_input()
                if not self._keep_open:
                    self.close()
                break
            self._inner.buffer_updated(size)
        self._flush()  # what the protocol has to say by itself

    def _end_of_input(self) -> None:
        if not self._eof:
            self._eof = True
            self._keep_open = bool(self._inner.eof_received())

    # --- out: the transport that the connection has ---

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data and not self._raw.is_closing():
            self._raw.write(data)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send in records of up to 16 KiB."""
        if data:
            self._tls.write(data)
            self._flush()

    def _notify(self) -> None:
        """Send close_notify, and decrypt no more."""
        self._over = True
        with contextlib.suppress(ssl.SSLError):  # it would wait for the peer's
            self._tls.unwrap()
        self._flush()

    def write_eof(self) -> None:
        """Send close_notify and FIN; what still comes is thrown away."""
        self._notify()
        self._raw.write_eof()

    def close(self) -> None:
        """Send close_notify, then close."""
        self._notify()
        self._raw.close()

    def abort(self) -> None:
        """Close without close_notify, like the kernel for a killed process."""
        self._over = True
        self._raw.abort()

    def is_closing(self) -> bool:
        """Whether it is closed, or about to be."""
        return self._raw.is_closing()

    def pause_reading(self) -> None:
        """Read nothing more, not even what has been decrypted."""
        self._raw.pause_reading()

    def resume_reading(self) -> None:
        """Read on, first what is here."""
        self._raw.resume_reading()
        asyncio.get_running_loop().call_soon(self._pump)

    def is_reading(self) -> bool:
        """Whether it reads."""
        return self._raw.is_reading()

    def set_write_buffer_limits(
        self, high: int | None = None, low: int | None = None
    ) -> None:
        """Those of the socket's transport."""
        self._raw.set_write_buffer_limits(high, low)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the socket's transport knows, or the "ssl_object"."""
        if name == "ssl_object":
            return self._tls
        return self._raw.get_extra_info(name, default)
