"""
TLS for every server and client that does not ask for it.

With JSONRPCC_TESTS_TLS=1 in the environment, conftest.py turns it on for a whole run
of pytest, and the programs that tests start do the same: so every test of what happens
to calls also tests TLS.
"""

import functools
import json
import os
import ssl

from jsonrpcc import Options, Tls
from jsonrpcc.testing import Server, ServerTls

WISH = "JSONRPCC_TESTS_TLS"
FILES = "JSONRPCC_TESTS_TLS_FILES"  # how a parent tells its children


def is_wished_for():
    return os.environ.get(WISH) == "1"


def heed():
    """Do in a process that others start (a worker, a spawned child) as its parent."""
    if is_wished_for() and not hasattr(Server.__init__, "__wrapped__"):
        turn_on()


def turn_on():
    """Turn it on, in this process and in the programs that it starts."""
    if FILES not in os.environ:
        # As long as the process lives.
        # None for clients: their first connections would be proving.
        turn_on.certificates = own = ServerTls()
        os.environ[FILES] = json.dumps({**own.client, "server": own.server})
    files = json.loads(os.environ[FILES])
    server = files.pop("server")
    defaults = Options.__init__.__kwdefaults__
    defaults["tls"] = Tls(**files)
    # A handshake needs the server, whereas a TCP connection needs only its kernel: on
    # a busy machine it takes longer.
    defaults["connect_timeout"] = 5.0
    original = Server.__init__

    @functools.wraps(original)
    def init(self, *args, **options):
        if not options.get("path"):
            options.setdefault("tls", ServerTls(server, server))
        original(self, *args, **options)

    Server.__init__ = init


@functools.cache
def server_context():
    """Return the context for other kinds of servers; None without TLS."""
    if not is_wished_for():
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(json.loads(os.environ[FILES])["server"])
    return context
