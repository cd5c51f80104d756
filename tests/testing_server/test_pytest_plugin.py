"""The fixtures that pytest_jsonrpcc provides for test suites."""

import sys

import peers
import pytest

pytest_plugins = ["pytester"]


@pytest.fixture
def run(pytester):
    def run(source, *args, inside=True):
        pytester.makepyfile(source)
        runs = pytester.runpytest_inprocess if inside else pytester.runpytest_subprocess
        plain = ["-p", "no:asyncio"] if inside else []  # a warning would be an error
        return runs("-p", "no:cacheprovider", *plain, *args)

    return run


def test_a_mock_and_its_client(run):
    run(
        """
        def test_it(jsonrpc_mock, jsonrpc_client):
            jsonrpc_mock.on("add", [1, 2]).returns(3).once()
            assert jsonrpc_client.call("add", [1, 2]) == 3
        """,
        "-W",
        "error",
        "--strict-markers",
    ).assert_outcomes(passed=1)


def test_a_server_whose_methods_come_later(run):
    run(
        """
        def test_it(jsonrpc_client, jsonrpc_server):
            jsonrpc_server.add_method("add", lambda a, b: a + b)
            assert jsonrpc_client.call("add", [1, 2]) == 3
        """
    ).assert_outcomes(passed=1)


def test_unused_and_unexpected_fail_the_test_in_the_end(run):
    result = run(
        """
        import pytest

        def test_unused(jsonrpc_mock):
            jsonrpc_mock.on("login").returns(1).once()
            jsonrpc_mock.on("logout").returns(1)

        def test_unexpected(jsonrpc_mock, jsonrpc_client):
            try:
                jsonrpc_client.call("login", ["bob"])
            except Exception:
                pass

        @pytest.mark.jsonrpc_mock(unused_ok=True, unexpected_ok=True)
        def test_neither_matters(jsonrpc_mock, jsonrpc_client):
            jsonrpc_mock.on("logout").once()
            try:
                jsonrpc_client.call("login", ["bob"])
            except Exception:
                pass

        def test_what_comes_after_starts_afresh(jsonrpc_mock, jsonrpc_client):
            jsonrpc_mock.on("add").returns(1).once()
            assert jsonrpc_client.call("add") == 1
        """
    )
    result.assert_outcomes(passed=4, errors=2)
    result.stdout.fnmatch_lines(["*expected and not made:", "*- login (0 of 1)"])
    result.stdout.fnmatch_lines(["*not expected:", '*- login [[]"bob"[]]'])
    assert "logout" not in result.stdout.str()


def test_a_failed_test_shows_what_the_mock_saw_and_fails_once(run):
    result = run(
        """
        def test_it(jsonrpc_mock, jsonrpc_client):
            jsonrpc_mock.on("get").returns(1).once()
            jsonrpc_client.call("got")
        """
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*- jsonrpc_mock -*", "*- got None", "*- get (0 of 1)"]
    )


def test_options_of_the_client_can_be_overridden(run):
    run(
        """
        import jsonrpcc
        import pytest
        from jsonrpcc.testing import Drop

        @pytest.fixture
        def jsonrpc_client_options(jsonrpc_client_options):
            return jsonrpc_client_options | {"timeout": 0.125}

        def test_it(jsonrpc_mock, jsonrpc_client):
            jsonrpc_mock.on("get").faults(Drop())
            with pytest.raises(jsonrpcc.RequestTimeout) as caught:
                jsonrpc_client.call("get")
            assert 0.12 < caught.value.elapsed < 4  # 5 s by default
        """
    ).assert_outcomes(passed=1)


def test_nothing_is_imported_until_it_is_used(run):
    run(
        """
        import sys

        def test_it():
            assert "pytest_jsonrpcc" in sys.modules
            assert not [name for name in sys.modules if name.startswith("jsonrpcc")]
            assert "cffi" not in sys.modules
        """,
        inside=False,
    ).assert_outcomes(passed=1)


def test_it_works_in_parallel(run):
    peers.needs_module("xdist")
    result = run(
        """
        import pytest

        @pytest.mark.parametrize("n", range(20))
        def test_it(jsonrpc_mock, jsonrpc_client, n):
            jsonrpc_mock.on("get").returns(n).once()
            assert jsonrpc_client.call("get") == n
        """,
        "-n",
        "2",
    )
    result.assert_outcomes(passed=20)


def test_it_works_in_an_event_loop(run):
    peers.needs_module("pytest_asyncio")
    run(
        """
        import jsonrpcc
        import pytest

        @pytest.mark.asyncio
        async def test_it(jsonrpc_mock):
            jsonrpc_mock.on("add").returns(3).once()
            async with jsonrpcc.AsyncClient(jsonrpc_mock.address) as client:
                assert await client.call("add", [1, 2]) == 3
        """,
        "-o",
        "asyncio_default_fixture_loop_scope=function",
        inside=False,
    ).assert_outcomes(passed=1)


def test_help_names_the_marker_and_the_fixtures(pytester):
    markers = pytester.run(sys.executable, "-m", "pytest", "--markers")
    markers.stdout.fnmatch_lines(["@pytest.mark.jsonrpc_mock(unexpected_ok=False*"])
    fixtures = pytester.run(sys.executable, "-m", "pytest", "--fixtures")
    fixtures.stdout.fnmatch_lines(["jsonrpc_server*", "*jsonrpc_mock*"])


def test_servers_in_memory_need_no_port(run):
    run(
        """
        import socket

        import jsonrpcc
        import pytest

        @pytest.fixture
        def jsonrpc_in_memory():
            return True

        def test_mock(jsonrpc_mock, jsonrpc_client, monkeypatch):
            jsonrpc_mock.on("add", [1, 2]).returns(3).once()
            assert jsonrpc_client.call("add", [1, 2]) == 3
            assert jsonrpc_client.servers()[0].address.startswith("fd:")

        def test_server(jsonrpc_server, jsonrpc_client):
            jsonrpc_server.add_method("add", lambda a, b: a + b)
            assert jsonrpc_client.call("add", [1, 2]) == 3

        def test_port(jsonrpc_server):
            with pytest.raises(RuntimeError, match="does not listen"):
                jsonrpc_server.address
        """,
        "-W",
        "error",
    ).assert_outcomes(passed=3)
