"""
The Python tests under ASan, UBSan, LSan, TSan and memcheck, and references counted.

All but memcheck have a copy of the project, whose extension is built their way.
Reports count that have a frame of our modules; what Python itself keeps until its
end is not ours.
"""

import json
import re
import shutil
import sys

from .run import OUT, ROOT, Result, path_of

# Tests in which the sanitized extension does not run, or is not what is tested.
LEFT_OUT = {
    "test_abi": "builds C libraries of its own",
    "test_build": "builds wheels of its own",
    "test_c_library": "builds C libraries of its own; make test-c sanitizes those",
    "test_consumer": "needs a wheel",
    "test_hardening": "looks at the flags of an extension for users",
    "test_kamailio": "Kamailio loads the extension, but no sanitizer before it",
    "test_memory": "measures memory, of which a sanitizer has its own",
    "test_site": "reads pages in a browser, in a stage of its own",
    "test_soak": "tests these stages",
    "test_wheel": "needs a wheel",
}
OURS = re.compile(r"\b_(?:jsonrpcc|speedups|capsule)\.abi3\.so\b|\bcsrc/")


def test_files():
    """Return all test files except those left out."""
    names = sorted(path.stem for path in (ROOT / "tests").glob("*/test_*.py"))
    return [name for name in names if name not in LEFT_OUT]


def copy(stage, name, *targets, env=()):
    """Make targets in a copy of the project; (its folder, its python)."""
    folder = OUT / "copies" / name
    _, listing = stage.command("git", "ls-files")
    for path in listing.splitlines():
        if (ROOT / path).is_file():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / path, folder / path)
    code, text = stage.command("make", *targets, env=env, cwd=folder, limit=900)
    if code != 0:
        raise RuntimeError(f"no build of {name}: {text[-500:]}")
    return folder, folder / ".venv" / "bin" / "python"


def runtime(stage, name):
    _, text = stage.command("cc", f"-print-file-name=lib{name}.so")
    return text.strip()


def fresh(folder):
    """Empty the folder; a test that becomes another user writes there, too."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    return folder


def read(folder):
    return [path.read_text(errors="replace") for path in sorted(folder.iterdir())]


def each_file(stage, names, *, env, **options):
    """Run one file of tests after another."""
    total = Result(0, "tests")
    # The copies have no packages of others, whose tests are skipped, not failed.
    options["env"] = {**env, "JSONRPCC_PEERS": ""}
    for name in names:
        # So slow that the testing server's thread does not stop within its 2 s.
        patience = ("-W", "ignore:a function still blocks:ResourceWarning")
        result = stage.pytest(*patience, path_of(name), **options)
        total.add(result)
        if result.failures:
            total.notes.append(f"{name} failed")
    total.figures["files"] = len(names)
    total.notes += [f"{name}: {why}" for name, why in LEFT_OUT.items()]
    return total


# ---- ASan, UBSan, LSan ---------------------------------------------------------------

# By tests/programs/leak.py.  _capsule has but one object, made by a function of
# Python that leaves no frame pointer to follow: its references are counted.
PLANTED = {
    "the core": "jsonrpcc_sync_new",
    "_speedups": "in spd_request csrc/python/callbacks.c",
}
PLANTED_ELSEWHERE = "leak of 3027 byte(s) in 3 object(s)"


def asan(stage):
    """The Python tests under ASan and UBSan; leaks with a frame of ours count."""
    san = "address,undefined"
    folder, python = copy(stage, "asan", "venv", env={"JSONRPCC_SAN": san})
    reports = fresh(folder / "reports")
    env = {
        "JSONRPCC_SAN": san,
        # ASan ends a process that throws in C++ and got its library only later.
        "LD_PRELOAD": f"{runtime(stage, 'asan')} {runtime(stage, 'stdc++')}",
        # The interpreter keeps much until its end; only ours is of interest.
        "ASAN_OPTIONS": f"detect_leaks=1:exitcode=0:log_path={reports}/asan",
        "LSAN_OPTIONS": "report_objects=0:max_leaks=0",
        "UBSAN_OPTIONS": f"print_stacktrace=1:log_path={reports}/ubsan",
        "PYTHONMALLOC": "malloc",
    }
    # First, check that it finds something, and ignores what is not ours.
    stage.command(python, "tests/programs/leak.py", env=env, cwd=folder)
    missed = missed_of_planted(read(reports))
    fresh(reports)
    result = each_file(stage, test_files(), env=env, python=python, cwd=folder)
    texts = read(reports)
    ours = [report for text in texts for report in reports_of_ours(text)]
    # By exitcode=0 the program's end may look like a good one, so all errors count.
    others = [report for text in texts for report in errors_of_others(text)]
    (OUT / "asan.reports").write_text("\n\n".join(ours + others))
    result.failures += len(ours) + len(others) + len(missed)
    result.notes += [f"not as planted: {where}" for where in missed]
    result.figures |= {
        "leaks planted in our code, to be found": len(PLANTED),
        "of these not found": len(missed),
        "reports with a frame of ours": len(ours),
        "errors without, leaks aside": len(others),
        "processes with reports of others": len(texts),
        "processes in which LSan itself failed": sum(
            "LeakSanitizer has encountered a fatal error" in text for text in texts
        ),
    }
    return result


LEAK = re.compile("Direct leak|Indirect leak")
ERROR = re.compile("ERROR: (?!LeakSan)|runtime error|CHECK failed|nested bug")


def parts(text):
    return re.split(
        r"\n(?=(?:Direct|Indirect) leak|=+\d+=+ERROR|\S+: runtime error)", text
    )


# What Python starts a thread with, freed as that returns.  One still in Python at the
# end of the interpreter never does: it is ended where it wants the GIL, and the objects
# that it had in hand are nobody's.
ENDED_THREAD = "thread_PyThread_start_new_thread"
OBJECT = re.compile(r" in (_PyObject_|PyObject_GC_|gc_alloc)")


def reports_of_ours(text):
    """The parts of a sanitizer's report whose stack goes through our modules."""
    ended = ENDED_THREAD in text
    return [
        part
        for part in parts(text)
        if (LEAK.search(part) or ERROR.search(part))
        and OURS.search(part)
        and not (ended and LEAK.search(part) and OBJECT.search(part))
    ]


def errors_of_others(text):
    """What is no leak, and has no frame of ours."""
    return [p for p in parts(text) if ERROR.search(p) and not OURS.search(p)]


def missed_of_planted(texts):
    """Where leaks of tests/programs/leak.py were not found, or counted wrongly."""
    found = "\n".join(leak for text in texts for leak in reports_of_ours(text))
    missed = [where for where, frame in PLANTED.items() if frame not in found]
    everything = "\n".join(texts)
    if PLANTED_ELSEWHERE in found or PLANTED_ELSEWHERE not in everything:
        missed.append("Python")
    return missed


# ---- TSan ----------------------------------------------------------------------------


def tsan(stage):
    """The Python tests under TSan."""
    folder, python = copy(stage, "tsan", "venv", env={"JSONRPCC_SAN": "thread"})
    reports = fresh(folder / "reports")
    supp = folder / "tests" / "tsan.supp"
    env = {
        "JSONRPCC_SAN": "thread",
        "LD_PRELOAD": runtime(stage, "tsan"),
        # A child of fork() may start threads: we promise that this works.
        "TSAN_OPTIONS": f"suppressions={supp}:exitcode=66:die_after_fork=0:"
        f"log_path={reports}/tsan",
    }
    result = each_file(stage, test_files(), env=env, python=python, cwd=folder)
    texts = read(reports)
    ours = [text for text in texts if OURS.search(text)]
    result.failures += len(ours)
    result.figures |= {"reports with a frame of ours": len(ours),
                       "other reports": len(texts) - len(ours)}  # fmt: skip
    (OUT / "tsan.reports").write_text("\n\n".join(ours))
    return result


# ---- memcheck ------------------------------------------------------------------------

SLOWER = 20  # times, under valgrind
# What calls in every style, loses servers and ends.  Left out is what starts programs
# of its own, which memcheck does not follow; what measures time; and hundreds of
# payloads one by one, which ASan sees at a tenth of the time.
MEMCHECKED = [
    "test_client", "test_async_client", "test_async_delivery", "test_cancel",
    "test_close", "test_errors", "test_events", "test_map", "test_short_cuts",
    "test_stats",
]  # fmt: skip


def valgrind(stage):
    """Some of the Python tests under memcheck."""
    if shutil.which("valgrind") is None:
        return Result(0, "tests", 0, notes=["valgrind is not installed"])
    reports = OUT / "memcheck"
    # One thread runs at a time; unless the sharing is fair a busy one may go on alone.
    command = ("valgrind", "--fair-sched=yes", "--leak-check=full",
               "--show-leak-kinds=definite", "--errors-for-leak-kinds=definite",
               "--xml=yes", f"--xml-file={reports}/%p.xml",
               "--child-silent-after-fork=yes", "--num-callers=30")  # fmt: skip
    env = {"PYTHONMALLOC": "malloc", "JSONRPCC_PATIENCE": str(SLOWER)}
    # First, check that it finds something.
    fresh(reports)
    stage.command(*command, sys.executable, "tests/programs/leak.py", env=env)
    planted = "".join(ours_of_memcheck(read(reports))[0])
    missed = [
        name for name in ("_jsonrpcc", "_speedups") if f"/{name}.abi3" not in planted
    ]
    fresh(reports)
    tests = [path_of(name) for name in MEMCHECKED]
    result = stage.pytest(*tests, before=command, env=env)
    ours, others = ours_of_memcheck(read(reports))
    (OUT / "valgrind.reports").write_text("\n\n".join(ours))
    result.failures += len(ours) + len(missed)
    result.notes += [f"not as planted: {where}" for where in missed]
    result.figures |= {
        "files": len(MEMCHECKED),
        "leaks planted in our code, to be found": 2,
        "of these not found": len(missed),
        "errors with a frame of ours": len(ours),
        "errors without": len(others),
    }
    return result


def ours_of_memcheck(texts):
    """Return the errors that have a frame of ours, and the others."""
    # What cffi itself takes when it loads a module is its own, for good.
    loading = re.compile(r"_my_Py_InitModule|ffi_internal_new|lib_build_")
    ours, others = [], []
    for text in texts:
        for error in re.findall(r"<error>.*?</error>", text, re.DOTALL):
            is_ours = OURS.search(error) and not loading.search(error)
            (ours if is_ours else others).append(error)
    return ours, others


# ---- references ----------------------------------------------------------------------

KINDS = ("references", "blocks of memory", "descriptors")


def references(stage):
    """Every entry point, many times, in a Python that counts all references."""
    debug = shutil.which("python3-dbg")
    if debug is None:
        return Result(0, "calls", 0, notes=["there is no python3-dbg"])
    # What is built for users does not count; all that takes part is built for this.
    folder, python = copy(stage, "references", "venv-build", f"PYTHON={debug}",
                          env={"PIP_NO_BINARY": "cffi,msgspec"})  # fmt: skip

    def once(_):
        code, text = stage.command(
            python, "tests/programs/references.py", 200, cwd=folder,
            env={"PYTHONPATH": "tests/support", "JSONRPCC_PATIENCE": "5"},
        )  # fmt: skip
        try:
            report = json.loads(text.splitlines()[-1])
            planted = report.pop("planted")
        except (ValueError, IndexError, KeyError):
            return Result(1, "calls", 1, notes=[text[-300:]])
        found = {name: kept(each) for name, each in report.items()}
        notes = [
            f"{name}: {', '.join(kinds)}" for name, kinds in found.items() if kinds
        ]
        missed = "references" not in kept(planted)
        return Result(
            sum(each["times"] for each in report.values()),
            "calls",
            len(notes) + missed + (code != 0),
            {"most entry points": len(report),
             "most of them that kept something in every run": len(notes),
             "a reference lost on purpose": "missed" if missed else "found"},
            notes,
        )  # fmt: skip

    return stage.rounds(once)


def kept(measured):
    """Of what there was more after each run; references lost too often count too."""
    runs = measured["runs"]
    # Python keeps blocks for reuse as it likes, but not one per call.
    least = (1, measured["times"] / len(runs), 1)
    found = [
        kind
        for kind, column, floor in zip(
            KINDS, zip(*runs, strict=True), least, strict=True
        )
        if min(column) >= floor
    ]
    if max(run[0] for run in runs) <= -least[1]:
        found.append("references given back twice")
    return found
