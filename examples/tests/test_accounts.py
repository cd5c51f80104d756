"""
The tests of accounts.py: `pytest examples/tests`.

The fixtures come with jsonrpcc.  `jsonrpc_mock` fails a test whose program makes a
call that nobody expected, or does not make one that was expected.
"""

import pytest
from accounts import INSUFFICIENT_FUNDS, Accounts

import jsonrpcc
from jsonrpcc.testing import Drop, Reset


@pytest.fixture
def jsonrpc_client_options():
    return {"timeout": 0.5, "reconnect_delay": 0.01}


@pytest.fixture
def accounts(jsonrpc_client):
    return Accounts(jsonrpc_client)


def test_balance(jsonrpc_mock, accounts):
    jsonrpc_mock.on("balance", ["bob"]).returns(100).once()
    assert accounts.balance("bob") == 100


def test_balance_survives_a_lost_connection(jsonrpc_mock, accounts):
    jsonrpc_mock.on("balance").returns(0).faults(Reset()).once().then().returns(100)
    assert accounts.balance("bob") == 100
    jsonrpc_mock.assert_called("balance", ["bob"], times=2)


def test_transfer(jsonrpc_mock, accounts):
    jsonrpc_mock.on("transfer", {"from": "a", "to": "b", "amount": 5}).returns(True)
    assert accounts.transfer("a", "b", 5) == "done"


def test_transfer_of_too_much(jsonrpc_mock, accounts):
    jsonrpc_mock.on("transfer").raises(INSUFFICIENT_FUNDS, "insufficient funds")
    assert accounts.transfer("a", "b", 5) == "refused"


@pytest.mark.parametrize("fault", [Reset(), Drop()], ids=["lost", "no response"])
def test_a_transfer_is_never_repeated(jsonrpc_mock, accounts, fault):
    jsonrpc_mock.on("transfer").returns(True).faults(fault)
    assert accounts.transfer("a", "b", 5) == "unknown"
    jsonrpc_mock.assert_called("transfer", times=1)


def test_a_transfer_without_a_server_is_not_done():
    with jsonrpcc.Client("127.0.0.1:1", timeout=0.5) as client:
        assert Accounts(client).transfer("a", "b", 5) == "not done"
