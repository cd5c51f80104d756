"""Fixtures of the tests of jsonrpcc.testing."""

import pytest
from peer import Transport


@pytest.fixture(params=["tcp", "tls"])
def transport(request, monkeypatch):
    """Run a test twice: what it sends and gets is the same inside TLS."""
    monkeypatch.setattr(Transport, "tls", request.param == "tls")
