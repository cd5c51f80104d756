"""The outcome checker catches broken promises, and programs report how they end."""

import copy
import signal

import pytest
from checker import LATE, Entry, Healthy, Outcome, Seen, violations
from children import CHILD_LIMIT, run_program

from jsonrpcc import ConnectionLost, RemoteError, RequestTimeout, ServerFailure

CLOSED_AT = 50.0


def good():
    """A result, a timeout, a failure, an idempotent call sent twice, a refusal."""
    entries = [
        Entry(0, 10.0, 15.0, accepted=True, outcomes=[Outcome(10.1, result=[0])]),
        Entry(1, 10.0, 15.0, accepted=True,
              outcomes=[Outcome(15.1, error=RequestTimeout(fate="unknown"))]),
        Entry(2, 10.0, 15.0, accepted=True,
              outcomes=[Outcome(10.0, error=ServerFailure(fate="not_sent"))]),
        Entry(3, 10.0, 15.0, idempotent=True, accepted=True,
              outcomes=[Outcome(10.2, result=[3])]),
        Entry(4, 10.0, 15.0),
        Entry(5, 10.0, 15.0, accepted=True,
              outcomes=[Outcome(10.2, error=ConnectionLost(fate="unknown"))]),
        Entry(6, 10.0, 15.0, accepted=True,
              outcomes=[Outcome(10.2, error=RemoteError(1, fate="answered"))]),
    ]  # fmt: skip
    seen = [Seen(0, 0), Seen(1, 0), Seen(3, 0), Seen(3, 1), Seen(5, 1), Seen(6, 0)]
    return entries, seen


def test_a_good_history_passes():
    assert violations(*good(), CLOSED_AT) == []


MUTATIONS = {
    "lost": lambda entries, _: entries[0].outcomes.clear(),
    "doubled": lambda entries, _: entries[0].outcomes.append(entries[0].outcomes[0]),
    "refused and told": lambda e, _: e[4].outcomes.append(Outcome(1, result=[4])),
    "refused and sent": lambda _, seen: seen.append(Seen(4, 0)),
    "of another call": lambda e, _: setattr(e[0].outcomes[0], "result", [3]),
    "out of thin air": lambda _, seen: seen.remove(Seen(0, 0)),
    "late": lambda e, _: setattr(e[0].outcomes[0], "time", 16.0 + LATE),
    "after close": lambda e, _: (
        setattr(e[0], "deadline", 60.0), setattr(e[0].outcomes[0], "time", 51.0)
    ),
    "timeout too early": lambda e, _: setattr(e[1].outcomes[0], "time", 12.0),
    "not_sent but seen": lambda _, seen: seen.append(Seen(2, 1)),
    "run twice": lambda _, seen: seen.append(Seen(0, 1)),
    "idempotent too often": lambda _, seen: seen.extend([Seen(3, 0)] * 2),
    "lost yet not sent": lambda e, _: setattr(e[5].error, "fate", "not_sent"),
    "answered by nobody": lambda _, seen: seen.remove(Seen(6, 0)),
    "foreign error": lambda e, _: setattr(e[5].outcomes[0], "error", KeyError("x")),
    "nobody's request": lambda _, seen: seen.append(Seen(99, 0)),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTATIONS)
def test_every_mutation_is_caught(name):
    entries, seen = copy.deepcopy(good())
    MUTATIONS[name](entries, seen)
    assert len(violations(entries, seen, CLOSED_AT)) >= 1


# ---- the better server ------------------------------------------------------------

PRIORITIES = (2, 2, 1)


def check(seen, *healthy, error=None):
    """Make a call from 10.0 to 10.2 that these servers have seen."""
    outcome = Outcome(10.2, result=None if error else [0], error=error)
    entry = Entry(0, 10.0, 15.0, accepted=True, outcomes=[outcome])
    return violations(
        [entry],
        [Seen(0, server) for server in seen],
        priorities=PRIORITIES,
        healthy=healthy,
    )


def test_the_best_servers_may_be_asked():
    assert check([0], Healthy(0, 9, 11), Healthy(2, 9, 11)) == []
    assert check([1], Healthy(0, 9, 11)) == []


def test_a_worse_server_may_be_asked_when_no_better_was_up_all_the_time():
    assert check([2]) == []
    assert check([2], Healthy(2, 9, 11)) == []
    assert check([2], Healthy(0, 9, 10.1), Healthy(0, 10.1, 11)) == []
    assert check([2], Healthy(0, 10.01, 11)) == []


def test_a_better_server_passed_over_is_caught():
    assert len(check([2], Healthy(1, 9, 11))) == 1
    assert len(check([2], Healthy(0, 10.0, 10.2))) == 1


def test_a_failure_while_a_server_was_up_is_caught():
    error = ServerFailure(fate="not_sent")
    assert check([], error=error) == []
    assert len(check([], Healthy(2, 9, 11), error=error)) == 1


HANGS = "import threading; threading.Event().wait()"
CRASHES = "import os; os.abort()"
ENDS = "import os; os._exit(0)"


@pytest.mark.parametrize(
    ("program", "says"),
    [
        (HANGS, "hangs: .*Aborted.*line 1 in"),
        (CRASHES, f"exit code -{signal.SIGABRT:d}: .*Aborted.*line 1 in"),
        (ENDS, "said nothing"),
    ],
)
def test_a_program_that_ends_badly_says_so(tmp_path, program, says):
    path = tmp_path / "program.py"
    path.write_text(program)
    with pytest.raises(AssertionError, match=f"(?s){says}"):
        run_program(path, limit=CHILD_LIMIT / 10).report()
