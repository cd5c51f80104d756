"""What a connection knows of the service that it belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Coroutine

    from jsonrpcc.testing._faults import Reply, Request

_ConnectionT_contra = TypeVar("_ConnectionT_contra", contravariant=True)


class Owner(Protocol[_ConnectionT_contra]):
    """What a connection asks of the service that it belongs to."""

    @property
    def max_frame(self) -> int:
        """Bytes of the largest frame."""

    def opened(self, connection: _ConnectionT_contra, age: int) -> bool:
        """Add it.  False: everything was closed since it had that age."""

    def closing(self, connection: _ConnectionT_contra) -> None:
        """Stop counting it; `closed` follows."""

    def closed(self, connection: _ConnectionT_contra) -> None:
        """Forget it."""

    def arrived(self, requests: list[Request], invalid: list[bytes]) -> None:
        """Record requests, and payloads that are not requests."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run *work*, no longer than the service."""

    def reply_to(self, request: Request) -> Reply | None:
        """Choose what is wrong with the reply to *request*; None: nothing."""

    def call(self, request: Request) -> bytes | Awaitable[Any]:
        """Call the method: its outcome as text, or what to wait for."""
