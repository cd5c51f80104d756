from collections.abc import Callable
from typing import Any, final

def bind(addresses: dict[str, int], /) -> None: ...

@final
class Call:
    @property
    def method(self) -> str: ...
    def cancel(self) -> None: ...

class Callbacks:
    def __init__(
        self,
        *,
        client: int,
        queue: int,
        handle: Any,
        keep: Any,
        encode: Callable[[Any], bytes],
        decode_many: Callable[[Any], list[Any]],
        request: Callable[..., Call],
        report: Callable[[str, BaseException], object],
        notification: Callable[..., None],
        call: type[Call],
        hides_nan: bool,
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
    def take(self, token: int, /) -> tuple[Any, Any, str] | None: ...
    def submit(
        self,
        token: int,
        method: bytes,
        params: bytes | None,
        ms: int,
        flags: int,
        /,
    ) -> int: ...
    def call(self, method: str, call_id: int, /) -> Call: ...
    def deliver(self, batch: int, /) -> bool: ...
