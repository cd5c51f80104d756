"""Many calls of one method: submitted, fetched and decoded by the hundred."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Any

import msgspec

from jsonrpcc._jsonrpcc import ffi, lib
from jsonrpcc._records import refusal
from jsonrpcc._session import pointer, result_of
from jsonrpcc._speedups import SLICE_MS, take

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jsonrpcc._params import CallOptions
    from jsonrpcc._session import Session
    from jsonrpcc._speedups import Ordered

CHUNK = 512
"""So many calls are encoded and submitted together at most."""

LONG = 0.05
"""Seconds of reading, and then what was read is sent, and results are looked for."""

_AT_HAND: tuple[type, ...] = (type(iter([])), type(iter(())), type(iter(range(0))))
"""Iterators that neither block nor raise, whatever they are over."""

_ENDS = (lib.JSONRPCC_ECLOSED, lib.JSONRPCC_EDEADLK, lib.JSONRPCC_EFOREIGN)

# What says that params are bad.  From a codec written in C nothing else comes: it is
# an exception from outside then, of a signal handler, and no outcome of a call.
_BAD_PARAMS = (
    TypeError, ValueError, OverflowError, RecursionError, MemoryError,
    msgspec.MsgspecError,
)  # fmt: skip


class Bulk:
    """
    One run of `Client.map`, with a queue of its own.

    Whoever iterates fetches, and drives the loop while waiting: no other thread
    takes part.  It is called where the next outcome has not come yet.

    The params' iterator may block or raise, and nobody can know before.  So what was
    read is sent before more is read, in groups only as far as reading goes quickly: a
    group is a quarter of what came quickly in a row.  Where reading takes long it is
    one by one, and results that have come go first.
    """

    def __init__(
        self,
        session: Session,
        method: str,
        params: Iterator[Any],
        *,
        options: CallOptions,
        window: int,
        keep: object,
    ) -> None:
        """*keep* is the client, which closes when nobody keeps it."""
        self._session = session
        self._keep = keep
        self._method = method
        self._name = session.texts.method(method)
        self._params: Iterator[Any] | None = params
        self._is_at_hand = type(params) in _AT_HAND
        self._ms, self._flags = options
        self._window = window
        # One half of the window is answered while the other is used up.
        self._half = min(CHUNK, (window + 1) // 2)
        self._quick = 0  # so many params came quickly in a row
        self._took = 0.0  # seconds of reading since outcomes were looked for
        self._unsent: list[Any] = []
        self._text: bytes | None = None  # of all that is unsent, as one array
        self._at = ffi.new("size_t *")  # and how far it has been sent
        self._numbered = 0
        self._end: Exception | None = None
        self._bad_params = _BAD_PARAMS if session.codec.native else (Exception,)
        self._queue = session.new_queue(lib.JSONRPCC_QUEUE_EAGER)
        self._completions = ffi.new("jsonrpcc_completions *")
        self._address = int(ffi.cast("uintptr_t", self._completions))

    def __call__(self, outcomes: Ordered) -> bool:
        """
        Have as many in flight as may be and wait for some; False at the end.

        Raises what the params' iterator raised, when all before it has been told.
        """
        ms = self._fill(outcomes)
        if outcomes.ready:
            return True
        if outcomes.come < self._numbered:
            self._fetch(outcomes, ms)
        elif self._unsent:
            # Others fill the client.
            lib.jsonrpcc_room(self._session.handle, SLICE_MS)
        elif self._params is None and outcomes.turn == self._numbered:
            error, self._end = self._end, None
            if error is None:
                return False
            try:
                raise error
            finally:
                del error  # which knows this frame
        return True

    # ---- reading and sending ---------------------------------------------------

    def _fill(self, outcomes: Ordered) -> int:
        """Send what may be in flight; return how long to wait for outcomes."""
        if not self._send(outcomes):
            return SLICE_MS
        if self._took >= LONG and outcomes.come < self._numbered:
            self._fetch(outcomes, 0)
            if outcomes.ready:
                return 0
        self._took = 0.0
        least = self._quick // 4 or 1  # worth reading
        if self._is_at_hand or least > self._half:
            least = self._half
        room = self._room(outcomes)
        while self._params is not None and room >= least:
            self._read(self._params, room)
            if not self._send(outcomes):
                break
            if self._took >= LONG:
                # Reading on keeps back a result that comes meanwhile: wait for it,
                # but not so long that reading becomes much slower.
                return min(math.ceil(self._took * 250), SLICE_MS)
            room = self._room(outcomes)
        return SLICE_MS

    def _room(self, outcomes: Ordered) -> int:
        return self._window - (self._numbered - outcomes.turn)

    def _read(self, params: Iterator[Any], room: int) -> None:
        most = CHUNK if self._is_at_hand else min(CHUNK, self._quick // 4 + 1)
        chunk, plain, more, took, error = take(params, min(room, most), LONG)
        if not more:
            self._params = None
            self._end = error
        self._took += took
        self._quick = 0 if took >= LONG else self._quick + len(chunk)
        self._unsent = chunk
        self._at[0] = 0
        self._text = None
        if plain and len(chunk) > 1:
            # If it is refused they tell one by one which it is.
            with contextlib.suppress(*self._bad_params):
                self._text = self._session.texts.params(chunk)[0]

    def _send(self, outcomes: Ordered) -> bool:
        """Send what was read; False: the client is full, the rest is for later."""
        if self._text is not None and not self._send_many():
            return False
        while self._unsent:
            status = self._send_one(self._unsent[0], outcomes)
            if status == lib.JSONRPCC_EFULL:
                return False
            del self._unsent[:1]
        return True

    def _send_many(self) -> bool:
        """
        Send from one text.

        False: the client is full.  True: all is sent, or one by one will tell.
        """
        text, size = pointer(self._text)
        while self._unsent:
            accepted = lib.jsonrpcc_queue_request_many(
                self._queue, self._numbered, self._name, len(self._name),
                text, size, self._at, len(self._unsent), self._ms, self._flags,
            )  # fmt: skip
            if accepted == -lib.JSONRPCC_EFULL:
                return False
            if accepted <= 0:
                break
            self._numbered += accepted
            del self._unsent[:accepted]
        self._text = None
        return True

    def _send_one(self, params: Any, outcomes: Ordered) -> int:
        """Send one, or put in its place why not; return EFULL, or anything else."""
        try:
            text, flags = self._session.texts.params(params)
        except self._bad_params as error:
            self._refuse(error, outcomes)
            return 0
        flags |= self._flags
        result: int = lib.jsonrpcc_queue_request(
            self._queue, self._numbered, self._name, len(self._name),
            *pointer(text), self._ms, flags,
        )  # fmt: skip
        if result > 0:
            self._numbered += 1
        elif -result in _ENDS:
            # No matter of this call's: there will be no other.
            self._end = refusal(-result, self._method, text, flags)
            self._stop()
        elif result != -lib.JSONRPCC_EFULL:
            self._refuse(refusal(-result, self._method, text, flags), outcomes)
        return -result

    def _refuse(self, error: Exception, outcomes: Ordered) -> None:
        """One call was not accepted: that is its outcome."""
        outcomes.put(self._numbered, error, True)
        self._numbered += 1
        if not outcomes.return_exceptions:
            # It will be raised; nothing behind it is sent.
            self._end = None
            self._stop()

    def _stop(self) -> None:
        self._params = None
        del self._unsent[1:]  # what is being sent is its caller's

    # ---- outcomes ----------------------------------------------------------------

    def _fetch(self, outcomes: Ordered, ms: int) -> None:
        """Wait for some outcomes and put them where they belong."""
        completions = self._completions
        status = lib.jsonrpcc_queue_wait(self._queue, completions, ms)
        if status == lib.JSONRPCC_EPENDING:
            return
        if status != lib.JSONRPCC_OK:
            raise refusal(status, self._method, None, self._flags)
        if completions.count and not outcomes.deliver(self._address):
            for i in range(completions.count):
                self._decode_one(i, outcomes)
        errors = self._session.outcomes
        for i in range(completions.failure_count):
            failure = lib.jsonrpcc_completions_failure(completions, i)
            error = errors.error(failure.outcome, self._method)
            outcomes.put(failure.token, error, True)

    def _decode_one(self, i: int, outcomes: Ordered) -> None:
        completions = self._completions
        session = self._session
        try:
            result = session.codec.decode(result_of(completions, i))
        except Exception as cause:
            origin = lib.jsonrpcc_completions_origin(completions, i)
            error = session.outcomes.undecoded(self._method, cause, origin)
            outcomes.put(completions.tokens[i], error, True)
        else:
            outcomes.put(completions.tokens[i], result, False)
