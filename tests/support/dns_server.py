"""
A name server for tests, which can also lie.

`NameServer` answers on UDP and TCP from `records`; *fault* spoils the answers.  The
system's resolver asks it only if it listens at port 53 of a network namespace.
"""

import socket
import socketserver
import struct
import threading

A, CNAME, SOA, AAAA, SRV = 1, 5, 6, 28, 33
NOERROR, SERVFAIL, NXDOMAIN, REFUSED = 0, 2, 3, 5
_UDP = 512  # bytes of an answer without EDNS


def name(text):
    """Return a name in wire format."""
    labels = [label.encode() for label in text.split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def address(text):
    """Return (type, data) of an address."""
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    return (AAAA if ":" in text else A), socket.inet_pton(family, text)


def srv(priority, weight, port, target):
    """Return (type, data) of a service."""
    return SRV, struct.pack(">3H", priority, weight, port) + name(target)


def question(query):
    """Return the name that is asked for, in lower case, and the type."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode())
        at += 1 + query[at]
    return ".".join(labels).lower(), struct.unpack(">H", query[at + 1 : at + 3])[0]


def answer(query, code=NOERROR, records=(), ttl=0, *, truncated=False):
    """Return the response to a query, with records of (type, data)."""
    asked, kind = question(query)
    end = 12 + len(asked) + 2 + 4 if asked else 17
    flags = 0x8180 | code | (0x0200 if truncated else 0)
    found = [(each, data) for each, data in records if each == kind]
    body = b"".join(
        b"\xc0\x0c" + struct.pack(">HHIH", each, 1, ttl, len(data)) + data
        for each, data in found
    )
    counts = struct.pack(">5H", flags, 1, len(found), 0, 0)
    return query[:2] + counts + query[12:end] + body


class NameServer:
    """
    Answers from *records*, a dict of names in lower case to lists of (type, data).

    Names that it does not have do not exist.  *fault* is None, or a function of the
    query and the answer that returns the bytes to send instead, or None for silence.
    """

    def __init__(self, host="127.0.0.1", port=53):
        self.records = {}
        self.ttl = 0
        self.fault = None
        self.asked = []
        outer = self

        class Udp(socketserver.BaseRequestHandler):
            def handle(self):
                query, sock = self.request
                data = outer.respond(query)
                if data is not None and len(data) > _UDP:
                    data = answer(query, truncated=True)
                if data is not None:
                    sock.sendto(data, self.client_address)

        class Tcp(socketserver.StreamRequestHandler):
            def handle(self):
                while size := self.rfile.read(2):
                    query = self.rfile.read(int.from_bytes(size, "big"))
                    data = outer.respond(query)
                    if data is None:
                        return
                    self.wfile.write(len(data).to_bytes(2, "big") + data)

        self._servers = [
            socketserver.ThreadingUDPServer((host, port), Udp),
            socketserver.ThreadingTCPServer((host, port), Tcp, bind_and_activate=False),
        ]
        for server in self._servers:  # that a client has gone is no error
            server.handle_error = lambda *_: None
        tcp = self._servers[1]
        tcp.allow_reuse_address = True
        tcp.server_bind()
        tcp.server_activate()

    def respond(self, query):
        asked, kind = question(query)
        self.asked.append((asked, kind))
        if asked in self.records:
            data = answer(query, NOERROR, self.records[asked], self.ttl)
        else:
            data = answer(query, NXDOMAIN)
        return data if self.fault is None else self.fault(query, data)

    def __enter__(self):
        for server in self._servers:
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        return self

    def __exit__(self, *_):
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def serve(self, host, *addresses):
        """Make *host* resolve to these addresses."""
        self.records = {**self.records, host: [address(each) for each in addresses]}


def with_code(code):
    return lambda query, _: answer(query, code)


def silence(_query, _data):
    return None


def cut(query, data):
    """Half of the answer, not marked as truncated."""
    return data[: 12 + (len(data) - 12) // 2]


def counts_too_much(query, data):
    return data[:6] + b"\xff\xff" + data[8:]


def loops(query, _data):
    """A record whose name points at itself."""
    _, kind = question(query)
    whole = answer(query, NOERROR, [])
    at = len(whole)
    pointer = struct.pack(">H", 0xC000 | at)
    return (
        whole[:6] + b"\0\1" + whole[8:] + pointer
        + struct.pack(">HHIH", kind, 1, 0, 8) + b"\0\1\0\1\0\1" + pointer
    )  # fmt: skip


def noise(query, _data):
    """The header of an answer, and bytes."""
    return answer(query, NOERROR)[:12] + bytes(range(255, -1, -1))


LIES = {
    "servfail": with_code(SERVFAIL),
    "refused": with_code(REFUSED),
    "cut": cut,
    "counts": counts_too_much,
    "loops": loops,
    "noise": noise,
    "truncated": lambda query, _: answer(query, truncated=True),
}
