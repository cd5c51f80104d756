import asyncio
from collections.abc import Callable, Coroutine, Generator, Iterator
from typing import Any, Self, final

from jsonrpcc._codec import Codec
from jsonrpcc._params import Prepared

SLICE_MS: int

def bind(table: int, /) -> None: ...
def assign(
    target: object,
    name: str,
    function: Callable[..., object],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    /,
) -> None: ...
def hush(by: int, /) -> None: ...
def set_quieten(function: Callable[[Any, Any], tuple[Any, Any]], /) -> None: ...
def take(
    iterator: Iterator[Any], count: int, seconds: float, /
) -> tuple[list[Any], bool, bool, float, Exception | None]: ...

@final
class Call:
    @property
    def method(self) -> str: ...
    def cancel(self) -> None: ...

class Blocking:
    def __init__(
        self,
        *,
        client: int,
        handle: Any,
        codec: Codec,
        make: Callable[[], tuple[int, Any]],
        fail: Callable[[int, str], Exception],
        read: Callable[..., Prepared],
        refuse: Callable[..., Exception],
        timeout_ms: int,
    ) -> None: ...

class Callbacks:
    def __init__(
        self,
        *,
        client: int,
        queue: int,
        handle: Any,
        keep: Any,
        codec: Codec,
        report: Callable[[str, BaseException], object],
        read_request: Callable[..., Prepared],
        read_notification: Callable[..., Prepared],
        timeout_ms: int,
        refuse: Callable[..., Exception],
        call: type[Call],
    ) -> None: ...
    def __len__(self) -> int: ...
    def get(self, token: int, /) -> tuple[Any, Any, str] | None: ...
    def discard(self, token: int, /) -> None: ...
    def is_foreign(self) -> bool: ...
    def adopt(self) -> None: ...
    def deliver(self, completions: int, /) -> bool: ...

class Client:
    def request(
        self,
        method: str,
        params: Any = None,
        on_result: Callable[[Any], object] | None = None,
        on_error: Callable[[Any], object] | None = None,
        *,
        timeout: float | None = None,
        idempotent: bool = False,
        wait_for_ready: bool = False,
        block: bool = True,
    ) -> Call: ...
    def notification(
        self,
        method: str,
        params: Any = None,
        *,
        timeout: float | None = None,
        wait_for_ready: bool = False,
        block: bool = True,
    ) -> None: ...
    def call(
        self,
        method: str,
        params: Any = None,
        *,
        timeout: float | None = None,
        idempotent: bool = False,
        wait_for_ready: bool = False,
    ) -> Any: ...
    def _bind(
        self, callbacks: Callbacks | None, blocking: Blocking | None, /
    ) -> None: ...

@final
class Pending(Coroutine[Any, Any, Any]):
    def __await__(self) -> Generator[Any, Any, Any]: ...
    def send(self, value: Any, /) -> Any: ...
    def throw(self, *args: Any) -> Any: ...
    def close(self) -> None: ...
    @property
    def method(self) -> str: ...
    @property
    def arguments(self) -> tuple[str, bytes | None, int, int]: ...
    @property
    def future(self) -> asyncio.Future[Any]: ...

class AsyncClient:
    def _bind(self, futures: Futures | None, /) -> None: ...

class Method:
    def __init__(
        self,
        function: Callable[..., Any],
        bound_type: type,
        client_type: type[AsyncClient],
        /,
    ) -> None: ...

class Futures:
    def __init__(
        self,
        *,
        client: int,
        queue: int,
        completions: int,
        keep: Any,
        handle: Any,
        codec: Codec,
        refuse: Callable[..., Exception],
        read: Callable[..., Prepared],
        rest: Callable[[], bool],
        loop: asyncio.AbstractEventLoop,
        when_room: Callable[[Any], Coroutine[Any, Any, Any]],
        get_running_loop: Callable[[], asyncio.AbstractEventLoop],
        pending: type[Pending],
    ) -> None: ...
    def call(
        self,
        method: str,
        params: Any,
        timeout: float | None,
        wait_for_ready: bool,
        idempotent: bool,
        /,
    ) -> Pending: ...
    def notification(
        self,
        method: str,
        params: Any,
        timeout: float | None,
        wait_for_ready: bool,
        /,
    ) -> Coroutine[Any, Any, Any] | None: ...
    def again(self, call: Any, ms: int, /) -> bool: ...
    def get(self, token: int, /) -> tuple[asyncio.Future[Any], str] | None: ...
    def discard(self, token: int, /) -> None: ...
    def take_all(self) -> list[tuple[asyncio.Future[Any], str]]: ...
    def on_ready(self) -> None: ...
    def flush(self) -> None: ...
    def fetch(self) -> None: ...
    def go_on(self) -> None: ...

class Ordered(Iterator[Any]):
    turn: int
    come: int
    return_exceptions: bool
    @property
    def ready(self) -> bool: ...
    def __init__(
        self,
        *,
        codec: Codec,
        more: Callable[[Self], bool],
        window: int,
        return_exceptions: bool,
    ) -> None: ...
    def __iter__(self) -> Self: ...
    def __next__(self) -> Any: ...
    def put(self, number: int, outcome: Any, failed: bool, /) -> None: ...
    def deliver(self, completions: int, /) -> bool: ...
    def close(self) -> None: ...
