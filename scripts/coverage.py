#!/usr/bin/env python3
"""
Measure which lines of csrc/ the C tests and the Python tests run, with gcovr.

    coverage.py [--list]

Every line that none of them runs must have a reason in tests/c/uncovered.txt, or
this fails: lines of "FILE.c FUNCTION: reason", where FUNCTION is the one that the
line is in.  Some lines run only by chance, so a reason without
such a line is only reported.  --list prints the lines.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CSRC = ROOT / "csrc"
BUILD = ROOT / "build" / "coverage" / "c"
COPY = BUILD.parent / "copy"  # of the project, its extension built for gcov
REASONS = ROOT / "tests" / "c" / "uncovered.txt"
# The arguments of test programs: more of them would not raise the coverage.
ARGUMENTS = {
    "test_simulator": ["1500"],
    "test_torture": ["8"],
    "test_torture_fork": ["8"],
    "fuzz_engine": ["300"],
    "fuzz_json_scan": ["20000"],
    "fuzz_json_short": ["20000"],
    "fuzz_netstring": ["20000"],
    "fuzz_params": ["20000"],
    "fuzz_servers": ["20000"],
    "fuzz_srv": ["20000"],
}
TIME_LIMIT = 300  # seconds for one program
PYTHON_LIMIT = 2400
# Python tests that do not run the extension built here.
ELSEWHERE = {"test_abi", "test_build", "test_c_library", "test_consumer",
             "test_hardening", "test_soak", "test_wheel"}  # fmt: skip

Counts = dict[str, dict[int, int]]  # by file, below csrc/, and line
Functions = dict[tuple[str, int], str]


def run(*command: str, where: Path = ROOT) -> str:
    """Run a command that has to succeed, and return what it prints."""
    done = subprocess.run(
        command,
        cwd=where,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=TIME_LIMIT,
    )
    return done.stdout


def object_of(path: Path) -> str:
    """Name the object of a file of csrc/: two folders may have the same name."""
    return "-".join(path.relative_to(CSRC).with_suffix(".o").parts)


def flags(name: str) -> list[str]:
    """Ask the Makefile about our libraries: PKG_CFLAGS or PKG_LIBS."""
    return run("make", "-s", f"print-{name}").split()


def build() -> list[Path]:
    """Compile the core for gcov, and link the tests to it."""
    shutil.rmtree(BUILD, ignore_errors=True)
    BUILD.mkdir(parents=True)
    command = ["gcc", "-std=gnu11", "-pthread", "-I../../../csrc", "-O0", "-g"]
    command += flags("PKG_CFLAGS")
    cores = sorted(p for p in CSRC.rglob("*.c") if p.parent.name != "python")
    for path in cores:
        run(
            *command,
            "--coverage",
            "-fprofile-update=atomic",
            "-c",
            f"../../../{path.relative_to(ROOT)}",
            "-o",
            object_of(path),
            where=BUILD,
        )
    tests = sorted((ROOT / "tests" / "c").glob("*.c"))
    for path in tests:
        run(*command, "-c", str(path), where=BUILD)
    programs = [p.stem for p in tests if re.match(r"test_|fuzz_(?!driver)", p.stem)]
    single = {*programs, "fuzz_driver", "jsontestsuite"}
    shared = [f"{p.stem}.o" for p in tests if p.stem not in single]
    shared += [object_of(p) for p in cores]
    run("ar", "rcs", "used.a", *shared, where=BUILD)
    for name in programs:
        driver = ["fuzz_driver.o"] if name.startswith("fuzz_") else []
        run(
            "gcc",
            "-pthread",
            "--coverage",
            "-Wl,-u,__gcov_dump",  # for check_exit()
            f"{name}.o",
            *driver,
            "used.a",
            *flags("PKG_LIBS"),
            "-o",
            name,
            where=BUILD,
        )
    return [BUILD / name for name in programs]


def run_c_tests() -> bool:
    """Run what build() has made; whether all passed."""
    passed = True
    for program in build():
        try:
            subprocess.run(
                [str(program), *ARGUMENTS.get(program.name, [])],
                cwd=ROOT,
                check=True,
                stdout=subprocess.DEVNULL,
                timeout=TIME_LIMIT,
                env={**os.environ, "LC_ALL": "C"},
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            print(f"coverage: {program.name} failed: {error}")
            passed = False
    return passed


def run_python_tests() -> bool:
    """Run the tests of the package in a copy of the project; whether they pass."""
    for path in run("git", "ls-files").splitlines():
        if (ROOT / path).is_file():
            (COPY / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / path, COPY / path)
    run("make", "venv", where=COPY)
    python = str(COPY / ".venv" / "bin" / "python")
    shutil.rmtree(COPY / "temp", ignore_errors=True)
    script = "from setuptools import setup; setup()"
    subprocess.run(
        [python, "-c", script, "-q", "build_ext", "--inplace", "--build-temp=temp"],
        cwd=COPY,
        check=True,
        timeout=TIME_LIMIT,
        env={**os.environ, "JSONRPCC_COVERAGE": "yes"},
    )
    files = sorted((COPY / "tests").glob("*/test_*.py"))
    pytest = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "timeout=300"]
    pytest += [str(path) for path in files if path.stem not in ELSEWHERE]
    # Another user, whom it runs as, must not write what gcov counts.
    pytest += [
        "--deselect",
        "tests/client/test_file_faults.py::test_permission_is_lost",
    ]
    passed = True
    for arguments in (pytest, ["tests/programs/references.py", "2"]):
        done = subprocess.run(
            [python, *arguments],
            cwd=COPY,
            check=False,
            stdout=subprocess.PIPE,
            timeout=PYTHON_LIMIT,
            env={
                **os.environ,
                "JSONRPCC_PATIENCE": "5",
                "MAKEFLAGS": "",  # ARGS are for us, not for make in a test
                "PYTHONPATH": "tests/support",
            },
        )
        if done.returncode != 0:
            print(done.stdout.decode(errors="replace"))
        passed &= done.returncode == 0
    return passed


def count_lines(
    objects: Path, where: Path, counts: Counts, functions: Functions
) -> None:
    """Add what gcovr says about the objects in a folder, compiled in that checkout."""
    text = run(
        sys.executable,
        "-m",
        "gcovr",
        "--root",
        str(where),
        "--filter",
        str(where / "csrc"),
        # Threads count branches at the same time, which nobody looks at.
        "--gcov-ignore-parse-errors",
        "negative_hits.warn_once_per_file",
        "--json",
        "-",
        str(objects),
    )
    for source in json.loads(text)["files"]:
        name = source["file"].removeprefix("csrc/")
        if not name.endswith(".c"):
            continue
        for line in source["lines"]:
            number = line["line_number"]
            counts[name][number] += line["count"]
            functions[name, number] = line.get("function_name", "")


def reasons() -> dict[tuple[str, str], str]:
    """Read tests/c/uncovered.txt."""
    found = {}
    for line in REASONS.read_text().splitlines():
        if line and not line.startswith("#"):
            place, reason = line.split(": ", 1)
            file, function = place.split()
            found[file, function] = reason
    return found


def main() -> int:
    """Build, run, and compare with the reasons."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--list", action="store_true", help="print uncovered lines")
    args = parser.parse_args()
    passed = run_c_tests()
    passed &= run_python_tests()
    counts: Counts = defaultdict(lambda: defaultdict(int))
    functions: Functions = {}
    count_lines(BUILD, ROOT, counts, functions)
    by_c = {name: sum(map(bool, lines.values())) for name, lines in counts.items()}
    count_lines(COPY / "temp", COPY, counts, functions)
    missed: dict[tuple[str, str], list[int]] = defaultdict(list)
    for name, lines in sorted(counts.items()):
        for number, count in sorted(lines.items()):
            if count == 0:
                missed[name, functions[name, number]].append(number)
    known = reasons()
    for (file, function), numbers in sorted(missed.items()):
        if args.list or (file, function) not in known:
            reason = known.get((file, function), "no reason given")
            print(f"csrc/{file}:{','.join(map(str, numbers))}: {function}: {reason}")
    for file, function in sorted(set(known) - set(missed)):
        print(f"tests/c/uncovered.txt: {file} {function} is covered this time")
    for part in ("the core", "csrc/python"):
        those = [n for n in counts if n.startswith("python/") == (part != "the core")]
        total = sum(len(counts[name]) for name in those)
        ran = sum(map(bool, (c for n in those for c in counts[n].values())))
        print(
            f"coverage: {part}: {ran} of {total} lines, {100 * ran / total:.1f} %;"
            f" by the C tests alone {sum(by_c.get(name, 0) for name in those)}"
        )
    lines_missed = sum(map(len, missed.values()))
    explained = sum(len(lines) for place, lines in missed.items() if place in known)
    print(f"coverage: {explained} of {lines_missed} others explained")
    return explained < lines_missed or not passed


if __name__ == "__main__":
    sys.exit(main())
