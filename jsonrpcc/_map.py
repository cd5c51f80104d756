"""Many calls of one method: submitted, fetched and decoded by the hundred."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from jsonrpcc._jsonrpcc import ffi, lib
from jsonrpcc._params import extra_members
from jsonrpcc._refusals import refusal
from jsonrpcc._session import result_of
from jsonrpcc._speedups import SLICE_MS, attempt, take

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jsonrpcc._codec import Codec
    from jsonrpcc._params import CallOptions
    from jsonrpcc._session import Session
    from jsonrpcc._speedups import Ordered

CHUNK = 512
"""How many calls are encoded and submitted together at most."""

LONG = 0.05
"""Seconds of reading before what was read is sent, and results are fetched."""

_AT_HAND: tuple[type, ...] = (type(iter([])), type(iter(())), type(iter(range(0))))
"""Iterators that neither block nor raise, whatever they iterate over."""

_ENDS = (lib.JSONRPCC_ECLOSED, lib.JSONRPCC_EDEADLK, lib.JSONRPCC_EFOREIGN)


class Bulk:
    """
    One run of `Client.map`, with a queue of its own.

    The iterating thread fetches, and drives the loop while it waits: no other thread
    takes part.  This is called when the next outcome has not arrived yet.

    The iterator of params may block or raise, which cannot be known in advance.  So
    what was read is sent before more is read, and in groups only while reading is
    quick: a group is a quarter of what was read quickly in a row.  If reading takes
    long, it is one by one, and results that have arrived go first.
    """

    def __init__(
        self,
        session: Session,
        method: str,
        params: Iterator[Any],
        *,
        options: CallOptions,
        codec: Codec,
        window: int,
        keep: object,
    ) -> None:
        """
        Begin one.

        *codec* decodes the results; *keep* is the client, which closes when no
        reference is left.
        """
        self._session = session
        self._keep = keep
        self._method = str(method)
        self._name = session.texts.method(method)
        self._chars = ffi.from_buffer(self._name)  # which has to be kept
        self._params: Iterator[Any] | None = params
        self._is_at_hand = type(params) in _AT_HAND
        self._codec = codec
        self._flags = options.flags
        self._call = ffi.new("jsonrpcc_call *")  # what all of them have in common
        self._call.size = ffi.sizeof(self._call[0])
        self._call.method, self._call.method_len = self._chars, len(self._name)
        self._members = extra_members(method)  # which has to be kept, too
        if self._members is not None:
            self._call.members = ffi.from_buffer(self._members)
            self._call.members_len = len(self._members)
        self._call.timeout_ms = options.ms
        self._call.method_id = lib.jsonrpcc_method(
            session.handle, self._name, len(self._name)
        )
        self._window = window
        # One half of the window is answered while the other is processed.
        self._half = min(CHUNK, (window + 1) // 2)
        self._quick = 0  # params read quickly in a row
        self._took = 0.0  # seconds of reading since outcomes were last fetched
        self._unsent: list[Any] = []
        self._text: bytes | None = None  # all unsent params, as one array
        self._at = ffi.new("size_t *")  # and how far it has been sent
        self._numbered = 0
        self._end: Exception | None = None
        self._queue = session.new_queue(lib.JSONRPCC_QUEUE_EAGER)
        self._completions = ffi.new("jsonrpcc_completions *")
        self._address = int(ffi.cast("uintptr_t", self._completions))

    def __call__(self, outcomes: Ordered) -> bool:
        """
        Have as many in flight as allowed, and wait for some.  False at the end.

        Raises what the iterator of params raised, once all before it was delivered.
        """
        ms = self._fill(outcomes)
        if outcomes.ready:
            return True
        if outcomes.come < self._numbered:
            self._fetch(outcomes, ms)
        elif self._unsent:
            # Other calls fill the client.
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
                # Reading on delays a result that arrives meanwhile: wait for it,
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
            # If it is refused, sending one by one shows which call it is.
            self._text = self._session.texts.array(chunk)

    def _send(self, outcomes: Ordered) -> bool:
        """Send what was read.  False: the client is full, the rest comes later."""
        if self._text is not None and not self._send_many():
            return False
        while self._unsent:
            status = self._send_one(self._unsent[0], outcomes)
            if status == lib.JSONRPCC_EFULL:
                return False
            del self._unsent[:1]
        return True

    def _next_call(self, text: bytes | None, flags: int) -> tuple[Any, Any]:
        """Return the next call with these params, and what has to be kept for it."""
        call = self._call
        kept = ffi.NULL if text is None else ffi.from_buffer(text)
        call.params, call.params_len = kept, 0 if text is None else len(text)
        call.token, call.flags = self._numbered, flags
        return call, kept

    def _send_many(self) -> bool:
        """
        Send from one text.

        False: the client is full.  True: all is sent, or must be sent one by one.
        """
        call, _text = self._next_call(self._text, self._flags)
        while self._unsent:
            call.token = self._numbered
            accepted = lib.jsonrpcc_queue_submit_many(
                self._queue, call, self._at, len(self._unsent)
            )
            if accepted == -lib.JSONRPCC_EFULL:
                return False
            if accepted <= 0:
                break
            self._numbered += accepted
            del self._unsent[:accepted]
        self._text = None
        return True

    def _send_one(self, params: Any, outcomes: Ordered) -> int:
        """Send one, or store why not as its outcome; return EFULL, or anything else."""
        text, flags, fault = self._session.texts.read_params(params)
        if fault is not None:
            self._refuse(fault, outcomes)
            return 0
        flags |= self._flags
        call, _text = self._next_call(text, flags)
        result: int = lib.jsonrpcc_queue_submit(self._queue, call)
        if result > 0:
            self._numbered += 1
        elif -result in _ENDS:
            # Not this call's fault: no other call will be made.
            self._end = refusal(-result, self._method, text, flags)
            self._stop()
        elif result != -lib.JSONRPCC_EFULL:
            self._refuse(refusal(-result, self._method, text, flags), outcomes)
        return -result

    def _refuse(self, error: Exception, outcomes: Ordered) -> None:
        """Store the outcome of a call that was not accepted."""
        outcomes.put(self._numbered, error, True)
        self._numbered += 1
        if not outcomes.return_exceptions:
            # It will be raised; nothing after it is sent.
            self._end = None
            self._stop()

    def _stop(self) -> None:
        self._params = None
        del self._unsent[1:]  # what is being sent is its caller's

    # ---- outcomes ----------------------------------------------------------------

    def _fetch(self, outcomes: Ordered, ms: int) -> None:
        """Wait for some outcomes, and store them by number."""
        completions = self._completions
        status = lib.jsonrpcc_queue_wait(self._queue, completions, ms)
        if status == lib.JSONRPCC_EPENDING:
            return
        if status != lib.JSONRPCC_OK:
            raise refusal(status, self._method, None, self._flags)
        slow = self._session.slow
        if slow is not None:
            slow.results(completions, lambda _: self._method)
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
        text = bytes(result_of(completions, i))
        result, cause = attempt(self._codec.decode, text)
        if cause is None:
            outcomes.put(completions.tokens[i], result, False)
            return
        origin = lib.jsonrpcc_completions_origin(completions, i)
        error = session.outcomes.undecoded(self._method, cause, origin)
        outcomes.put(completions.tokens[i], error, True)
