"""
The show: 24 workers of three engines and up to 20 servers, which come, go and die.

    make cluster

Everything runs in namespaces of its own: network (every address of 127.0.0.0/8 is a
host), mounts (/etc/resolv.conf) and processes (which end with it).  Output, logs and
the picture are in build/cluster.  The exit code is 0 if every promise was kept, 1 if
one was broken, 2 if the show cannot run here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "build" / "cluster"
INSIDE = "JSONRPCC_CLUSTER_INSIDE"


def enter_namespaces() -> int:
    """Run this program again, in namespaces."""
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    unshare = shutil.which("unshare")
    if not unshare:
        print("unshare is missing: Debian's package util-linux", file=sys.stderr)
        return 2
    command = [unshare, *user, "--net", "--mount", "--pid", "--fork",
               "--kill-child", "--mount-proc"]  # fmt: skip
    tried = subprocess.run(
        [*command, "true"], stderr=subprocess.PIPE, text=True, check=False
    )
    if tried.returncode != 0:
        print(f"no namespaces here: {tried.stderr.strip()}", file=sys.stderr)
        return 2
    inside = [*command, sys.executable, str(Path(__file__).parent), *sys.argv[1:]]
    return subprocess.run(
        inside, env={**os.environ, INSIDE: "1"}, check=False
    ).returncode


def set_up() -> None:
    """Give the namespaces a network and a name server of their own."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    files = {"/etc/resolv.conf": "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
             "/etc/nsswitch.conf": "hosts: files dns\n"}  # fmt: skip
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for target, text in files.items():
        source = FOLDER / Path(target).name
        source.write_text(text)
        subprocess.run(["mount", "--bind", str(source), target], check=True)


def main() -> int:
    """Run the show."""
    if INSIDE not in os.environ:
        return enter_namespaces()
    set_up()
    from show import run  # noqa: PLC0415  # needs what only make cluster installs

    return run(FOLDER)


if __name__ == "__main__":
    sys.exit(main())
