"""
Threads that run the callbacks of many clients.

The first clients of a process have a thread each, which costs least per call.  Those
that share an event thread share the threads of a crew, too: one is active, another
stands by for when a callback blocks, and there are more only while several block.
"""

from __future__ import annotations

import contextlib
import contextvars
import itertools
import time
from typing import TYPE_CHECKING, Any, Protocol

from jsonrpcc._delivery import PAUSE
from jsonrpcc._jsonrpcc import ffi, lib
from jsonrpcc._speedups import assign
from jsonrpcc._worker import Bell, Worker

if TYPE_CHECKING:
    from collections.abc import Callable

_OK: int = lib.JSONRPCC_OK
_START_SECONDS = 0.1  # until a thread that was started, and has not begun, is missed
_AGAIN_MS = 100  # until a thread that was not to be had is asked for again
_WARN_SECONDS = 60.0  # between two warnings
_NO_THREAD = (
    "another thread for callbacks cannot be started (%s): while some block, those of"
    " other clients may wait"
)


class Member(Protocol):
    """What a crew takes care of: a `Dispatcher`."""

    queue: Any

    def take_turn(self, is_last: bool, seat: int) -> int:
        """
        Deliver what has arrived; *seat* is the address of the thread's.

        Return in how many milliseconds to call this again, even if nothing arrives;
        -1: only when something does.  With *is_last*, -1 means that all is delivered.
        """

    def is_running(self) -> bool:
        """Whether this thread runs its callbacks."""

    def warn(self, text: str, *args: object) -> None:
        """Log a warning; this thread runs its callbacks."""


class Place:
    """
    The place of a client in a crew.  It is used like the `Worker` of a client.

    If it cannot join, because the system refuses what the crew needs, it has such a
    `Worker` after all.
    """

    def __init__(self, crew: Crew, member: Member) -> None:
        self.token = next(crew.tokens)
        self.member: Member | None = member  # until it has ended
        self.status: int | None = None  # of the last attempt to join
        self._crew = crew
        # In a context as a thread of its own would have.
        self.run = contextvars.Context().run
        self._end = Bell()
        self._spare = Worker()
        self._alone: Worker | None = None  # or the spare one

    def start(self, run: Callable[..., None]) -> None:
        """
        Join the crew, and see that it has a thread.

        Raises:
            RuntimeError: There are too many threads, or the interpreter ends.
        """
        member = self.member
        if member is None:
            return
        if self._alone is None and not self._crew.admit(self, member):
            self._alone = self._spare
        if self._alone is not None:
            self._alone.start(run)

    def end(self) -> None:
        """All is delivered."""
        self.member = None
        self._end.ring()

    def is_current(self) -> bool:
        """Whether a callback of this client runs on this thread."""
        member = self.member
        return member is not None and member.is_running()

    def has_ended(self) -> bool:
        """Whether all is delivered."""
        return self.member is None or self._spare.has_ended()

    def join(self, seconds: float = -1) -> bool:
        """Wait until all is delivered; False: not in that time."""
        if self._alone is not None:
            return self._alone.join(seconds)
        self._end.wait(self.has_ended, seconds)
        return self.has_ended()


class Crew:
    """
    The threads, and whom they take care of.

    Like `Dispatcher`, this has no lock: what the threads agree on, they do in C.  It is
    never freed, as one of them may be in there when the interpreter ends.
    """

    def __init__(self) -> None:
        self.tokens = itertools.count(1)
        self._places: dict[int, Place] = {}
        self._workers: list[tuple[Worker, Any]] = []  # and their seats
        self._started = 0.0
        self._warned = -_WARN_SECONDS
        self._crew = lib.jsonrpcc_crew_new()
        if self._crew == ffi.NULL:
            raise MemoryError

    def is_foreign(self) -> bool:
        """Whether the process that forked this one created it."""
        return bool(lib.jsonrpcc_crew_is_foreign(self._crew))

    def discard(self) -> None:
        """Free it; nobody has joined."""
        lib.jsonrpcc_crew_free(self._crew)

    def admit(self, place: Place, member: Member) -> bool:
        """
        Take care of a client, unless the crew does already.

        False: the system refused something.  Raises as `Place.start`.
        """
        join, args = lib.jsonrpcc_queue_join, (member.queue, self._crew, place.token)
        try:
            # Before a thread finds it; and each time, as any step may be interrupted.
            self._places[place.token] = place
            assign(place, "status", join, args, {})  # no exception comes between
        finally:
            if place.status != _OK:  # nobody would take it out
                self._places.pop(place.token, None)
        if place.status != _OK:
            return False
        self._keep_up()
        return True

    def _keep_up(self) -> None:
        """
        Start a thread if there is none, or if all block and another was not to be had.

        And start those again that have gone, and could not be replaced at once.  Raises
        as `_start_thread`.
        """
        if not lib.jsonrpcc_crew_is_served(self._crew):
            self._start_thread()
        elif time.monotonic() >= self._started + _START_SECONDS:
            self._start_again()

    def _start_again(self) -> None:
        """Start the threads that have gone; raises as `_start_thread`."""
        for worker, seat in tuple(self._workers):
            worker.start(self._serve, seat)

    def _start_thread(self) -> bool:
        """
        Start another thread, and those again that have gone.

        False: not now, as one has just been started.

        Raises:
            RuntimeError: There are too many threads, or the interpreter ends.
        """
        now = time.monotonic()
        if now < self._started + _START_SECONDS and not all(
            worker.has_begun() for worker, _ in self._workers
        ):
            return False
        self._started = now
        self._start_again()
        for each in tuple(self._workers):
            if each[0].has_ended():
                with contextlib.suppress(ValueError):  # others may do the same
                    self._workers.remove(each)
        worker, seat = Worker(), ffi.new("jsonrpcc_seat *")
        worker.start(self._serve, seat)
        self._workers.append((worker, seat))  # which keep it alive, and its thread
        return True

    def _start_standby(self, place: Place | None, seat: Any) -> None:
        seat.again_ms = _AGAIN_MS
        try:
            if self._start_thread():
                seat.again_ms = -1
        except RuntimeError as error:
            now = time.monotonic()
            if now < self._warned + _WARN_SECONDS or "shutdown" in str(error):
                return
            if place is not None and (member := place.member) is not None:
                self._warned = now
                place.run(member.warn, _NO_THREAD, error)

    def _serve(self, seat: Any) -> None:
        """
        Be a thread of the crew.

        After an exception from outside, this is called again, and *seat* says whom the
        thread held: *seat* is written to in C, where no exception comes between.
        """
        crew, serve, places = self._crew, lib.jsonrpcc_crew_serve, self._places
        held = bool(seat.token)
        while True:
            try:
                if not held and serve(crew, seat) != _OK:
                    return
                held = True
                if seat.lacks_standby:
                    self._start_standby(places.get(seat.token), seat)
                if seat.token:  # otherwise it has just been dismissed
                    self._take_turn(places.get(seat.token), seat)
                held = False
            except MemoryError:
                time.sleep(PAUSE)
            except SystemExit:
                if not self.is_foreign():
                    raise
                return

    def _take_turn(self, place: Place | None, seat: Any) -> None:
        is_last, ms = seat.is_last, -1
        if place is None or (member := place.member) is None:
            is_last = True  # a thread that came too late had it join again
        else:
            ms = place.run(member.take_turn, is_last, _address(seat))
        if ms >= 0:
            seat.again_ms = ms
        elif is_last:
            lib.jsonrpcc_crew_dismiss(seat)
            if place is not None:
                place.end()
                self._places.pop(place.token, None)


def _address(seat: Any) -> int:
    return int(ffi.cast("uintptr_t", seat))


_crews: list[Crew] = []  # of parents, too


def _crew() -> Crew:
    """
    Return the crew of this process; create it on first use.

    Raises:
        MemoryError: There is no memory.
    """
    while True:
        for each in tuple(_crews):
            if not each.is_foreign():
                return each
        crew = Crew()
        _crews.append(crew)
        # Another thread, or a signal handler, may have been here meanwhile.
        if next(each for each in tuple(_crews) if not each.is_foreign()) is not crew:
            _crews.remove(crew)
            crew.discard()


def worker_for(member: Member, *, shares: bool) -> Worker | Place:
    """
    Return what runs the callbacks of a client, which *shares* its event thread or not.

    Raises:
        MemoryError: There is no memory.
    """
    return Place(_crew(), member) if shares else Worker()
