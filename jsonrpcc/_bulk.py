"""Many calls of one method: submitted, fetched and decoded by the hundred."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from jsonrpcc._base import SLICE_MS, pointer
from jsonrpcc._errors import JsonRpcError
from jsonrpcc._jsonrpcc import ffi, lib
from jsonrpcc._outcome import refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jsonrpcc._client import Client

CHUNK = 256
_PLAIN = {dict, list, tuple}


class Bulk:
    """
    One run of `Client.map`, with a queue of its own.

    Whoever iterates fetches, and drives the loop while waiting: no other thread
    takes part.
    """

    def __init__(
        self,
        client: Client,
        method: str,
        name: bytes,
        *,
        ms: int,
        flags: int,
        window: int,
    ) -> None:
        self._client = client
        self._method = method
        self._name = name
        self._ms = ms
        self._flags = flags
        self._window = window
        self._submitted = 0
        self._done: dict[int, Any] = {}  # outcomes that came before their turn
        handle = client._handle  # noqa: SLF001
        queue = lib.jsonrpcc_queue_new(handle, lib.JSONRPCC_QUEUE_EAGER)
        if queue == ffi.NULL:
            msg = "out of memory"
            raise MemoryError(msg)
        self._queue = ffi.gc(
            queue, lambda queue, _=handle: lib.jsonrpcc_queue_free(queue)
        )
        self._batch = ffi.new("jsonrpcc_batch *")

    def run(self, params: Iterator[Any], *, return_exceptions: bool) -> Iterator[Any]:
        """Yield the outcomes in order."""
        done = self._done
        turn = 0
        more = True
        while True:
            while more and self._submitted - turn <= self._window - min(
                CHUNK, self._window
            ):
                room = min(CHUNK, self._window - (self._submitted - turn))
                chunk = list(islice(params, room))
                more = len(chunk) == room
                if chunk:
                    self._submit(chunk)
            if turn == self._submitted:
                return
            while turn not in done:
                self._fetch()
            while turn in done:
                outcome = done.pop(turn)
                turn += 1
                if isinstance(outcome, JsonRpcError) and not return_exceptions:
                    raise outcome
                yield outcome

    def _submit(self, chunk: list[Any]) -> None:
        client = self._client
        if not set(map(type, chunk)) <= _PLAIN:
            for params in chunk:
                self._submit_one(params)
            return
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
                self._make_room()
            else:
                raise refusal(-accepted, self._method, text, self._flags)

    def _submit_one(self, params: Any) -> None:
        client = self._client
        text, flags = client._texts.params(params)  # noqa: SLF001
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
            self._make_room()

    def _make_room(self) -> None:
        """Others fill the client: fetch our own, or wait for theirs."""
        if self._submitted > len(self._done):
            self._fetch()
        else:
            lib.jsonrpcc_room(self._client._handle, SLICE_MS)  # noqa: SLF001

    def _fetch(self) -> None:
        """Wait for some outcomes and put them with the others that are done."""
        batch = self._batch
        status = lib.jsonrpcc_queue_wait(self._queue, batch, SLICE_MS)
        if status == lib.JSONRPCC_EPENDING:
            return
        if status != lib.JSONRPCC_OK:
            raise refusal(status, self._method, None, self._flags)
        outcomes = self._client._outcomes  # noqa: SLF001
        if count := batch.count:
            self._done.update(
                zip(ffi.unpack(batch.tokens, count), self._decode(count), strict=True)
            )
        for i in range(batch.failure_count):
            failure = batch.failures[i]
            self._done[failure.token] = outcomes.error(failure.outcome, self._method)

    def _decode(self, count: int) -> list[Any]:
        batch = self._batch
        decode = self._client._codec.decode_many  # noqa: SLF001
        try:
            results: list[Any] = decode(ffi.buffer(batch.results, batch.results_len))
        except Exception:
            return [self._decode_one(i) for i in range(count)]
        return results

    def _decode_one(self, i: int) -> Any:
        batch = self._batch
        start = batch.starts[i] - batch.starts[0] + 1
        try:
            return self._client._codec.decode(  # noqa: SLF001
                ffi.buffer(batch.results + start, batch.lens[i])
            )
        except Exception as cause:
            return self._client._outcomes.undecodable(self._method, cause)  # noqa: SLF001
