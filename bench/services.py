"""The servers that are measured against, and the programs built for it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bench.job import HOST

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HERE = Path(__file__).resolve().parent
BUILD = HERE.parent / "build" / "bench"
CSRC = HERE.parent / "csrc"
LIBRARIES = {
    "hiredis.c": ["-lhiredis", "-levent_core"],
    "ours.c": ["-levent_core", "-ljson-c", "-pthread"],
    "ours_shared.c": [
        "-L",
        str(BUILD.parent),
        "-ljsonrpcc",
        f"-Wl,-rpath,{BUILD.parent}",
        "-pthread",
    ],
    "valkey.c": ["-lvalkey", "-levent_core"],
}
TLS = ["-DBENCH_TLS", "-lssl", "-lcrypto"]
"""What the server needs more than that to speak TLS."""


class SkippedError(Exception):
    """Something is not installed; the text says what."""


def build(source: str, name: str = "", more: Sequence[str] = ()) -> Path:
    """Compile *source*, a path below bench/, unless that is done already."""
    path = HERE / source
    program = BUILD / (name or path.stem)
    sources = [path]
    ours = path.name.startswith("ours")
    if path.name == "ours_shared.c":
        _build_library()
    elif ours:
        sources += sorted(p for p in CSRC.rglob("*.c") if p.parent.name != "python")
    newest = max(
        file.stat().st_mtime
        for file in (
            *sources,
            *HERE.glob("*.h"),
            *path.parent.glob("*.h"),
            *CSRC.rglob("*.h"),
        )
    )
    if program.exists() and program.stat().st_mtime > newest:
        return program
    BUILD.mkdir(parents=True, exist_ok=True)
    command = [
        os.environ.get("CC", "cc"),
        "-O2",
        "-flto=auto",
        "-std=gnu11",
        *(["-DNDEBUG", "-fvisibility=hidden", "-I", str(CSRC)] if ours else []),
        "-o",
        str(program),
        *map(str, sources),
        *LIBRARIES.get(path.name, []),
        *more,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = next(
            (line for line in done.stderr.splitlines() if "error" in line), done.stderr
        )
        raise SkippedError(f"{source} does not compile: {reason}")
    return program


def _build_library() -> None:
    """Build build/libjsonrpcc.so as users get it."""
    done = subprocess.run(
        [shutil.which("make") or "make", "-s", "lib"],
        capture_output=True,
        text=True,
        check=False,
        cwd=HERE.parent,
    )
    if done.returncode != 0:
        raise SkippedError(f"make lib: {done.stderr.strip().splitlines()[-1]}")


@contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """Have the processes started in the body run on one core only."""
    cores = os.sched_getaffinity(0)
    if core is not None:
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


@contextmanager
def netstring_server(
    ports: int = 1, core: int | None = None, *, path: str = "", tls: str = ""
) -> Iterator[list[int]]:
    """
    Our C server, on so many ports.

    Or at a *path*; or by TLS, with the certificate and key in the file *tls*.
    """
    program = build("server.c", "server-tls", TLS) if tls else build("server.c")
    where = ["--ports", str(ports)]
    if path or tls:
        where = ["--tls", tls] if tls else ["--unix", path]
    with on_core(core):
        server = subprocess.Popen(
            [program, *where],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
    with server:
        assert server.stdout is not None
        assert server.stdin is not None
        yield [int(port) for port in server.stdout.readline().split()]
        server.stdin.close()  # it ends when nobody holds the other end


@contextmanager
def redis_server(core: int | None = None) -> Iterator[list[int]]:
    """A redis-server in memory only, with our server's results as its values."""
    program = shutil.which("redis-server")
    if program is None:
        raise SkippedError("redis-server is not installed")
    with on_core(core):
        server, port = _start_redis(program)
    try:
        _fill_redis(port)
        yield [port]
    finally:
        server.terminate()
        server.wait()
        assert server.stdout is not None
        server.stdout.close()


def _start_redis(program: str) -> tuple[subprocess.Popen[str], int]:
    """Redis cannot take port 0: so try free ones until it gets one."""
    for _ in range(10):
        with socket.create_server((HOST, 0)) as free:
            port = free.getsockname()[1]
        server = subprocess.Popen(
            [
                program,
                "--port",
                str(port),
                "--bind",
                HOST,
                "--save",
                "",
                "--appendonly",
                "no",
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert server.stdout is not None
        for line in server.stdout:
            if "eady to accept connections" in line:
                return server, port
        server.wait()
        server.stdout.close()
    raise SkippedError("redis-server does not start")


def _fill_redis(port: int) -> None:
    for method in ("get_user", "blob64k", "blob1m"):
        dump = [str(build("server.c")), "--dump", method]
        value = subprocess.run(dump, capture_output=True, check=True).stdout
        parts = (b"SET", method.encode(), value)
        with socket.create_connection((HOST, port)) as connection:
            connection.sendall(
                b"*3\r\n"
                + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)
            )
            if connection.recv(64) != b"+OK\r\n":
                raise SkippedError("redis-server does not take values")
