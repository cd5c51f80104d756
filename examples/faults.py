"""How to test what your code does when a server misbehaves."""

import jsonrpcc
from jsonrpcc.testing import Delay, Drop, Reset, Server


def get_name(client: jsonrpcc.Client, number: int) -> str:
    """Return the name of a user; this is the code under test."""
    try:
        user = client.call("get_user", [number], timeout=0.5, idempotent=True)
    except TimeoutError:
        return "?"
    return str(user["name"])


def main() -> None:
    """Run the tests."""
    with (
        Server({"get_user": lambda number: {"name": f"user {number}"}}) as server,
        jsonrpcc.Client(server.address, reconnect_delay=0.01) as client,
    ):
        assert get_name(client, 1) == "user 1"

        server.misbehave(Delay(0.05), method="get_user")
        assert get_name(client, 2) == "user 2"

        server.misbehave(Drop(times=1), method="get_user")
        assert get_name(client, 3) == "?"

        server.misbehave(Reset(times=1), method="get_user")
        try:
            client.call("get_user", [4])
        except jsonrpcc.ConnectionLost as error:
            assert error.fate == "unknown"  # noqa: PT017

        print([request.params for request in server.requests])


if __name__ == "__main__":
    main()
