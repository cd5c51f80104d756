"""Server lists in files: how to write one, and what a client makes of it."""

from history import until

METHODS = {"echo": lambda *params: list(params)}
SETTLED = 0.25  # seconds until a file counts that was not moved to its place


def put(path, text):
    """Replace the file atomically, as it should be done."""
    new = path.parent / f".{path.name}.new"
    new.write_text(text)
    new.rename(path)


def addresses(client):
    return [server.address for server in client.servers()]


def wait_for(client, *servers):
    wanted = [server.address for server in servers]
    until(lambda: addresses(client) == wanted, what="the list")


def refused(events):
    return [event.reason for event in events if event.kind == "list_refused"]
