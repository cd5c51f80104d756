"""Servers that require a hello, and what their connections said."""

from jsonrpcc.testing import Error

WORDS = "correct horse battery"
NOT_GREETED = -32002
LOGIN = [("login", {"user": "bob", "password": WORDS})]


def login(user, password):
    if password != WORDS:
        raise Error(401, f"not {password}")
    return {"user": user}


async def subscribe(*topics):
    return list(topics)


METHODS = {"echo": lambda *params: list(params), "login": login, "subscribe": subscribe}


def said(server):
    """Return the methods called on each connection, in order."""
    connections = {}
    for request in server.requests:
        connections.setdefault(request.connection, []).append(request.method)
    return list(connections.values())


def kinds(events):
    return [event.kind for event in events]
