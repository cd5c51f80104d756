"""
What real networks do: loss, black holes, resets, in our own network namespaces.

Each program runs in a namespace that ends with it; nothing else is touched.
"""

import kernel
import pytest
from children import run_program
from time_limits import PATIENCE

pytestmark = pytest.mark.skipif(
    bool(kernel.why_no_packet_filter()), reason=kernel.why_no_packet_filter()
)


def run(how, limit=50 * PATIENCE):
    report = run_program(
        "under_loss.py", how, limit=limit, before=kernel.in_namespace()
    ).report()
    print(how, report)
    return report


def test_a_fifth_of_all_packets_is_lost():
    report = run("loss")
    assert report["calls"] == 480
    assert report["errors"] == 0
    assert report["lost"] == 0


def test_a_black_hole():
    """Five timeouts make the server suspect, then the other one gets the calls."""
    report = run("blackhole")
    assert report["timeouts"] >= 5
    assert report["went_over"] > 100
    assert report["took"] < 5


@pytest.mark.slow
@pytest.mark.timeout(90)
def test_a_peer_that_vanishes_is_noticed():
    """Within TCP_USER_TIMEOUT, 15 s, and not at the deadline after 40 s."""
    report = run("silent_death", limit=80 * PATIENCE)
    assert report["error"] == "ConnectionLost"
    assert report["took"] < 30


def test_no_answer_to_a_syn():
    assert run("no_answer_to_syn")["took"] < 2


def test_a_firewall_resets_connections():
    report = run("reset_by_a_firewall")
    assert report["lost"] > 0


@pytest.mark.slow
def test_a_connection_falls_silent():
    assert run("quota")["errors"] > 0


@pytest.mark.skipif(bool(kernel.why_no_kill()), reason=kernel.why_no_kill())
def test_the_kernel_ends_live_connections():
    report = run("killed")
    assert report["lost"] > 0
    assert report["calls"] > 10_000
