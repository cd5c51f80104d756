"""What stands in the log, for those who have nothing else."""

import logging

import jsonrpcc
from jsonrpcc.testing import Error, Server


def fail():
    raise Error(5, "no", {"password": "secret"})


def test_error_that_nobody_takes_is_logged_with_its_method(caplog):
    """A server's message alone does not say whose it is; its data may be secret."""
    with Server({"fail": fail}) as server, jsonrpcc.Client(server.address) as client:
        client.request("fail")
        client.drain(5)
    (line,) = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    for part in ("no on_error was given", "'fail'", "5", "'no'", server.address):
        assert part in line
    assert "secret" not in line
