"""examples/kamailio in Debian's Kamailio: INVITEs of sipp, and others by hand."""

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import peers
import pytest
from history import until

from jsonrpcc.testing import Error, Server

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "kamailio"


def programs():
    """Skip, or fail, without Kamailio; its Python must be that of the venv."""
    kamailio, sipp = peers.program("kamailio"), peers.program("sipp")
    module = [*Path("/usr/lib").glob("*/kamailio/modules/app_python3.so")]
    if not module:
        peers.missing("kamailio-python3-modules")
    linked = subprocess.run(
        [peers.program("ldd"), module[0]], capture_output=True, text=True, check=True
    )
    version = re.search(r"libpython(3\.\d+)", linked.stdout)[1]
    if version != f"3.{sys.version_info.minor}":
        pytest.skip(f"Kamailio's Python is {version}: it cannot load this cffi")
    return kamailio, sipp


def free_udp_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Routing:
    """Kamailio with the example, and what a caller sees of it."""

    def __init__(self, kamailio, sipp, servers, folder):
        self.port, self.sipp, self.folder = free_udp_port(), sipp, folder
        self.log = folder / "kamailio.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [kamailio, "-f", EXAMPLE / "kamailio.cfg",
                 "-A", f'ROUTE="{EXAMPLE / "route.py"}"', "-DD", "-E", "-M", "16",
                 "-l", f"udp:127.0.0.1:{self.port}", "-Y", folder],
                cwd=EXAMPLE,
                env={
                    "PATH": "/usr/bin:/bin",
                    "ROUTING_SERVERS": servers,
                    "PYTHONPATH": ":".join([str(ROOT), *sys.path[1:]]),
                    "PYTHONDONTWRITEBYTECODE": "1",
                },
                stdout=log,
                stderr=subprocess.STDOUT,
            )  # fmt: skip
        self.caller = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.caller.bind(("127.0.0.1", 0))
        self.caller.settimeout(0.5)
        self.asked = 0

    def start(self):
        until(lambda: self.ask("OPTIONS") == 405, 20, self)
        return self

    def __str__(self):
        return f"an answer of Kamailio: {self.log.read_text()[-2000:]}"

    def ask(self, method, user="bob"):
        """Return the code of the answer to one request, None if there is none."""
        self.asked += 1
        here = f"127.0.0.1:{self.caller.getsockname()[1]}"
        there = f"sip:{user}@127.0.0.1:{self.port}"
        lines = [
            f"{method} {there} SIP/2.0",
            f"Via: SIP/2.0/UDP {here};branch=z9hG4bK{self.asked}",
            f"From: <sip:alice@{here}>;tag=1",
            f"To: <{there}>",
            f"Call-ID: {self.asked}@127.0.0.1",
            f"CSeq: {self.asked} {method}",
            "Max-Forwards: 70",
            "Content-Length: 0",
        ]
        text = "\r\n".join([*lines, "", ""])
        self.caller.sendto(text.encode(), ("127.0.0.1", self.port))
        try:
            while True:
                answer = self.caller.recv(65536).decode()
                if f"CSeq: {self.asked} " in answer and " 100 " not in answer[:20]:
                    return int(answer.split()[1])
        except TimeoutError:
            return None

    def invites(self, count, rate):
        """Have sipp make calls; return it, running."""
        return subprocess.Popen(
            [self.sipp, "-sf", EXAMPLE / "invite.xml", "-s", "bob", "-nostdin",
             "-m", str(count), "-r", str(rate), "-i", "127.0.0.1",
             "-p", str(free_udp_port()), "-timeout", "40s", "-timeout_error",
             f"127.0.0.1:{self.port}"],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )  # fmt: skip

    def stop(self):
        self.caller.close()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(20) == 0, str(self)


@pytest.fixture
def routing(tmp_path):
    """Give a function that runs Kamailio with these servers."""
    running = []

    def start(*servers):
        text = " ".join(f"{each.address},{n}" for n, each in servers)
        running.append(Routing(*programs(), text, tmp_path))
        return running[-1].start()

    yield start
    for each in running:
        each.stop()


def get_route(user):
    if user != "bob":
        raise Error(-32001, f"{user} is not known")
    return f"sip:{user}@192.0.2.7"


def methods():
    return {"get_route": get_route, "ended": lambda user: None}


def test_each_branch_of_the_script(routing):
    with Server(methods()) as server:
        sip = routing((1, server))
        assert sip.ask("INVITE", "bob") == 302
        assert sip.ask("INVITE", "eve") == 404
        assert "no route to eve: eve is not known" in sip.log.read_text()
        assert sip.ask("BYE", "bob") == 200
        until(
            lambda: [r for r in server.requests if r.method == "ended"],
            10,
            what="the notification",
        )
        server.stop()
        until(lambda: sip.ask("INVITE") == 503, 10, what="503 without servers")


def test_calls_go_on_when_a_server_dies(routing, tmp_path):
    """Two groups; each INVITE gets its 302 while the better server is killed."""
    count = 300
    with Server(methods()) as best, Server(methods()) as spare:
        sip = routing((2, best), (1, spare))
        calls = sip.invites(count, 100)
        best.wait_for_requests(50, timeout=30)
        best.stop()
        out, _ = calls.communicate(timeout=60)
        assert calls.returncode == 0, f"{out[-3000:]}{sip}"
        asked = len(best.requests) + len(spare.requests)
        assert len(best.requests) >= 50
        assert len(spare.requests) > 0
        assert asked >= count
