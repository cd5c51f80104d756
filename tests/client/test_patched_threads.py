"""gevent and eventlet, which replace threads with something ours cannot wait for."""

import pytest
from children import run_program
from forked import check_in_child
from peers import needs_module

from jsonrpcc import AsyncClient, Client


@pytest.fixture(params=["gevent", "eventlet"])
def library(request):
    needs_module(request.param)
    return request.param


def says_what_works(text, library):
    assert text.startswith(f"threading is patched by {library}: ")
    assert "thread=False" in text
    assert "pool" in text
    return True


def test_a_client_is_refused_where_threads_are_patched(library, serve):
    program = run_program("patched.py", library, "before", serve().address)
    refused, refused_async = program.report()
    assert says_what_works(refused, library)
    assert says_what_works(refused_async, library)


def test_first_uses_are_refused_when_they_are_patched_later(library, serve):
    program = run_program("patched.py", library, "later", serve().address)
    sums, refused = program.report()
    assert sums == [3, 7]
    assert says_what_works(refused, library)


def test_it_works_with_threads_as_they_are_and_the_librarys_pool(library, serve):
    program = run_program("patched.py", library, "but_threads", serve().address)
    assert program.report() == [1, 2, 3, 4, 5, 6]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_it_works_for_long_under_load(library, serve):
    """Answers reach the greenlets that asked, and all others run meanwhile."""
    server = serve(keep=0)
    for _ in range(5):
        program = run_program("patched.py", library, "load", server.address)
        ticks, wrong = program.report()
        assert wrong == []
        assert ticks > 10


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_a_program_that_patches_threads_gets_an_error(kind, serve, monkeypatch):
    """Other libraries patch threads as gevent does."""
    server = serve()
    monkeypatch.setattr("_thread.start_new_thread", lambda *_: None)
    with pytest.raises(RuntimeError, match="threading is patched by"):
        kind(server.address)


def test_a_forked_child_gets_the_error_at_its_first_use(serve, monkeypatch):
    """Neither library lets itself be forked reliably when it came this late."""
    client = Client(serve().address)

    def check():
        monkeypatch.setattr("_thread.start_new_thread", lambda *_: None)
        with pytest.raises(RuntimeError, match="threading is patched by"):
            client.request("add", [1, 2])

    check_in_child(check)
    client.close()
