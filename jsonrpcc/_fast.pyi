import asyncio
from collections.abc import Callable, Coroutine, Generator, Iterator
from typing import Any, Self, final

from jsonrpcc._codec import Codec

def bind(addresses: dict[str, int], /) -> None: ...
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
        codec: Codec,
        make: Callable[[], tuple[int, Any]],
        fail: Callable[[int, str], Exception],
        otherwise: Callable[..., Any],
        slice_ms: int,
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

class Callbacks:
    def __init__(
        self,
        *,
        client: int,
        queue: int,
        handle: Any,
        keep: Any,
        codec: Codec,
        request: Callable[..., Call],
        report: Callable[[str, BaseException], object],
        notification: Callable[..., None],
        call: type[Call],
    ) -> None: ...
    def __len__(self) -> int: ...
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
    def put(self, on_result: Any, on_error: Any, method: str, /) -> int: ...
    def get(self, token: int, /) -> tuple[Any, Any, str] | None: ...
    def discard(self, token: int, /) -> None: ...
    def submit(
        self,
        call: Call | None,
        token: int,
        method: bytes,
        params: bytes | None,
        ms: int,
        flags: int,
        /,
    ) -> int: ...
    def call(self, method: str, /) -> Call: ...
    def deliver(self, batch: int, /) -> bool: ...

@final
class Pending(Coroutine[Any, Any, Any]):
    def __await__(self) -> Generator[Any, Any, Any]: ...
    def send(self, value: Any, /) -> Any: ...
    def throw(self, *args: Any) -> Any: ...
    def close(self) -> None: ...
    @property
    def method(self) -> str: ...
    @property
    def future(self) -> asyncio.Future[Any]: ...
    def cancel(self) -> None: ...

class Futures:
    def __init__(
        self,
        *,
        client: int,
        queue: int,
        batch: int,
        keep: Any,
        handle: Any,
        codec: Codec,
        rest: Callable[[], bool],
        create_future: Callable[[], asyncio.Future[Any]],
        call_soon: Callable[..., object],
        otherwise: Callable[..., Coroutine[Any, Any, Any]],
        pending: type[Pending],
    ) -> None: ...
    def call(
        self,
        method: str,
        params: Any = None,
        *,
        timeout: float | None = None,
        idempotent: bool = False,
        wait_for_ready: bool = False,
    ) -> Coroutine[Any, Any, Any]: ...
    def put(self, future: asyncio.Future[Any], method: str, /) -> int: ...
    def get(self, token: int, /) -> tuple[asyncio.Future[Any], str] | None: ...
    def discard(self, token: int, /) -> None: ...
    def take_all(self) -> list[tuple[asyncio.Future[Any], str]]: ...
    def cork(self) -> None: ...
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
    def deliver(self, batch: int, /) -> bool: ...
    def close(self) -> None: ...
