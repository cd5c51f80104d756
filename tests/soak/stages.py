"""The stages: each is a function of its `Stage` and returns a `Result`."""

import json
import re
import sys

from .run import ROOT, Result, make, path_of
from .sanitizers import asan, references, tsan, valgrind
from .tortures import torture, torture_by_tls

PROGRAMS = ROOT / "tests" / "programs"
OUTCOMES = re.compile(r"(\d+) ([^;\n]+);")


def simulator(stage):
    """Run seeded histories through the real engine, every other round sanitized."""
    for san in ("address,undefined", ""):
        where = "asan" if san else "plain"
        code, text = make(stage, f"build/{where}/test_simulator", SAN=san)
        if code != 0:
            return Result(1, "builds", 1, notes=[text[-300:]])

    def once(number):
        where = ("plain", "asan")[number % 2]
        seeds = (8000, 1500)[number % 2]
        first = 1_000_000 + number * 10_000
        code, text = stage.command(
            ROOT / "build" / where / "test_simulator", seeds, first
        )
        head = re.search(
            r"(\d+) seeds, (\d+) calls, (\d+) simulated hours, (\d+)", text
        )
        if head is None:
            return Result(seeds, "seeds", 1)
        found = {"calls": int(head[2]), "simulated hours": int(head[3]),
                 "seeds run twice, same trace": int(head[4])}  # fmt: skip
        for word in ("outcomes", "faults"):
            line = re.search(rf"^{word}:(.*)$", text, re.MULTILINE)[1]
            found[word] = {name: int(n) for n, name in OUTCOMES.findall(line + ";")}
        found["faults"].pop("", None)
        return Result(int(head[1]), "seeds", int(code != 0), found)

    return stage.rounds(once)


CHECKS = re.compile(r"(\d+) checks, (\d+) failed")


def _checks(stage, number, name, *args):
    """Run a C test at length: plain, under ASan or under TSan, in turn."""
    san, where = (
        ("", "plain"), ("address,undefined", "asan"), ("thread", "thread")
    )[number % 3]  # fmt: skip
    code, text = make(stage, f"build/{where}/{name}", SAN=san)
    if code == 0:
        code, text = stage.command(ROOT / "build" / where / name, *args, limit=600)
    found = CHECKS.search(text)
    if found is None:
        return Result(1, "checks", 1, notes=[text[-300:]])
    failed = max(int(found[2]), int(code != 0))
    return Result(int(found[1]), "checks", failed, {"rounds": 1})


def starvation(stage):
    """Callbacks and threads that submit without pause, whichever thread leads."""
    return stage.rounds(lambda number: _checks(stage, number, "test_starvation", 1000))


def loops(stage):
    """Host event loops: those of libraries, and one that is late at random."""
    each = 100

    def once(number):
        if number % 4 == 0:
            return stage.pytest("-m", "", path_of("test_c_loops"), unit="checks")
        return _checks(stage, number, "test_host", each, 1 + number * each)

    return stage.rounds(once)


def mutants(stage):
    """Break the core in small ways, and see whether its tests notice."""
    if make(stage, "-n", "mutate")[0] != 0:
        return Result(0, "mutants", 0, notes=["there is no target mutate"])
    count = max(10, int(stage.left() / 4))
    code, text = make(stage, "mutate", ARGS=f"--count {count}")
    found = re.search(
        r"(\d+) mutants of (\d+), seed (\d+), (\d+) killed, (\d+) equivalent, "
        r"(\d+) survived", text.replace("\n", " "),
    )  # fmt: skip
    if found is None:
        return Result(1, "mutants", 1, notes=[text[-300:]])
    real, everything, _, killed, same, survived = map(int, found.groups())
    figures = {"of so many that there are": everything, "killed": killed,
               "known to be equivalent": same}  # fmt: skip
    return Result(real, "mutants", max(survived, int(code != 0)), figures)


def fuzz(stage):
    """The fuzz targets, by libFuzzer where clang has it."""
    targets = len(list((ROOT / "tests" / "c").glob("fuzz_*.c"))) - 1
    seconds = max(10, int(stage.left() / max(targets, 1)))
    code, text = make(stage, "fuzz", FUZZ_SECONDS=seconds)
    units = re.findall(r"number_of_executed_units: (\d+)", text)
    per_target = {
        name: int(n)
        for name, n in zip(re.findall(r"fuzz: (\w+),", text), units, strict=False)
    }
    crashes = len(list((ROOT / "build" / "fuzz").glob("*.crash-*")))
    return Result(
        sum(per_target.values()),
        "inputs",
        int(code != 0),
        {"inputs": per_target, "crashes kept": crashes},
    )


def chaos(stage):
    """Four server processes with every kind of fault, and a client under load."""

    def once(number):
        seed = 1000 + number
        by_tls = [PROGRAMS / "by_tls.py"] if stage.env == BY_TLS else []
        code, text = stage.command(
            sys.executable, *by_tls, PROGRAMS / "chaos.py", seed, 30,
            env={"PYTHONPATH": str(ROOT / "tests" / "support")},
        )  # fmt: skip
        try:
            report = json.loads(text.splitlines()[-1])
        except (ValueError, IndexError):
            return Result(1, "calls", 1, notes=[f"seed {seed}: {text[-300:]}"])
        figures = {
            "rounds of 30 s": 1,
            "latest outcome after its deadline, s": report["latest"],
            "longest without CPU, s": report["longest_without_cpu"],
            "requests seen whole by servers": report["frames_seen"],
            "lives of server processes": report["lives"],
            **{name: report[name] for name in ("outcomes", "faults", "misbehaved")},
        }
        notes = [f"seed {seed}: {report['broken'][:3]}"] if report["broken"] else []
        notes += report["skipped"].values()
        failures = report["broken_count"] + report["garbage"] + (code != 0)
        return Result(report["calls"], "calls", failures, figures, notes)

    return stage.rounds(once)


BY_TLS = {"JSONRPCC_TESTS_TLS": "1"}  # see tests/support/everywhere.py


def _by_tls(run):
    """The same stage, with TLS for every server and client."""

    def run_it(stage):
        stage.env = BY_TLS
        return run(stage)

    return run_it


def _tests(*names, unit="tests", env=()):
    """A stage that runs some of the Python tests over and over."""

    def run(stage):
        files = [path_of(f"test_{name}") for name in names]
        return stage.rounds(
            lambda _: stage.pytest("-m", "", *files, unit=unit, env=env)
        )

    return run


def close(stage):
    """Close clients in all kinds of trouble, from Python and from C."""

    def once(number):
        files = ("close", "async_close", "crosswise", "close_in_trouble")
        result = stage.pytest("-m", "", *(path_of(f"test_{name}") for name in files))
        san, where = (
            ("", "plain"), ("address,undefined", "asan"), ("thread", "thread")
        )[number % 3]  # fmt: skip
        code, text = make(stage, f"build/{where}/test_close_trouble", SAN=san)
        if code == 0:
            program = ROOT / "build" / where / "test_close_trouble"
            code, text = stage.command(program, 300, limit=600)
        if code != 0:
            result.failures += 1
            result.notes.append(f"test_close_trouble: {text[-300:]}")
        result.figures = {"rounds in C": 300}
        return result

    return stage.rounds(once)


def exits(stage):
    """End the interpreter in every way, with the server alive and dead."""
    each = 8

    def once(_):
        result = stage.pytest(
            "tests/client/test_exit.py", env={"JSONRPCC_EXITS": str(each)}
        )
        result.figures = {"endings": result.trials}
        result.trials *= each
        result.unit = "exits"
        return result

    return stage.rounds(once)


def forks(stage):
    """Hundreds of forks in a row, and gunicorn, while threads and a loop call."""
    each = 100

    def once(_):
        result = stage.pytest(
            "tests/client/test_fork.py", "-m", "slow", env={"JSONRPCC_FORKS": str(each)}
        )
        result.trials *= each
        result.unit = "forks"
        files = ("tests/client/test_fork.py", "tests/client/test_gunicorn.py")
        more = stage.pytest(*files, "-m", "not slow")
        metrics = stage.pytest("tests/client/test_prometheus_workers.py", "-m", "")
        more.failures += metrics.failures
        more.trials += metrics.trials
        result.failures += more.failures
        result.figures = {"tests of fork() and gunicorn": more.trials}
        return result

    return stage.rounds(once)


def forks_of_c(stage):
    """Forks past Python's hooks: by ctypes, by uWSGI in four modes, by C programs."""
    each = 50

    def once(_):
        result = stage.pytest(
            "tests/client/test_fork_c.py", "-m", "slow",
            env={"JSONRPCC_FORKS": str(each)},
        )  # fmt: skip
        result.trials *= each
        result.unit = "forks"
        workers = stage.pytest(
            "tests/client/test_uwsgi.py", "tests/client/test_gunicorn.py"
        )
        programs = stage.pytest("tests/packaging/test_c_forks.py", "-m", "slow")
        result.failures += workers.failures + programs.failures
        result.figures = {
            "tests of uWSGI and gunicorn": workers.trials,
            "C programs of 150 forks and more": programs.trials,
        }
        return result

    return stage.rounds(once)


def memory(stage):
    """Compare memory with the formula, under hostile servers and full queues."""

    def once(_):
        result = stage.pytest("tests/hostile/test_memory.py", "-m", "", "-s")
        text = stage.log.read_text()
        for line in re.findall(r"everything (\{.*\})", text):
            report = json.loads(line.replace("'", '"'))
            result.figures["most of the formula used, %"] = round(
                100 * report["grown"] / report["formula"], 1
            )
            result.figures["most grown, MiB"] = round(report["grown"] / 2**20, 1)
        return result

    return stage.rounds(once)


def injection(stage):
    """Pass any text as method and params, to an independent witness."""
    each = 500

    def once(_):
        result = stage.pytest(
            "tests/hostile/test_injection.py", env={"JSONRPCC_EXAMPLES": str(each)}
        )
        result.figures = {"properties": 6}
        result.trials += 6 * (each - 1)
        result.unit = "examples"
        return result

    return stage.rounds(once)


def states(stage):
    """A state machine drives a client and its servers; the history is judged."""
    each, steps = 100, 30

    def once(_):
        result = stage.pytest(
            "tests/client/test_states.py", env={"JSONRPCC_STATES": str(each)}
        )
        result.trials *= each
        result.unit = "runs"
        result.figures = {"most steps of a run": steps}
        return result

    return stage.rounds(once)


def cluster(stage):
    """Run the show of examples/cluster once."""
    code, text = stage.command("make", "--no-print-directory", "cluster", limit=900)
    found = {
        "promises kept": text.count(" s  kept "),
        "calls that failed, not idempotent": max(
            map(int, re.findall(r"(\d+) failed", text)), default=0
        ),
    }
    return Result(1_000_000, "calls", int(code != 0), found)


STAGES = {
    "simulator": simulator,
    "torture": torture,
    "torture by TLS": torture_by_tls,
    "starvation": starvation,
    "mutants": mutants,
    "fuzz": fuzz,
    "chaos": chaos,
    "network": _tests("namespaces"),
    "cluster": cluster,
    "hostile": _tests("hostile", "hostile_load", "reconnect", "failover", "names",
                      "limits", "responses", "codec", "params", "ancestor_faults"),
    "chaos by TLS": _by_tls(chaos),
    "hostile by TLS": _by_tls(_tests("hostile", "hostile_load", "reconnect",
                                     "failover", "responses")),
    "exits by TLS": _by_tls(exits),
    "forks by TLS": _by_tls(forks),
    "signals by TLS": _by_tls(_tests("signals")),
    "doubt": _tests("balancer", "trials", "return", "suspects"),
    "scarce": _tests("scarce"),
    "exits": exits,
    "forks": forks,
    "forks of C": forks_of_c,
    "signals": _tests("signals"),
    "reentrant": _tests("reentrant", "log", unit="uses"),
    "close": close,
    "map": _tests("map", "map_shared", "map_reading", "map_random",
                  env={"JSONRPCC_EXAMPLES": "1000"}),
    "threads": _tests("threads", "callbacks", "cancel", "garbage", "async_client",
                      "async_delivery"),
    "greenlets": _tests("patched_threads"),
    "loops": loops,
    "memory": memory,
    "injection": injection,
    "states": states,
    "asan": asan,
    "tsan": tsan,
    "valgrind": valgrind,
    "references": references,
    "site": _tests("site"),
}  # fmt: skip
