"""Many calls of one method: submitted, fetched and decoded by the hundred."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jsonrpcc._fast import take
from jsonrpcc._jsonrpcc import ffi, lib
from jsonrpcc._records import refusal
from jsonrpcc._session import SLICE_MS, pointer, view

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jsonrpcc._client import Client
    from jsonrpcc._fast import Ordered

CHUNK = 512
"""So many calls are encoded and submitted together at most."""


class Bulk:
    """
    One run of `Client.map`, with a queue of its own.

    Whoever iterates fetches, and drives the loop while waiting: no other thread
    takes part.  It is called where the next outcome has not come yet.
    """

    def __init__(
        self,
        client: Client,
        method: str,
        name: bytes,
        params: Iterator[Any],
        *,
        ms: int,
        flags: int,
        window: int,
    ) -> None:
        self._client = client
        self._method = method
        self._name = name
        self._params: Iterator[Any] | None = params
        self._ms = ms
        self._flags = flags
        self._window = window
        # One half of the window is answered while the other is used up.
        self._chunk = min(CHUNK, (window + 1) // 2)
        self._submitted = 0
        handle = client._handle  # noqa: SLF001
        queue = lib.jsonrpcc_queue_new(handle, lib.JSONRPCC_QUEUE_EAGER)
        if queue == ffi.NULL:
            msg = "out of memory"
            raise MemoryError(msg)
        self._queue = ffi.gc(
            queue, lambda queue, _=handle: lib.jsonrpcc_queue_free(queue)
        )
        self._batch = ffi.new("jsonrpcc_batch *")
        self._address = int(ffi.cast("uintptr_t", self._batch))

    def __call__(self, outcomes: Ordered) -> bool:
        """Submit as many as may be in flight and wait for some; False at the end."""
        while (
            self._params is not None
            and self._submitted - outcomes.turn <= self._window - self._chunk
        ):
            room = min(CHUNK, self._window - (self._submitted - outcomes.turn))
            chunk, plain = take(self._params, room)
            if len(chunk) < room:
                self._params = None
            if plain and chunk:
                self._submit(chunk, outcomes)
            else:
                for params in chunk:
                    self._submit_one(params, outcomes)
        if outcomes.turn == self._submitted:
            return False
        if outcomes.come < self._submitted:
            self._fetch(outcomes)
        return True

    def _submit(self, chunk: list[Any], outcomes: Ordered) -> None:
        client = self._client
        text, size = pointer(client._texts.params(chunk)[0])  # noqa: SLF001
        at = ffi.new("size_t *", 0)
        left = len(chunk)
        while left:
            accepted = lib.jsonrpcc_queue_request_many(
                self._queue, self._submitted, self._name, len(self._name),
                text, size, at, left, self._ms, self._flags,
            )  # fmt: skip
            if accepted > 0:
                self._submitted += accepted
                left -= accepted
            elif accepted == -lib.JSONRPCC_EFULL:
                self._make_room(outcomes)
            else:
                raise refusal(-accepted, self._method, text, self._flags)

    def _submit_one(self, params: Any, outcomes: Ordered) -> None:
        text, flags = self._client._texts.params(params)  # noqa: SLF001
        flags |= self._flags
        while True:
            result = lib.jsonrpcc_queue_request(
                self._queue, self._submitted, self._name, len(self._name),
                *pointer(text), self._ms, flags,
            )  # fmt: skip
            if result > 0:
                self._submitted += 1
                return
            if result != -lib.JSONRPCC_EFULL:
                raise refusal(-result, self._method, text, flags)
            self._make_room(outcomes)

    def _make_room(self, outcomes: Ordered) -> None:
        """Others fill the client: fetch our own, or wait for theirs."""
        if outcomes.come < self._submitted:
            self._fetch(outcomes)
        else:
            lib.jsonrpcc_room(self._client._handle, SLICE_MS)  # noqa: SLF001

    def _fetch(self, outcomes: Ordered) -> None:
        """Wait for some outcomes and put them where they belong."""
        batch = self._batch
        status = lib.jsonrpcc_queue_wait(self._queue, batch, SLICE_MS)
        if status == lib.JSONRPCC_EPENDING:
            return
        if status != lib.JSONRPCC_OK:
            raise refusal(status, self._method, None, self._flags)
        if batch.count and not outcomes.deliver(self._address):
            for i in range(batch.count):
                self._decode_one(i, outcomes)
        errors = self._client._outcomes  # noqa: SLF001
        for i in range(batch.failure_count):
            failure = batch.failures[i]
            error = errors.error(failure.outcome, self._method)
            outcomes.put(failure.token, error, True)

    def _decode_one(self, i: int, outcomes: Ordered) -> None:
        batch = self._batch
        client = self._client
        start = batch.starts[i] - batch.starts[0] + 1
        try:
            result = client._codec.decode(  # noqa: SLF001
                view(batch.results + start, batch.lens[i])
            )
        except Exception as cause:
            error = client._outcomes.undecoded(  # noqa: SLF001
                self._method, cause, batch.origins[i]
            )
            outcomes.put(batch.tokens[i], error, True)
        else:
            outcomes.put(batch.tokens[i], result, False)
