"""Clients that are closed or drained in each other's callbacks."""

import threading

import pytest
from helpers import LIMIT


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("how", ["close", "drain"])
def test_a_ring_of_clients_is_ended_in_each_others_callbacks(
    server, client_for, how, count
):
    clients = [client_for(server, timeout=LIMIT) for _ in range(count)]
    together, raised = threading.Barrier(count), []
    done = [threading.Event() for _ in clients]

    def end(at):
        together.wait(LIMIT)
        try:
            getattr(clients[at - 1], how)()
        except RuntimeError as error:
            raised.append(str(error))
        done[at].set()

    for at, client in enumerate(clients):
        client.request("echo", [at], lambda _, at=at: end(at))
    assert all(each.wait(2 * LIMIT) for each in done)
    assert bool(raised) == (how == "drain")
    assert set(raised) <= {"drain() in a callback would wait for itself"}
