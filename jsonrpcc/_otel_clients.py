"""What an instrumented client has in place of its methods for calls."""

from __future__ import annotations

import functools
import logging
from typing import Any

from jsonrpcc._errors import Cancelled, RemoteError
from jsonrpcc._otel_map import AsyncMapped, Mapped

_logger = logging.getLogger("jsonrpcc")


def _unheard(error: Exception) -> None:
    """Log an error that there is no callback for, as the client would."""
    if not isinstance(error, Cancelled):
        what = repr(error) if isinstance(error, RemoteError) else error
        _logger.error("%s (no on_error was given)", what)


def _are_callbacks(*functions: Any) -> bool:
    """Whether the client accepts them; if not, it says so."""
    return all(each is None or callable(each) for each in functions)


class _Callbacks:
    """Those of request(), and the end of the span before them."""

    def __init__(
        self, client: Any, method: str, begun: Any, on_result: Any, on_error: Any
    ) -> None:
        self._end = functools.partial(client.telemetry_.end, begun, method)
        self._client = client
        self._on_result = on_result
        self._on_error = on_error

    def result(self, result: Any) -> None:
        """Take the place of on_result."""
        self._end(None, self._client)
        if self._on_result is not None:
            self._on_result(result)

    def error(self, error: Any) -> None:
        """Take the place of on_error."""
        self._end(error, self._client)
        if self._on_error is not None:
            self._on_error(error)
        else:
            _unheard(error)


class Blocking:
    """Mixed into the class of a Client."""

    telemetry_: Any  # of jsonrpcc.otel

    def call(self, method: Any, params: Any = None, **options: Any) -> Any:
        if type(method) is not str:  # a mistake, or a name with members of its own
            return super().call(method, params, **options)  # type: ignore[misc]
        with self.telemetry_.around(self, method, params) as (name, args):
            return super().call(name, args, **options)  # type: ignore[misc]

    def request(
        self,
        method: Any,
        params: Any = None,
        on_result: Any = None,
        on_error: Any = None,
        **options: Any,
    ) -> Any:
        parent: Any = super()
        if type(method) is not str or not _are_callbacks(on_result, on_error):
            return parent.request(method, params, on_result, on_error, **options)
        telemetry = self.telemetry_
        begun = telemetry.begin(method)
        name, args = telemetry.inject(begun[0], method, params)
        both = _Callbacks(self, method, begun, on_result, on_error)
        try:
            return parent.request(name, args, both.result, both.error, **options)
        except BaseException as raised:
            telemetry.end(begun, method, raised, self)
            raise

    def notification(self, method: Any, params: Any = None, **options: Any) -> None:
        parent: Any = super()
        if type(method) is not str:
            parent.notification(method, params, **options)
            return
        with self.telemetry_.around(self, method, params) as (name, args):
            parent.notification(name, args, **options)

    def map(self, method: Any, params: Any, **options: Any) -> Any:
        parent: Any = super()
        if type(method) is not str:
            return parent.map(method, params, **options)
        name, args, counted = self.telemetry_.mapping(self, method, params)
        try:
            return Mapped(parent.map(name, args, **options), counted)
        except BaseException as raised:
            counted.finish(raised)
            raise


class Awaited:
    """Mixed into the class of a client whose calls are awaited."""

    telemetry_: Any  # of jsonrpcc.otel

    async def call(self, method: Any, params: Any = None, **options: Any) -> Any:
        if type(method) is not str:
            return await super().call(method, params, **options)  # type: ignore[misc]
        with self.telemetry_.around(self, method, params) as (name, args):
            return await super().call(name, args, **options)  # type: ignore[misc]

    async def request(
        self,
        method: Any,
        params: Any = None,
        on_result: Any = None,
        on_error: Any = None,
        **options: Any,
    ) -> Any:
        parent: Any = super()
        if type(method) is not str or not _are_callbacks(on_result, on_error):
            return await parent.request(method, params, on_result, on_error, **options)
        telemetry = self.telemetry_
        begun = telemetry.begin(method)
        name, args = telemetry.inject(begun[0], method, params)
        both = _Callbacks(self, method, begun, on_result, on_error)
        try:
            return await parent.request(name, args, both.result, both.error, **options)
        except BaseException as raised:
            telemetry.end(begun, method, raised, self)
            raise

    async def notification(
        self, method: Any, params: Any = None, **options: Any
    ) -> None:
        parent: Any = super()
        if type(method) is not str:
            await parent.notification(method, params, **options)
            return
        with self.telemetry_.around(self, method, params) as (name, args):
            await parent.notification(name, args, **options)

    def map(self, method: Any, params: Any, **options: Any) -> Any:
        parent: Any = super()
        if type(method) is not str:
            return parent.map(method, params, **options)
        name, args, counted = self.telemetry_.mapping(self, method, params)
        try:
            return AsyncMapped(parent.map(name, args, **options), counted)
        except BaseException as raised:
            counted.finish(raised)
            raise
