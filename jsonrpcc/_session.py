"""What the parts of a client know of it and of each other: only a Session."""

from __future__ import annotations

import functools
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from jsonrpcc._codec import resolve
from jsonrpcc._durations import milliseconds
from jsonrpcc._errors import refused
from jsonrpcc._hello import to_c
from jsonrpcc._jsonrpcc import ffi, lib
from jsonrpcc._options import open_client, slow_us
from jsonrpcc._outcomes import Outcomes
from jsonrpcc._params import Texts
from jsonrpcc._slow import SlowLog
from jsonrpcc._types import decoder_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from jsonrpcc._codec import Codec, CodecArg
    from jsonrpcc._options import Options
    from jsonrpcc._records import Event


OWN_THREADS = 4
"""How many clients have threads of their own, which costs least per call."""


class Session:
    """
    The C client, and what each of its calls needs.

    Code that makes calls or delivers outcomes knows this and not the client object:
    threads and event loops hold it, and the client has to become garbage when its
    users forget it.

    Attributes:
        handle: The C client; it is freed with the last reference to it.
        codec: Between objects and JSON texts.
        texts: Reads the arguments of calls.
        outcomes: Turns the core's records into errors and events.
        timeout_ms: Of calls that do not say.
        on_event: The listener, if there is one.
        name: What the client is called, if it has a name.
        slow: The log of slow calls; None: there is none.
        shares: Whether it shares an event thread with others.
        owner: Weak references to the client object, see `close_with` and
            `_channel.Channel.forget_with`.

    Raises:
        TypeError, ValueError, MemoryError, OSError: As `open_client` and `resolve`.
    """

    __slots__ = (
        "codec", "handle", "name", "on_event", "outcomes", "owner", "shares", "slow",
        "texts", "timeout_ms",
    )  # fmt: skip

    def __init__(
        self,
        servers: Any,
        options: Options,
        *,
        codec: CodecArg,
        on_event: Callable[[Event], object] | None,
    ) -> None:
        self.codec = resolve(codec)
        self.texts = Texts(self.codec)
        hello = to_c(options.hello, self.texts)
        self.shares = lib.jsonrpcc_client_count() >= OWN_THREADS
        self.handle = open_client(servers, options, hello, shares=self.shares)
        us = slow_us(options)
        self.slow = SlowLog(us, options.name, self.handle) if us else None
        on_failure = None if self.slow is None else self.slow.failure
        self.outcomes = Outcomes(self.handle, self.codec, on_failure)
        self.timeout_ms = milliseconds("timeout", options.timeout)
        self.on_event = on_event
        self.name = options.name
        self.owner: Any = None

    def codec_for(self, result_type: Any) -> Codec:
        """
        Return what decodes results of a type; None: as the client's codec does.

        Raises:
            TypeError: There is no decoder for such a type.
        """
        decoder = decoder_for(result_type)
        if decoder is None:
            return self.codec
        return replace(
            self.codec,
            decode=decoder.decode,
            decode_many=decoder.decode_many,
            native=False,
        )

    def new_queue(self, flags: int) -> Any:
        """
        Return a new C queue, which keeps the client.

        Raises:
            MemoryError, OSError: The system refused memory or a descriptor.
        """
        free = functools.partial(lib.jsonrpcc_queue_free)
        vars(free)["client"] = self.handle  # which has to outlive it
        # Pure C: an exception from a signal handler can neither leave a queue without
        # an owner, nor keep it from being freed.
        made = map(lib.jsonrpcc_queue_new, (self.handle,), (flags,))
        (queue,) = map(ffi.gc, made, (free,))
        if queue == ffi.NULL:
            raise refused(ffi.errno)
        return queue

    def is_ready(self, *, all_servers: bool) -> bool:
        """Return whether a call would find a server, or whether all are in use."""
        return bool(lib.jsonrpcc_is_ready(self.handle, all_servers))

    def close_with(self, owner: object) -> None:
        """
        Close the C client, without waiting, when the client object is gone.

        Its __del__() does so as well, but an exception from a signal handler may end
        that before its first step.  This is pure C.
        """
        close = map(lib.jsonrpcc_client_close, (self.handle,), (0,))
        self.owner = weakref.ref(owner, functools.partial(next, close))

    def close(self, ms: int) -> bool:
        """Close the C client; return whether that took at most *ms* milliseconds."""
        return bool(lib.jsonrpcc_client_close(self.handle, ms))

    def is_foreign(self) -> bool:
        """Whether the client was inherited by fork(), and is not open here."""
        return bool(lib.jsonrpcc_client_is_foreign(self.handle))


def pointer(text: bytes | None) -> tuple[Any, int]:
    """Return a text as cffi expects it: pointer and size."""
    return (ffi.NULL, 0) if text is None else (text, len(text))


def view(text: Any, size: int) -> memoryview:
    """Return *size* bytes of the core's, borrowed, as any decoder accepts them."""
    return memoryview(ffi.buffer(text, size))


def result_of(completions: Any, i: int) -> memoryview:
    """Return the text of a result that was fetched, borrowed as in `view`."""
    size = ffi.new("size_t *")
    text = lib.jsonrpcc_completions_result(completions, i, size)
    return view(text, size[0])
