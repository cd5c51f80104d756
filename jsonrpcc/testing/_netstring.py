"""Netstrings for `jsonrpcc.testing`: payloads to bytes and back."""

from __future__ import annotations

MAX_PAYLOAD = 16 * 1024 * 1024
HEADER_SIZE = 20  # no length that we accept has as many digits


class BrokenNetstringError(ValueError):
    """The bytes cannot become a netstring, whatever follows them."""


def netstring(payload: bytes) -> bytes:
    """Frame *payload*: ``b"hi"`` becomes ``b"2:hi,"``."""
    return b"%d:%b," % (len(payload), payload)


def split_netstrings(
    buffer: bytes, max_payload: int = MAX_PAYLOAD
) -> tuple[list[bytes], bytes]:
    """
    Return the payloads of all complete netstrings, and the bytes left over.

    Raises:
        BrokenNetstringError: The bytes left over cannot become a netstring.
    """
    reader = Reader(max_payload)
    payloads = reader.feed(buffer)
    if reader.error is not None:
        raise reader.error
    return payloads, bytes(reader.rest)


class Reader:
    """Bytes in, payloads out."""

    def __init__(self, max_payload: int) -> None:
        self.max_payload = max_payload
        self.rest = bytearray()
        """The beginning of the next netstring."""
        self.need = 0
        """Bytes that the next netstring has in all, 0 if its header is not there."""
        self.error: BrokenNetstringError | None = None
        """Set for good once `rest` cannot become a netstring."""

    def feed(self, data: bytes | memoryview) -> list[bytes]:
        """Take *data*; return the payloads that it completes."""
        if len(self.rest) + len(data) < self.need:
            self.rest += data
            return []
        buffer = bytes(self.rest) + data
        payloads: list[bytes] = []
        start = self.need = 0
        try:
            while start < len(buffer) and self.error is None:
                begin, end = self._next(buffer, start)
                if end >= len(buffer):
                    self.need = end - start + 1 if begin else 0
                    break
                payloads.append(buffer[begin:end])
                start = end + 1
        except BrokenNetstringError as error:
            self.error = error
        self.rest = bytearray(buffer[start:])
        return payloads

    def _next(self, buffer: bytes, start: int) -> tuple[int, int]:
        """Find where the payload begins, 0 if its header is not there, and ends."""
        colon = buffer.find(b":", start, start + HEADER_SIZE)
        header = buffer[start : start + HEADER_SIZE if colon < 0 else colon]
        if not header.isdigit():
            raise BrokenNetstringError(f"no length: {header!r}")
        if header[0] == ord("0") and len(header) > 1:
            raise BrokenNetstringError(f"padded length: {header!r}")
        size = int(header)
        if size > self.max_payload:
            raise BrokenNetstringError(f"length over {self.max_payload}: {header!r}")
        if colon < 0:
            return 0, len(buffer)
        end = colon + 1 + size
        if end < len(buffer) and buffer[end] != ord(","):
            raise BrokenNetstringError(f"no comma after {size} bytes")
        return colon + 1, end
