"""
What the kernel does to connections, and whether we may have it done.

`reason_not()` answers say why something is not possible here, for pytest.skip.
"""

import functools
import os
import shutil
import socket
import subprocess

ENVIRONMENT = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}


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
    """Have the kernel end all TCP connections to that local port: both ends see it."""
    return run("ss", "--kill", "--tcp", "dst", "127.0.0.1", "dport", "=", str(port))


@functools.cache
def why_no_kill():
    """Why kill_connections() does not work here; "" if it does."""
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
    """Why there are no network namespaces for us; "" if there are."""
    code, text = run(*in_namespace("ip", "link", "set", "lo", "up"))
    return "" if code == 0 else f"no network namespaces here: {text}"


@functools.cache
def why_no_packet_filter():
    """Why nft cannot be used in a namespace of ours; "" if it can."""
    code, text = run(*in_namespace("nft", "add", "table", "inet", "fire"))
    return why_no_namespace() or ("" if code == 0 else f"no nft here: {text}")
