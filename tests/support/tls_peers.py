"""Other TLS programs in front of a plain server, each on a free port."""

import contextlib
import socket
import subprocess
from pathlib import Path

from helpers import LIMIT, until
from peers import missing, program
from time_limits import TOOLS

from jsonrpcc.testing._sockets import bound

HAPROXY = """
global
  maxconn 200
defaults
  mode tcp
  timeout connect 2s
  timeout client 60s
  timeout server 60s
frontend f
  bind 127.0.0.1:{port} ssl crt {cert} ca-file {ca} verify required
  default_backend b
backend b
  server s {backend}
"""

STUNNEL = """
foreground = yes
pid =
debug = 4
[rpc]
accept = 127.0.0.1:{port}
connect = {backend}
cert = {cert}
CAfile = {ca}
verifyChain = yes
requireCert = yes
"""

NGINX = """
load_module {module};
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ }}
stream {{
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {cert};
    ssl_certificate_key {cert};
    ssl_client_certificate {ca};
    ssl_verify_client on;
    ssl_session_cache shared:rpc:1m;
    proxy_pass {backend};
  }}
}}
"""


MODULES = ("/usr/lib/nginx/modules", "/usr/lib64/nginx/modules")


def nginx_module():
    """Return the path of nginx's stream module."""
    for folder in MODULES:
        path = Path(folder) / "ngx_stream_module.so"
        if path.exists():
            return path
    return missing("nginx's stream module")


def is_listening(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


@contextlib.contextmanager
def running(folder, make_command):
    """Run the program that *make_command(port)* starts; yield its process and port."""
    # Bound but not listening, it keeps others from taking the port.
    with bound("127.0.0.1", 0) as keeper, (folder / "output.txt").open("wb") as output:
        port = keeper.getsockname()[1]
        process = subprocess.Popen(
            make_command(port), env=TOOLS, stdin=subprocess.PIPE, stdout=output,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            until(lambda: is_listening(port) or process.poll() is not None)
            assert process.poll() is None, (folder / "output.txt").read_text()
            yield process, port
        finally:
            process.stdin.close()
            process.terminate()
            process.wait(LIMIT)


def configured(name, template, **values):
    """Make a front with this configuration, whose port is given later."""

    @contextlib.contextmanager
    def front(folder, certificates, backend):
        files = {"ca": certificates.ca, "cert": certificates.server, "backend": backend}

        def command(port):
            path = folder / f"{name}.conf"
            more = {key: value() for key, value in values.items()}
            text = template.format(port=port, folder=folder, **files, **more)
            path.write_text(text)
            return [program(name), *OPTIONS[name], path]

        with running(folder, command) as (_, port):
            yield f"127.0.0.1:{port}"

    return front


OPTIONS = {"haproxy": ["-db", "-f"], "stunnel4": [], "nginx": ["-c"]}

FRONTS = {
    "haproxy": configured("haproxy", HAPROXY),
    "stunnel4": configured("stunnel4", STUNNEL),
    "nginx": configured("nginx", NGINX, module=nginx_module),
}
"""By name: front(folder, certificates, backend) yields the address of the front."""
