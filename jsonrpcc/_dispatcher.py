"""The thread that fetches outcomes and runs callbacks."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from jsonrpcc._base import SLICE_MS, logger, tell_event
from jsonrpcc._errors import Cancelled, JsonRpcError, RemoteError
from jsonrpcc._jsonrpcc import ffi, lib
from jsonrpcc._submit import Submitter, callbacks_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from jsonrpcc._codec import Codec
    from jsonrpcc._outcome import Event, Outcomes
    from jsonrpcc._texts import Texts

    OnResult = Callable[[Any], object]
    OnError = Callable[[JsonRpcError], object]
    Entry = tuple[OnResult | None, OnError | None, str]  # and the method


def report(method: str, error: BaseException) -> None:
    """Log what a callback raised."""
    logger.error("callback of %r failed", method, exc_info=error)


class Dispatcher:
    """
    The thread that fetches outcomes and runs callbacks.

    It must not know the client, or that would never become garbage.
    """

    def __init__(
        self,
        handle: Any,
        outcomes: Outcomes,
        codec: Codec,
        texts: Texts,
        *,
        timeout: float,
        on_event: Callable[[Event], object] | None,
    ) -> None:
        queue = lib.jsonrpcc_queue_new(handle, lib.JSONRPCC_QUEUE_EVENTS)
        if queue == ffi.NULL:
            msg = "out of memory"
            raise MemoryError(msg)
        # The closure keeps the client until the queue is gone.
        self.queue = ffi.gc(
            queue, lambda queue, _=handle: lib.jsonrpcc_queue_free(queue)
        )
        submitter = Submitter(texts, self.queue, timeout)
        self.calls = callbacks_for(handle, self.queue, codec, submitter, report)
        self.idle = threading.Condition()
        self._drainers = 0
        self._delivering = False  # what has left `calls` may still run
        self._outcomes = outcomes
        self._decode = codec.decode
        self._on_event = on_event
        self.thread = threading.Thread(target=self._run, name="jsonrpcc", daemon=True)
        submitter.thread = self.thread
        self.thread.start()

    def _run(self) -> None:
        """Fetch and deliver until the client is closed and all is delivered."""
        batch = ffi.new("jsonrpcc_batch *")
        address = int(ffi.cast("uintptr_t", batch))
        queue = self.queue
        wait = lib.jsonrpcc_queue_wait
        deliver = self.calls.deliver
        while wait(queue, batch, -1) == lib.JSONRPCC_OK:
            self._delivering = True
            if batch.count and not deliver(address):
                self._deliver_each(batch)
            if batch.failure_count:
                self._fail(batch)
            if batch.event_count:
                # An event that there is no memory to tell is missed; the thread goes
                # on.  No suppress(): that would want memory, too.
                try:  # noqa: SIM105
                    self._tell(batch)
                except MemoryError:
                    pass
            self._delivering = False
            if self._drainers and not self.calls:
                with self.idle:
                    self.idle.notify_all()
        with self.idle:
            self.idle.notify_all()

    # No local of _run() may hold on to a callback until the next batch, so each
    # of these ends with the frame that knew it.  Whatever a callback raises,
    # SystemExit and asyncio.CancelledError too, must not end this thread: the
    # outcomes of all other calls come through it.

    def _decode_one(self, entry: Entry, text: Any, origin: Any) -> None:
        on_result, _, method = entry
        try:
            result = self._decode(text)
        except Exception as cause:
            self._end(entry, self._outcomes.undecodable(method, cause, origin))
            return
        if on_result is None:
            return
        try:
            on_result(result)
        except BaseException as error:
            report(method, error)

    def _deliver_each(self, batch: Any) -> None:
        """One of the results can not be decoded: that is its call's matter alone."""
        tokens = ffi.unpack(batch.tokens, batch.count)
        first = batch.starts[0] - 1
        texts = [
            bytes(ffi.buffer(batch.results + batch.starts[i] - first, batch.lens[i]))
            for i in range(len(tokens))
        ]
        origins = ffi.new("jsonrpcc_origin[]", batch.count)
        ffi.memmove(origins, batch.origins, ffi.sizeof(origins))
        for token, text, origin in zip(tokens, texts, origins, strict=True):
            entry = self.calls.take(token)
            if entry is not None:
                self._decode_one(entry, text, origin)

    def _fail(self, batch: Any) -> None:
        for i in range(batch.failure_count):
            failure = batch.failures[i]
            entry = self.calls.take(failure.token)
            if entry is not None:
                self._end(entry, self._outcomes.error(failure.outcome, entry[2]))

    def _tell(self, batch: Any) -> None:
        for i in range(batch.event_count):
            try:
                tell_event(self._outcomes, batch.events[i], self._on_event)
            except BaseException:
                logger.exception("on_event %r failed", self._on_event)

    @staticmethod
    def _end(entry: Entry, error: JsonRpcError) -> None:
        _, on_error, method = entry
        if on_error is None:
            if not isinstance(error, Cancelled):
                # str() of a remote error is the server's message and no more.
                what = repr(error) if isinstance(error, RemoteError) else error
                logger.error("%s (no on_error was given)", what)
            return
        try:
            on_error(error)
        except BaseException as raised:
            report(method, raised)

    def drain(self, deadline: float) -> bool:
        """Wait until no call is in flight, or the deadline or the end comes."""
        with self.idle:
            self._drainers += 1
            try:
                while self._has_work() and self.thread.is_alive():
                    left = deadline - time.monotonic()
                    if left <= 0:
                        return False
                    self.idle.wait(min(left, SLICE_MS / 1000))
            finally:
                self._drainers -= 1
        return not self._has_work()

    def _has_work(self) -> bool:
        # In this order: a call leaves `calls` only while we are delivering.
        return bool(self.calls) or self._delivering
