"""
TLS for every server and client that says nothing of it.

With JSONRPCC_TESTS_TLS=1 in the environment, conftest.py turns it on for a whole run
of pytest, and the programs that tests start do the same: so any test of what happens
to calls is one of TLS as well.
"""

import functools
import json
import os

from jsonrpcc import Options, Tls
from jsonrpcc.testing import Server, ServerTls

WISH = "JSONRPCC_TESTS_TLS"
FILES = "JSONRPCC_TESTS_TLS_FILES"  # what a child is told by its parent


def is_wished_for():
    return os.environ.get(WISH) == "1"


def turn_on():
    """From here on, in this process and in the programs that it starts."""
    if FILES not in os.environ:
        # As long as the process lives.
        # None for clients: their first connections would be proving.
        turn_on.certificates = own = ServerTls()
        os.environ[FILES] = json.dumps({**own.client, "server": own.server})
    files = json.loads(os.environ[FILES])
    server = files.pop("server")
    Options.__init__.__kwdefaults__["tls"] = Tls(**files)
    original = Server.__init__

    @functools.wraps(original)
    def init(self, *args, **options):
        if not options.get("path"):
            options.setdefault("tls", ServerTls(server, server))
        original(self, *args, **options)

    Server.__init__ = init
