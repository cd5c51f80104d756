"""The floor of a blocking call from Python: fixed bytes there, bytes back."""

from __future__ import annotations

import socket
from time import perf_counter
from typing import TYPE_CHECKING

from bench.job import HOST, USER, WrongResultError
from bench.rivals import wire

if TYPE_CHECKING:
    from bench.job import Job


def sync(job: Job) -> None:
    """Send one frame, receive one frame; no JSON, no ids, no framing."""
    connection = socket.create_connection((HOST, job.port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    send, recv = connection.send, connection.recv
    frame = wire.request(1, "get_user", USER)
    send(frame)
    expected = recv(4096)
    for _ in range(job.warmup):
        send(frame)
        recv(4096)
    with job.measure():
        for _ in range(job.calls):
            begun = perf_counter()
            send(frame)
            reply = recv(4096)
            job.latencies.append(perf_counter() - begun)
            if reply != expected:
                raise WrongResultError(reply)
    connection.close()
