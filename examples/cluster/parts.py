"""The real parts of the show: name server, balancers, broker, workers, servers."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ledger import Ledger

HERE = Path(__file__).parent
DOMAIN = "cluster.test"
PORT = 9999
PATH = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
DELAY = 2  # milliseconds that a server takes for a call
PROCESSES = 8  # of celery, of dask and of gunicorn

NAMED = """options {{ directory "{0}"; pid-file none; listen-on {{ 127.0.0.1; }};
 listen-on-v6 {{ none; }}; recursion no; dnssec-validation no; session-keyfile none; }};
controls {{ }};
zone "{1}" {{ type master; file "{0}/zone"; allow-update {{ 127.0.0.1; }}; }};
"""
ZONE = """$TTL 1
@ IN SOA ns root 1 60 60 60 1
@ IN NS ns
ns IN A 127.0.0.1
"""
HAPROXY = """defaults
    mode tcp
    timeout connect 1s
    timeout client 1h
    timeout server 1h
listen rpc
    bind {0}
"""
NGINX = """daemon off; pid {0}/nginx.pid; error_log {0}/nginx-error.log;
{1}
events {{ }}
stream {{ upstream rpc {{ {2} }}
 server {{ listen {3}; proxy_pass rpc; proxy_connect_timeout 1s; proxy_timeout 1h; }} }}
"""


class Missing(Exception):  # noqa: N818
    """Something that the show needs is not here."""


def program(name: str, package: str) -> str:
    """Return where a program is."""
    found = shutil.which(name, path=PATH)
    if not found:
        raise Missing(f"{name} is missing: Debian's package {package}")
    return found


def wait_until(what: str, true: Callable[[], object], limit: float = 60) -> None:
    """Wait for something that is expected."""
    end = time.monotonic() + limit
    while not true():
        if time.monotonic() > end:
            raise Missing(f"{what}: not within {limit:.0f} s")
        time.sleep(0.05)


def listens(host: str, port: int) -> bool:
    """Tell whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


@dataclass
class Server:
    """A server at an address of its own, in its present life or between two."""

    host: str
    life: int = -1
    process: subprocess.Popen[str] | None = None


@dataclass
class Parts:
    """Everything that runs."""

    folder: Path
    ledger: Ledger
    lives: list[str] = field(default_factory=list)  # the host of each life
    processes: list[subprocess.Popen[str]] = field(default_factory=list)
    named: subprocess.Popen[str] | None = None

    def start(self, name: str, *command: str, **environ: str) -> subprocess.Popen[str]:
        """Start a program whose output goes to a file of that name."""
        with (self.folder / f"{name}.log").open("a") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                text=True,
                cwd=HERE,
                env={**os.environ, "PATH": PATH, **environ},
            )
        self.processes.append(process)
        return process

    # ---- the name -----------------------------------------------------------------

    def start_name_server(self) -> None:
        """Start bind9 with a zone that can be changed."""
        self.folder.chmod(0o755)
        (self.folder / "zone").write_text(ZONE)
        config = self.folder / "named.conf"
        config.write_text(NAMED.format(self.folder, DOMAIN))
        named = program("named", "bind9")
        self.named = self.start("named", named, "-f", "-u", "root", "-c", str(config))
        wait_until("bind9", lambda: listens("127.0.0.1", 53))

    def publish(self, hosts: Iterable[str]) -> None:
        """Have the name stand for these addresses, by one dynamic update."""
        name = f"servers.{DOMAIN}"
        lines = ["server 127.0.0.1", f"zone {DOMAIN}", f"update delete {name} A"]
        lines += [f"update add {name} 1 A {host}" for host in hosts]
        subprocess.run(
            [program("nsupdate", "bind9-dnsutils")],
            input="\n".join([*lines, "send", ""]),
            text=True,
            check=True,
            timeout=20,
        )

    # ---- servers ------------------------------------------------------------------

    def build_witness(self) -> None:
        """Compile the server."""
        flags = subprocess.run(
            ["pkg-config", "--cflags", "--libs", "libevent_core", "json-c"],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        target = str(self.folder / "witness")
        command = [os.environ.get("CC", "cc"), "-std=gnu11", "-O2", "witness.c"]
        subprocess.run(
            [*command, "-o", target, *flags.stdout.split()], check=True, cwd=HERE
        )

    def begin_life(self, server: Server) -> None:
        """Start a server, and wait until it listens."""
        server.life = len(self.lives)
        self.lives.append(server.host)
        server.process = self.start(
            "witness", str(self.folder / "witness"),
            str(self.ledger.path), str(self.ledger.calls), str(server.life),
            server.host, str(PORT), str(DELAY),
        )  # fmt: skip
        wait_until(server.host, lambda: listens(server.host, PORT))

    def end_life(self, server: Server, how: int = signal.SIGKILL) -> None:
        """End a server."""
        if server.process:
            server.process.send_signal(how)
            server.process.wait()
            self.processes.remove(server.process)
            server.process = None

    # ---- balancers ----------------------------------------------------------------

    def start_balancers(self, backends: list[Server]) -> list[str]:
        """Start HAProxy and nginx in front of the backends; return their addresses."""
        addresses = [f"127.0.3.1:{PORT}", f"127.0.3.2:{PORT}"]
        hosts = [f"{server.host}:{PORT}" for server in backends]
        config = self.folder / "haproxy.cfg"
        config.write_text(
            HAPROXY.format(addresses[0])
            + "".join(f"    server s{i} {host}\n" for i, host in enumerate(hosts))
        )
        self.start("haproxy", program("haproxy", "haproxy"), "-db", "-f", str(config))
        modules = sorted(Path("/usr/lib/nginx/modules").glob("ngx_stream_module.so"))
        load = "".join(f"load_module {each};" for each in modules)
        upstream = " ".join(f"server {host};" for host in hosts)
        config = self.folder / "nginx.conf"
        config.write_text(NGINX.format(self.folder, load, upstream, addresses[1]))
        nginx = program("nginx", "nginx-light libnginx-mod-stream")
        self.start("nginx", nginx, "-c", str(config), "-p", str(self.folder))
        for address in addresses:
            host = address.split(":")[0]
            wait_until(f"balancer {address}", lambda h=host: listens(h, PORT))
        return addresses

    # ---- workers ------------------------------------------------------------------

    def start_celery(self, servers: str) -> None:
        """Start Redis and a prefork pool that takes tasks from it."""
        redis = program("redis-server", "redis-server")
        self.start("redis", redis, "--port", "6379", "--bind", "127.0.0.1",
                   "--save", "", "--appendonly", "no")  # fmt: skip
        wait_until("Redis", lambda: listens("127.0.0.1", 6379))
        self.start(
            "celery", sys.executable, "-m", "celery", "-A", "celery_app", "worker",
            "--pool", "prefork", "--concurrency", str(PROCESSES),
            "--without-gossip", "--without-mingle", SERVERS=servers,
        )  # fmt: skip

    def start_gunicorn(self, servers: str) -> None:
        """Start a preforking web server."""
        self.start(
            "gunicorn", sys.executable, "-m", "gunicorn", "--preload",
            "--workers", str(PROCESSES), "--bind", "127.0.0.1:8000",
            "--timeout", "120", "web:app", SERVERS=servers,
        )  # fmt: skip
        wait_until("gunicorn", lambda: listens("127.0.0.1", 8000))

    def stop(self) -> None:
        """End all that was started."""
        if self.named:
            self.named.send_signal(signal.SIGCONT)
        for process in reversed(self.processes):
            process.terminate()
        for process in reversed(self.processes):
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
