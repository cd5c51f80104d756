"""Twisted's netstrings around pjrpc's JSON-RPC: a server with no code of ours.

Prints its port, and ends with its stdin.
"""

import sys

import pjrpc.server
from twisted.internet import protocol, reactor
from twisted.protocols.basic import NetstringReceiver

methods = pjrpc.server.MethodRegistry()
notes = []


def add(a, b):
    return a + b


def first(value=None):
    return value


def note(value):
    notes.append(value)


def seen_notes():
    return notes


def fail(code, message, data=None):
    raise pjrpc.server.JsonRpcError(code=code, message=message, data=data)


named = {"math.add": add, "first": first, "note": note, "notes": seen_notes}
for name, method in {**named, "fail": fail}.items():
    methods.add_method(method, name)
dispatcher = pjrpc.server.Dispatcher()
dispatcher.add_methods(methods)


class JsonRpc(NetstringReceiver):
    MAX_LENGTH = 16 * 1024 * 1024

    def stringReceived(self, string):  # noqa: N802  (Twisted's name)
        answer = dispatcher.dispatch(string.decode(), None)
        if answer is not None:
            self.sendString(answer[0].encode())


port = reactor.listenTCP(
    0, protocol.Factory.forProtocol(JsonRpc), interface="127.0.0.1"
)
print(port.getHost().port, flush=True)
reactor.callInThread(
    lambda: (sys.stdin.read(), reactor.callFromThread(reactor.stop)),
)
reactor.run()
