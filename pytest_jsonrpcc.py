"""
Fixtures of pytest for programs that use jsonrpcc.

pytest loads this module in every run in an environment that has jsonrpcc, so it
stands beside the package and imports that only when a test asks for a fixture.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import jsonrpcc
    from jsonrpcc.testing import MockServer, Server

MARKER = (
    "jsonrpc_mock(unexpected_ok=False, unused_ok=False): what the fixture "
    "jsonrpc_mock does not insist on when the test ends"
)
FAILED = pytest.StashKey[bool]()


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", MARKER)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failed test what its mock has to say: it may be the reason."""
    report = yield
    if call.when == "call":
        item.stash[FAILED] = report.failed
        mock = getattr(item, "funcargs", {}).get("jsonrpc_mock")
        if report.failed and mock is not None and (text := mock.complaint()):
            report.sections.append(("jsonrpc_mock", text))
    return report


@pytest.fixture
def jsonrpc_in_memory() -> bool:
    """Give whether servers have no port, and the client a socket pair; overridable."""
    return False


@pytest.fixture
def jsonrpc_server(jsonrpc_in_memory: bool) -> Iterator[Server]:
    """Give a running `jsonrpcc.testing.Server`; `add_method` gives it methods."""
    from jsonrpcc.testing import Server

    with Server(listen=not jsonrpc_in_memory) as server:
        yield server


@pytest.fixture
def jsonrpc_mock(
    request: pytest.FixtureRequest, jsonrpc_in_memory: bool
) -> Iterator[MockServer]:
    """
    Give a running `jsonrpcc.testing.MockServer`, and `verify` it in the end.

    The marker ``jsonrpc_mock`` says what is not insisted on.  A test that failed by
    itself is not verified.
    """
    from jsonrpcc.testing import MockServer

    marker = request.node.get_closest_marker("jsonrpc_mock")
    with MockServer(listen=not jsonrpc_in_memory) as mock:
        yield mock
        if not request.node.stash.get(FAILED, False):
            mock.verify(**(marker.kwargs if marker else {}))


@pytest.fixture
def jsonrpc_client_options() -> dict[str, Any]:
    """Give the options of `jsonrpc_client`; meant to be overridden."""
    return {"reconnect_delay": 0.01}


@pytest.fixture
def jsonrpc_client(
    request: pytest.FixtureRequest,
    jsonrpc_client_options: dict[str, Any],
    jsonrpc_in_memory: bool,
) -> Iterator[jsonrpcc.Client]:
    """Give a client of `jsonrpc_mock` if the test uses it, else of `jsonrpc_server`."""
    import jsonrpcc

    mocked = "jsonrpc_mock" in request.fixturenames
    server = request.getfixturevalue("jsonrpc_mock" if mocked else "jsonrpc_server")
    if jsonrpc_in_memory:
        client = jsonrpcc.Client.from_socket(server.connect(), **jsonrpc_client_options)
    else:
        client = jsonrpcc.Client(server.address, **jsonrpc_client_options)
    with client:
        yield client
