"""What Client and AsyncClient share: how they open, snapshots, their repr."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Unpack

from jsonrpcc._hints import did_you_mean, no_attribute
from jsonrpcc._host import check_interpreter, check_threads
from jsonrpcc._options import Options
from jsonrpcc._records import IN_USE, Event, ServerInfo, read_servers
from jsonrpcc._session import Session
from jsonrpcc._stats import Stats, read_stats

if TYPE_CHECKING:
    from collections.abc import Callable

    from jsonrpcc._options import OptionArgs


_SHOWN = 3  # servers in a repr


class Base:
    """A client without its calls."""

    _session: Session  # missing if __init__() failed
    _closed = False

    def __init__(
        self,
        servers: str,
        *,
        codec: Any = None,
        on_event: Callable[[Event], object] | None = None,
        **options: Unpack[OptionArgs],
    ) -> None:
        listener: Any = on_event  # callers without a type checker get this wrong
        if listener is not None and not callable(listener):
            msg = f"on_event must be callable, not {on_event!r}"
            raise TypeError(msg)
        check_interpreter()
        check_threads()
        unknown = options.keys() - Options.__dataclass_fields__.keys()
        if unknown:
            wrong = min(unknown)
            msg = f"{type(self).__name__}() got an unknown option {wrong!r}"
            known = [*Options.__dataclass_fields__, "codec", "name", "on_event"]
            raise TypeError(msg + did_you_mean(wrong, known))
        self._session = Session(
            servers, Options(**options), codec=codec, on_event=on_event
        )

    @property
    def name(self) -> str | None:
        """The option of that name."""
        return self._session.name

    def servers(self) -> list[ServerInfo]:
        """Return a snapshot of each server, in the order of the servers string."""
        servers = read_servers(self._session.handle)
        if self._closed:
            servers = [replace(each, state="closed") for each in servers]
        return servers

    def stats(self) -> Stats:
        """Return the counters and the latency histogram; cheap."""
        return read_stats(self._session.handle)

    if not TYPE_CHECKING:  # or checkers would accept any name

        def __getattr__(self, name: str) -> Any:
            """Say how to call a method of the server, which is what was meant."""
            raise AttributeError(no_attribute(self, name), name=name, obj=self)

    def __repr__(self) -> str:
        kind = type(self).__name__ + ("" if self.name is None else f" {self.name!r}")
        if self._closed:
            return f"<{kind} closed>"
        servers = self.servers()
        shown = ", ".join(f"{each.address} {each.state}" for each in servers[:_SHOWN])
        if len(servers) > _SHOWN:
            up = sum(each.state in IN_USE for each in servers)
            shown += f", ... ({up} of {len(servers)} up)"
        return f"<{kind} {shown}>"

    def __reduce__(self) -> Any:
        msg = f"a {type(self).__name__} cannot be pickled: create one in each process"
        raise TypeError(msg)


def handle_of(client: Any) -> Any:
    """
    Return the C client inside a client; it lives as long as that.

    Raises:
        TypeError: It is no client, or its __init__() did not complete.
    """
    if not isinstance(client, Base):
        msg = f"a jsonrpcc.Client or AsyncClient is needed, not {client!r}"
        raise TypeError(msg)
    try:
        return client._session.handle  # noqa: SLF001
    except AttributeError:
        kind = type(client).__name__
        msg = f"this {kind} is not open: its __init__() did not complete"
        raise TypeError(msg) from None
