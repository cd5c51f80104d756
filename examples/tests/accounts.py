"""A small program with calls that must not run twice, and its tests beside it."""

from typing import Any

import jsonrpcc

INSUFFICIENT_FUNDS = 402


class Accounts:
    """Accounts on a server."""

    def __init__(self, client: jsonrpcc.Client) -> None:
        """Use this client for all calls."""
        self._client = client

    def balance(self, user: str) -> Any:
        """Return what a user has.  Reading twice is harmless: idempotent."""
        return self._client.call(
            "balance", [user], idempotent=True, wait_for_ready=True
        )

    def transfer(self, source: str, target: str, amount: int) -> str:
        """
        Move money; return "done", "refused", "not done" or "unknown".

        After "unknown", look at the balances before you try again.
        """
        params = {"from": source, "to": target, "amount": amount}
        try:
            self._client.call("transfer", params)
        except jsonrpcc.RemoteError as error:
            if error.code == INSUFFICIENT_FUNDS:
                return "refused"
            raise
        except jsonrpcc.JsonRpcError as error:
            return "not done" if error.fate == "not_sent" else "unknown"
        return "done"
