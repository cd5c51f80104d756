"""
What the tests of jsonrpcc.testing share: a server, and a plain socket to it.

They look at the bytes on the wire; our client is not involved.
"""

import contextlib
import functools
import json
import socket
import ssl
import sys

import pytest

from jsonrpcc.testing import Server, ServerTls, netstring, split_netstrings

LIMIT = 5.0  # seconds after which a test that waits fails

linux = pytest.mark.skipif(sys.platform != "linux", reason="a property of Linux")


def add(a, b):
    return a + b


def echo(*params):
    return list(params)


METHODS = {"add": add, "echo": echo}


@functools.cache
def shared_tls():
    """Return the certificates for all servers of a run, which take a while to make."""
    return ServerTls(client_ca=True)


@functools.cache
def client_context():
    """Return the context with which Python's ssl connects to `shared_tls`."""
    files = shared_tls().client
    context = ssl.create_default_context(cafile=files["ca"])
    context.load_cert_chain(files["cert"], files["key"])
    return context


class Transport:
    """Whether `serving` and `Peer` speak TLS; the fixture of that name sets it."""

    tls = False


@contextlib.contextmanager
def serving(methods=METHODS, **options):
    if Transport.tls:
        options.setdefault("tls", shared_tls())
    with Server(methods, **options) as server:
        yield server


class Peer:
    """A socket that speaks netstrings, in plain TCP or by Python's TLS."""

    def __init__(self, server, *, receive_buffer=0):
        family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(LIMIT)
        try:
            self.sock.connect((server.host, server.port))
            if Transport.tls:
                self.sock = client_context().wrap_socket(
                    self.sock,
                    server_hostname="localhost",
                    suppress_ragged_eofs=False,
                )
        except BaseException:
            self.sock.close()
            raise
        self.rest = b""

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.sock.close()

    def send(self, *messages):
        """Send messages, each a dict, a list or bytes, in one segment."""
        self.sock.sendall(b"".join(netstring(text(each)) for each in messages))

    def request(self, method, params=None, request_id=1):
        self.send(request(method, params, request_id))

    def call(self, method, params=None, request_id=1):
        self.request(method, params, request_id)
        return self.response()

    def payload(self):
        """Return the next frame's payload."""
        while True:
            payloads, self.rest = split_netstrings(self.rest)
            if payloads:
                self.rest = b"".join(map(netstring, payloads[1:])) + self.rest
                return payloads[0]
            self._receive()

    def response(self):
        return json.loads(self.payload())

    def exactly(self, count):
        """Return exactly so many bytes."""
        while len(self.rest) < count:
            self._receive()
        data, self.rest = self.rest[:count], self.rest[count:]
        return data

    def _receive(self):
        data = self.sock.recv(65536)
        if not data:
            raise EOFError(f"closed after {self.rest!r}")
        self.rest += data

    def until_end(self):
        """Return all bytes until FIN ("close") or RST ("reset"), and which it was."""
        data, self.rest = bytearray(self.rest), b""
        how = "close"
        try:
            while piece := self.sock.recv(65536):
                data += piece  # in place: the server resets a peer that is slow
        except (ConnectionResetError, ssl.SSLEOFError):  # no close_notify
            how = "reset"
        return bytes(data), how

    def quiet(self, seconds=0.05):
        """Return whether nothing arrives, as far as waiting can tell."""
        self.sock.settimeout(seconds)
        try:
            self.rest += self.sock.recv(65536)
        except TimeoutError:
            return not self.rest
        finally:
            self.sock.settimeout(LIMIT)
        return False


def text(message):
    return message if isinstance(message, bytes) else json.dumps(message).encode()


def request(method, params=None, request_id=1):
    message = {"jsonrpc": "2.0", "method": method, "id": request_id}
    return message if params is None else message | {"params": params}


def notification(method, params=None):
    message = request(method, params)
    del message["id"]
    return message


def result(value, request_id=1):
    return {"jsonrpc": "2.0", "id": request_id, "result": value}


def error_code(response):
    return response["error"]["code"]


def frame_of(value, request_id=1):
    """The server's exact bytes."""
    message = json.dumps(result(value, request_id), separators=(",", ":"))
    return netstring(message.encode())
