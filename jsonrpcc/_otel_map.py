"""What `map` of an instrumented client returns, and the end of its span."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Self

from jsonrpcc._errors import JsonRpcError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

_NO_MORE: Any = object()


class Counted:
    """Counts the outcomes of a map, and ends its span, once."""

    def __init__(self, end: Callable[[int, int, BaseException | None], None]) -> None:
        """*end* is called with all outcomes, errors among them, and what ended it."""
        self._end: Callable[[int, int, BaseException | None], None] | None = end
        self._calls = self._errors = 0

    def one(self, outcome: Any) -> Any:
        """Count an outcome, and return it."""
        self._calls += 1
        if isinstance(outcome, JsonRpcError):
            self._errors += 1
        return outcome

    def finish(self, error: BaseException | None = None) -> None:
        """Nothing more comes; *error* was raised."""
        end, self._end = self._end, None
        if end is not None:
            if isinstance(error, JsonRpcError):
                self.one(error)
            end(self._calls, self._errors, error)


class Mapped:
    """In place of what `Client.map` returns."""

    def __init__(self, inner: Any, counted: Counted) -> None:
        self._inner = inner
        self._counted = counted
        self._is_used = threading.Lock()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        """Return the next result, or raise its error."""
        if not self._is_used.acquire(blocking=False):
            return next(self._inner)  # which says so
        try:
            outcome = next(self._inner, _NO_MORE)
        except Exception as error:
            self._counted.finish(error)
            raise
        finally:
            self._is_used.release()
        if outcome is _NO_MORE:
            self._counted.finish()
            raise StopIteration
        return self._counted.one(outcome)

    def close(self) -> None:
        """Have nothing come any more."""
        self._inner.close()
        self._counted.finish()

    def __del__(self) -> None:
        if "_counted" in vars(self):
            self._counted.finish()


class AsyncMapped:
    """In place of what the `map` of a client with awaited calls returns."""

    def __init__(self, inner: AsyncIterator[Any], counted: Counted) -> None:
        self._inner: Any = inner
        self._counted = counted
        self._is_used = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        """Return the next result, or raise its error; cancelling it loses nothing."""
        if self._is_used:
            return await anext(self._inner)  # which says so
        self._is_used = True
        try:
            return self._counted.one(await anext(self._inner))
        except StopAsyncIteration:
            self._counted.finish()
            raise
        except Exception as error:
            self._counted.finish(error)
            raise
        finally:
            self._is_used = False

    def close(self) -> None:
        """Cancel what is in flight; nothing comes any more."""
        self._inner.close()
        self._counted.finish()

    async def aclose(self) -> None:
        """Cancel what is in flight, as an asynchronous generator has it."""
        self.close()

    def __del__(self) -> None:
        if "_counted" in vars(self):
            self._counted.finish()
