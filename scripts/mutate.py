#!/usr/bin/env python3
"""
Test the tests of the C core: break it in small ways, and see which test notices.

    mutate.py [--count 200] [--seed 1] [--jobs 2] [--only FILE.c]

Each mutant is one file of csrc/ with one operator, constant, condition or
statement changed.  It is compiled with sanitizers and linked to the C tests,
which run one after the other, the file's own first, until one fails: then the
mutant is killed.  Mutants that the optimizer turns into the very same code do
not count.  Survivors must be listed in tests/c/survivors.txt, with the reason why
no test can tell them from the original.
"""

import argparse
import functools
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mutants import ROOT, Mutant, core_files, draw, mutants_of, object_of, source_of

BUILD = ROOT / "build" / "mutate"
KNOWN = ROOT / "tests" / "c" / "survivors.txt"

FILES = [
    "answer",
    "balance",
    "call_end",
    "call_table",
    "changes",
    "choice",
    "completions",
    "conn_state",
    "connection",
    "discovery",
    "discovered",
    "dispatch",
    "engine",
    "file_list",
    "files",
    "greeting",
    "inbox",
    "json_plain",
    "json_recover",
    "json_scan",
    "json_short",
    "json_string",
    "json_text",
    "names",
    "netstring",
    "outbox",
    "pages",
    "pool",
    "proof",
    "rejected",
    "rendezvous",
    "renewal",
    "request",
    "response",
    "rotation",
    "server_list",
    "servers",
    "servers_parse",
    "servers_set",
    "srv",
    "state",
    "tick",
    "trial",
    "unix_path",
]
# The arguments of test programs, so that a mutant takes seconds.
TESTS = {
    "test_netstring": [],
    "test_outbox": [],
    "test_inbox": [],
    "test_pages": [],
    "test_call_table": [],
    "test_deadlines": [],
    "test_completions": [],
    "test_unix_path": [],
    "test_srv": [],
    "test_answer": [],
    "test_servers_parse": [],
    "test_servers": [],
    "test_servers_doubt": [],
    "test_servers_set": [],
    "test_server_states": [],
    "test_balance": [],
    "test_subset": [],
    "test_spares": [],
    "test_discovery": [],
    "test_discovered": [],
    "test_names": [],
    "test_pool": [],
    "test_pool_list": [],
    "test_renewal": [],
    "test_json_members": [],
    "test_json_scan": [],
    "test_json_short": [],
    "test_request": [],
    "test_response": [],
    "test_envelope": [],
    "test_engine": [],
    "test_engine_output": [],
    "test_engine_servers": [],
    "test_suspect": [],
    "test_trials": [],
    "test_newcomer": [],
    "test_rejected": [],
    "test_changes": [],
    "test_proof": [],
    "test_hello": [],
    "test_pings": [],
    "test_files": [],
    "test_growing": [],
    "fuzz_netstring": ["4000"],
    "fuzz_json_scan": ["20000"],
    "fuzz_json_short": ["20000"],
    "fuzz_servers": ["20000"],
    "fuzz_params": ["20000"],
    "fuzz_srv": ["20000"],
    "fuzz_envelope": ["20000"],
    "fuzz_engine": ["500"],
    "test_simulator": ["400"],
}
ENGINE = [
    "test_engine",
    "test_engine_output",
    "test_engine_servers",
    "test_suspect",
    "test_trials",
    "test_newcomer",
    "test_rejected",
]
SERVERS = ["test_servers", "test_servers_doubt", "test_server_states", "test_balance"]
FIRST = {
    "call_end": ENGINE,
    "call_table": ["test_call_table", "test_deadlines"],
    "choice": SERVERS,
    "conn_state": ["test_pool"],
    "connection": ENGINE,
    "dispatch": ENGINE,
    "discovered": ["test_discovered", "test_names"],
    "discovery": ["test_discovery", "test_files"],
    "engine": [*ENGINE, "test_growing"],
    "envelope": ["test_envelope", "fuzz_envelope"],
    "file_list": ["test_files"],
    "greeting": ["test_hello", "test_pings"],
    "json_plain": ["test_json_scan", "test_request"],
    "json_recover": ["test_json_members"],
    "json_scan": ["test_json_scan", "test_json_members", "fuzz_json_scan"],
    "json_short": ["test_json_short", "fuzz_json_short"],
    "json_string": ["test_json_scan", "fuzz_json_scan"],
    "json_text": ["test_json_members", "test_json_scan"],
    "pool": ["test_pool", "test_pool_list"],
    "proof": ["test_proof", "test_pool", "test_pool_list"],
    "rendezvous": ["test_discovered", "test_answer"],
    "response": ["test_response", "test_engine"],
    "rotation": SERVERS,
    "server_list": ["test_discovered", "test_servers_parse", "test_servers_set"],
    "servers": SERVERS,
    "servers_parse": ["fuzz_servers"],
    "servers_set": ["test_servers_set", "test_changes"],
    "spares": ["test_spares"],
    "state": ENGINE,
    "tick": ENGINE,
    "subset": ["test_subset", "test_spares"],
    "trial": ["test_trials", "test_newcomer", "test_suspect"],
}
TIME_LIMIT = 120  # seconds for one program; the slowest takes five
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
COMPILE = ["-std=gnu11", "-pthread", "-Icsrc", "-fPIC", "-O1", *SANITIZE]


def run(*command: str, limit: float = 300) -> bool:
    """Return whether a command succeeds within the limit; its output is dropped."""
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


@functools.cache
def flags(name: str) -> list[str]:
    """Ask the Makefile about our libraries: PKG_CFLAGS or PKG_LIBS."""
    command = ["make", "-s", f"print-{name}"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout.split()


class Bench:
    """The tests, linked to a shared library that each mutant replaces."""

    def __init__(self) -> None:
        self.tests = {
            name: args
            for name, args in TESTS.items()
            if (ROOT / "tests" / "c" / f"{name}.c").exists()
        }
        shutil.rmtree(BUILD, ignore_errors=True)
        (BUILD / "core").mkdir(parents=True)
        (BUILD / "tests").mkdir()
        cflags = flags("PKG_CFLAGS")
        self.libs = flags("PKG_LIBS")
        objects = []
        for path in core_files():
            target = BUILD / "core" / object_of(path)
            self.must("gcc", *COMPILE, *cflags, "-c", str(path), "-o", str(target))
            objects.append(target)
        self.objects = objects
        self.link(BUILD / "core", {})
        sources = sorted((ROOT / "tests" / "c").glob("*.c"))
        helpers = [
            str(self.compiled(path))
            for path in sources
            if not re.match(r"(test|fuzz|shared)_|jsontestsuite|torture", path.stem)
        ]
        driver = str(self.compiled(ROOT / "tests" / "c" / "fuzz_driver.c"))
        for name in self.tests:
            test = str(self.compiled(ROOT / "tests" / "c" / f"{name}.c"))
            self.must(
                "gcc",
                "-pthread",
                *SANITIZE,
                test,
                *helpers,
                *([driver] if name.startswith("fuzz_") else []),
                f"-L{BUILD / 'core'}",
                "-lcore",
                *self.libs,
                "-o",
                str(BUILD / "tests" / name),
            )

    def compiled(self, path: Path) -> Path:
        """Compile a file of tests/c, and return the object."""
        target = BUILD / "tests" / f"{path.stem}.o"
        flags_of_core = flags("PKG_CFLAGS")
        self.must("gcc", *COMPILE, *flags_of_core, "-c", str(path), "-o", str(target))
        return target

    @staticmethod
    def must(*command: str) -> None:
        """Run a command that has to succeed."""
        subprocess.run(command, cwd=ROOT, check=True)

    def link(self, folder: Path, changed: dict[str, Path]) -> bool:
        """Link folder/libcore.so; *changed* replaces objects, by name."""
        objects = [str(changed.get(path.name, path)) for path in self.objects]
        return run(
            "gcc",
            "-shared",
            "-pthread",
            *SANITIZE,
            *objects,
            *self.libs,
            "-o",
            str(folder / "libcore.so"),
        )

    def code(self, source: Path, target: Path) -> bytes:
        """Return the optimized code of a file; b"" if it does not compile."""
        command = ["gcc", "-std=gnu11", "-Icsrc", "-O2", *flags("PKG_CFLAGS")]
        if not run(*command, "-c", str(source), "-o", str(target)):
            return b""
        done = subprocess.run(
            ["objdump", "-dr", "--no-show-raw-insn", str(target)],
            check=True,
            capture_output=True,
        )
        return done.stdout.split(b"\n", 3)[-1]

    def passes(self, name: str, folder: Path) -> bool:
        """Whether a test passes with the library in folder."""
        env = f"LD_LIBRARY_PATH={folder}"
        program = str(BUILD / "tests" / name)
        return run("env", env, program, *self.tests[name], limit=TIME_LIMIT)

    def order(self, file: str) -> list[str]:
        """Return the tests, those most likely to notice first."""
        first = dict.fromkeys([f"test_{file}", f"fuzz_{file}", *FIRST.get(file, [])])
        return [n for n in first if n in self.tests] + [
            n for n in self.tests if n not in first
        ]

    def judge(self, mutant: Mutant, folder: Path) -> str:
        """Which test kills it; "same", "broken" or "survived"."""
        source = source_of(mutant.file)
        lines = source.read_text().split("\n")
        lines[mutant.line] = mutant.new
        folder.mkdir(exist_ok=True)
        changed = folder / f"{mutant.file}.c"
        changed.write_text("\n".join(lines))
        before = self.code(source, folder / "before.o")
        after = self.code(changed, folder / "after.o")
        if not after:
            return "broken"
        if after == before:
            return "same"
        target = folder / f"{mutant.file}.o"
        if not run(
            "gcc", *COMPILE, *flags("PKG_CFLAGS"), "-c", str(changed), "-o", str(target)
        ) or not self.link(folder, {object_of(source): target}):
            return "broken"
        for name in self.order(mutant.file):
            if not self.passes(name, folder):
                return name
        return "survived"


def known_survivors() -> set[str]:
    """Return the names in survivors.txt."""
    lines = KNOWN.read_text().splitlines() if KNOWN.exists() else []
    return {
        line for line in lines if " => " in line and not line.startswith((" ", "#"))
    }


def judge_all(
    bench: Bench, chosen: list[Mutant], jobs: int
) -> list[tuple[Mutant, str]]:
    """Judge all, and print each verdict as it comes."""

    def one(item: tuple[int, Mutant]) -> tuple[Mutant, str]:
        number, mutant = item
        folder = BUILD / f"m{number}"
        verdict = bench.judge(mutant, folder)
        shutil.rmtree(folder)
        print(f"{verdict:18} {mutant.line + 1:4} {mutant.name()}", flush=True)
        return mutant, verdict

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(one, enumerate(chosen)))


def main() -> int:
    """Draw mutants, judge them, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", help="mutants of this file only")
    parser.add_argument("--survivors", action="store_true", help="those known, again")
    parser.add_argument("--names", type=Path, help="those named in a file, by line")
    args = parser.parse_args()
    known = known_survivors()
    everything = [m for file in FILES for m in mutants_of(file)]
    pool = [m for m in everything if args.only in (None, f"{m.file}.c")]
    if args.survivors:
        pool = [m for m in pool if m.name() in known]
    if args.names:
        names = set(args.names.read_text().splitlines())
        pool = [m for m in pool if m.name() in names]
    chosen = draw(pool, args.count, args.seed)
    bench = Bench()
    for name in bench.tests:
        if not bench.passes(name, BUILD / "core"):
            print(f"mutate: {name} fails without any change")
            return 1
    verdicts = judge_all(bench, chosen, args.jobs)
    counts = {
        word: sum(v == word for _, v in verdicts)
        for word in ("same", "broken", "survived")
    }
    real = len(verdicts) - counts["same"] - counts["broken"]
    unknown = [
        m for m, verdict in verdicts if verdict == "survived" and m.name() not in known
    ]
    for mutant in unknown:
        print(f"survived without a reason: {mutant.name()}")
    print(
        f"mutation: {real} mutants of {len(everything)}, seed {args.seed},"
        f" {real - counts['survived']} killed,"
        f" {counts['survived'] - len(unknown)} equivalent, {len(unknown)} survived"
    )
    return bool(unknown)


if __name__ == "__main__":
    sys.exit(main())
