"""
What the kernel can do to connections, and whether we are allowed to make it.

`reason_not()` answers say why something is not possible here, for pytest.skip.
"""

import functools
import os
import shutil
import socket
import subprocess

from time_limits import TOOLS

ENVIRONMENT = {**TOOLS, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}


def run(*command):
    """Run it; returns (exit code, output and errors)."""
    path = shutil.which(command[0], path=ENVIRONMENT["PATH"])
    if path is None:
        return 127, f"{command[0]} is not installed"
    done = subprocess.run(
        [path, *command[1:]],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=20,
        env=ENVIRONMENT,
    )
    return done.returncode, done.stdout.strip()


def kill_connections(port):
    """Have the kernel abort all TCP connections to a local port; both ends notice."""
    return run("ss", "--kill", "--tcp", "dst", "127.0.0.1", "dport", "=", str(port))


@functools.cache
def why_no_kill():
    """Return why kill_connections() does not work here; "" if it does."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with (
            socket.create_connection(("127.0.0.1", port)) as ours,
            listener.accept()[0],
        ):
            code, text = kill_connections(port)
            error = ours.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code == 0 and error:
        return ""
    return f"ss --kill does nothing here: {text or 'no permission, or no support'}"


def in_namespace(*command):
    """The command in a network namespace of its own, which ends with it."""
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    return ["unshare", *user, "--net", "--", *command]


@functools.cache
def why_no_namespace():
    """Return why we cannot have network namespaces; "" if we can."""
    code, text = run(*in_namespace("ip", "link", "set", "lo", "up"))
    return "" if code == 0 else f"no network namespaces here: {text}"


@functools.cache
def why_no_packet_filter():
    """Return why nft cannot be used in our own namespace; "" if it can."""
    code, text = run(*in_namespace("nft", "add", "table", "inet", "fire"))
    return why_no_namespace() or ("" if code == 0 else f"no nft here: {text}")
