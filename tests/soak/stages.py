"""The stages: each is a function of its `Stage` and returns a `Result`."""

import json
import re
import shutil
import sys

from .run import OUT, ROOT, Result

PROGRAMS = ROOT / "tests" / "programs"
OUTCOMES = re.compile(r"(\d+) ([^;\n]+);")


def make(stage, *targets, **variables):
    words = [f"{name}={value}" for name, value in variables.items()]
    return stage.command("make", "--no-print-directory", *targets, *words)


def simulator(stage):
    """Seeded histories through the real engine, every other round sanitized."""
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


TORTURES = ("test_torture", "test_torture_fork")
TORTURE = re.compile(
    r"alloc sites (\d+)/(\d+), syscall sites (\d+)/(\d+), runs (\d+), "
    r"faults (\d+), calls (\d+)"
)


def torture(stage):
    """Every allocation and system call of the core made to fail, with real sockets."""
    for san in ("", "address,undefined"):
        where = "asan" if san else "plain"
        programs = [f"build/{where}/{name}" for name in TORTURES]
        code, text = make(stage, *programs, SAN=san)
        if code != 0:
            return Result(0, "runs", 0, notes=[f"there is no torture: {text[-200:]}"])

    def one(name, number):
        where = ("asan", "plain")[number % 2]
        code, text = stage.command(
            ROOT / "build" / where / name, 3 + number, limit=1200
        )
        found = TORTURE.search(text)
        if found is None:
            return Result(1, "runs", 1, notes=[text[-300:]])
        hit, sites, hit_calls, calls_sites, runs, faults, calls = map(
            int, found.groups()
        )
        figures = {
            "most allocation sites made to fail": hit,
            "most allocation sites": sites,
            "most system call sites made to fail": hit_calls,
            "most system call sites": calls_sites,
            "faults": faults,
            "calls": calls,
        }
        return Result(runs, "runs", int(code != 0), figures)

    def once(number):
        total, children = (one(name, number) for name in TORTURES)
        total.add(children)
        return total

    return stage.rounds(once)


def mutants(stage):
    """The core broken in small ways: do its tests notice?"""
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
    """Four server processes to which everything happens, and a client under load."""

    def once(number):
        seed = 1000 + number
        code, text = stage.command(
            sys.executable, PROGRAMS / "chaos.py", seed, 30,
            env={"PYTHONPATH": str(ROOT / "tests")},
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


def _tests(*names, unit="tests", env=()):
    """A stage that runs some of the Python tests over and over."""

    def run(stage):
        files = [f"tests/test_{name}.py" for name in names]
        return stage.rounds(
            lambda _: stage.pytest("-m", "", *files, unit=unit, env=env)
        )

    return run


def exits(stage):
    """All endings, with the server alive and dead."""
    each = 8

    def once(_):
        result = stage.pytest("tests/test_exit.py", env={"JSONRPCC_EXITS": str(each)})
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
            "tests/test_fork.py", "-m", "slow", env={"JSONRPCC_FORKS": str(each)}
        )
        result.trials *= each
        result.unit = "forks"
        more = stage.pytest("tests/test_fork.py", "tests/test_gunicorn.py", "-m",
                            "not slow")  # fmt: skip
        result.failures += more.failures
        result.figures = {"tests of fork() and gunicorn": more.trials}
        return result

    return stage.rounds(once)


def memory(stage):
    """Hostile servers and full queues against the stated formula."""

    def once(_):
        result = stage.pytest("tests/test_memory.py", "-s")
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
    """Any text as method and params, against a witness of its own."""
    each = 500

    def once(_):
        result = stage.pytest(
            "tests/test_injection.py", env={"JSONRPCC_EXAMPLES": str(each)}
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
            "tests/test_states.py", env={"JSONRPCC_STATES": str(each)}
        )
        result.trials *= each
        result.unit = "runs"
        result.figures = {"most steps of a run": steps}
        return result

    return stage.rounds(once)


# ---- sanitizers -------------------------------------------------------------------


def _copy(stage, name, san):
    """A copy of the project with its extension built that way; (folder, python)."""
    folder = OUT / "copies" / name
    _, listing = stage.command("git", "ls-files")
    for path in listing.splitlines():
        if (ROOT / path).is_file():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / path, folder / path)
    code, text = stage.command("make", "venv", f"JSONRPCC_SAN={san}", cwd=folder,
                               limit=900)  # fmt: skip
    if code != 0:
        raise RuntimeError(f"no build with {san}: {text[-500:]}")
    return folder, folder / ".venv" / "bin" / "python"


def _each_file(stage, names, **options):
    """Run one file of tests after another, as far as the time allows."""
    total = Result(0, "tests")
    for i, name in enumerate(names):
        if i and stage.left() < 0:
            total.notes.append(f"no time for {', '.join(names[i:])}")
            break
        # So slow that the testing server's thread does not stop in its 2 s.
        patience = ("-W", "ignore:a function still blocks:ResourceWarning")
        result = stage.pytest(*patience, f"tests/{name}.py", **options)
        total.add(result)
        total.figures["files"] = i + 1
        if result.failures:
            total.notes.append(f"{name} failed")
    return total


def _runtime(stage, name):
    _, text = stage.command("cc", f"-print-file-name=lib{name}.so")
    return text.strip()


SANITIZED = [
    "test_threads", "test_garbage", "test_cancel", "test_close", "test_map",
    "test_client", "test_async_client", "test_chaos", "test_events", "test_stats",
    "test_codec", "test_errors", "test_hostile", "test_failover", "test_limits",
    "test_params", "test_injection", "test_responses", "test_reconnect",
    "test_ancestor_faults",
]  # fmt: skip


def asan(stage):
    """The Python tests under ASan and UBSan; leaks with a frame of ours count."""
    folder, python = _copy(stage, "asan", "address,undefined")
    reports = folder / "reports"
    shutil.rmtree(reports, ignore_errors=True)
    reports.mkdir()
    env = {
        "LD_PRELOAD": _runtime(stage, "asan"),
        # The interpreter keeps much until its end; only ours is of interest.
        "ASAN_OPTIONS": f"detect_leaks=1:exitcode=0:log_path={reports}/asan",
        "LSAN_OPTIONS": "report_objects=0:max_leaks=0",
        "UBSAN_OPTIONS": f"print_stacktrace=1:log_path={reports}/ubsan",
        "PYTHONMALLOC": "malloc",
    }
    # First something that it must find.
    stage.command(python, "tests/programs/leak.py", env=env, cwd=folder)
    planted = [path.read_text(errors="replace") for path in reports.iterdir()]
    found = any("jsonrpcc_sync_new" in leak for leak in _leaks(planted))
    shutil.rmtree(reports)
    reports.mkdir()
    result = _each_file(stage, SANITIZED, env=env, python=python, cwd=folder)
    texts = [path.read_text(errors="replace") for path in reports.iterdir()]
    ours = _leaks(texts)
    (OUT / "asan.reports").write_text("\n\n".join(ours))
    result.failures += len(ours) + (not found)
    result.figures |= {
        "a leak planted in our code was found": "yes" if found else "no",
        "reports with a frame of ours": len(ours),
        "processes with reports of others": len(texts),
        "processes in which LSan itself failed": sum(
            "LeakSanitizer has encountered a fatal error" in text for text in texts
        ),
    }
    return result


def _leaks(texts):
    return [leak for text in texts for leak in leaks_of_ours(text)]


def leaks_of_ours(text):
    """The parts of a sanitizer's report whose stack goes through our module."""
    parts = re.split(
        r"\n(?=(?:Direct|Indirect) leak|=+\d+=+ERROR|\S+: runtime error)", text
    )
    report = r"Direct leak|Indirect leak|ERROR: (?!LeakSan)|runtime error"
    ours = r"_jsonrpcc|_fast\.abi3|\bcsrc/"
    return [part for part in parts if re.search(report, part) and re.search(ours, part)]


def tsan(stage):
    """The Python tests under TSan."""
    folder, python = _copy(stage, "tsan", "thread")
    supp = folder / "tests" / "tsan.supp"
    env = {
        "LD_PRELOAD": _runtime(stage, "tsan"),
        "TSAN_OPTIONS": f"suppressions={supp}:exitcode=66:log_path={folder}/tsan",
    }
    for old in folder.glob("tsan.*"):
        old.unlink()
    result = _each_file(stage, SANITIZED, env=env, python=python, cwd=folder)
    reports = [path.read_text() for path in folder.glob("tsan.*")]
    ours = [text for text in reports if re.search(r"_jsonrpcc|_fast\.abi3", text)]
    result.failures += len(ours)
    result.figures |= {"reports with a frame of ours": len(ours),
                      "other reports": len(reports) - len(ours)}  # fmt: skip
    (OUT / "tsan.reports").write_text("\n\n".join(ours))
    return result


MEMCHECKED = ["test_client", "test_cancel", "test_map", "test_errors", "test_close"]


def valgrind(stage):
    """A share of the Python tests under memcheck."""
    if shutil.which("valgrind") is None:
        return Result(0, "tests", 0, notes=["valgrind is not installed"])
    reports = OUT / "memcheck"
    shutil.rmtree(reports, ignore_errors=True)
    reports.mkdir()
    code, text = stage.command(
        "valgrind", "--leak-check=full", "--show-leak-kinds=definite",
        "--errors-for-leak-kinds=definite", "--xml=yes", f"--xml-file={reports}/%p.xml",
        "--child-silent-after-fork=yes", "--num-callers=30", sys.executable, "-m",
        "pytest", "-q", "-x", "-p", "no:cacheprovider", "-o", "timeout=900",
        "-k", "not 10000", *(f"tests/{name}.py" for name in MEMCHECKED),
        env={"PYTHONMALLOC": "malloc"}, limit=max(stage.left(), 0) + 600,
    )  # fmt: skip
    errors = [
        error
        for path in reports.iterdir()
        for error in re.findall(r"<error>.*?</error>", path.read_text(), re.DOTALL)
    ]
    # What cffi itself takes when it loads a module is its own, for good.
    ours = [
        error
        for error in errors
        if re.search(r"_jsonrpcc|_fast\.abi3", error)
        and not re.search(r"_my_Py_InitModule|ffi_internal_new|lib_build_", error)
    ]
    (OUT / "valgrind.reports").write_text("\n\n".join(ours))
    passed = re.search(r"(\d+) passed", text)
    failed = re.search(r"(\d+) failed", text)
    ended = code in {0, 1} and passed
    return Result(
        int(passed[1]) if passed else 0,
        "tests",
        len(ours) + (int(failed[1]) if failed else 0) + (not ended),
        {"errors with a frame of ours": len(ours),
         "errors without": len(errors) - len(ours)},
    )  # fmt: skip


STAGES = {
    "simulator": simulator,
    "torture": torture,
    "mutants": mutants,
    "fuzz": fuzz,
    "chaos": chaos,
    "network": _tests("namespaces"),
    "hostile": _tests("hostile", "reconnect", "failover", "names", "limits",
                      "responses", "codec", "params", "ancestor_faults"),
    "exits": exits,
    "forks": forks,
    "signals": _tests("signals"),
    "threads": _tests("threads", "cancel", "close", "garbage", "async_client", "map"),
    "memory": memory,
    "injection": injection,
    "states": states,
    "asan": asan,
    "tsan": tsan,
    "valgrind": valgrind,
}  # fmt: skip
