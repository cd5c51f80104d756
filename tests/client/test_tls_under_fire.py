"""
Exits, forks, signals and failover work as without TLS.

Not chaos and suspects: their servers are plain sockets of their own.
"""

import os
import re
import subprocess
import sys

import pytest
from compiling import ROOT
from everywhere import WISH
from time_limits import PATIENCE

pytestmark = [
    pytest.mark.skipif(os.environ.get(WISH) == "1", reason="all is by TLS already"),
    pytest.mark.timeout(120 * PATIENCE),
]


@pytest.mark.parametrize(
    ("tests", "chosen", "least"),
    [
        ("client/test_exit.py", "alive and (normal or SIGTERM)", 2),
        ("client/test_fork.py", "cancel or aio or fork_again", 3),
        ("client/test_signals.py", "future or lingers", 3),
        ("client/test_failover.py", "tcp", 10),
        ("client/test_reconnect.py", "", 5),
    ],
)
def test_as_without_tls(tests, chosen, least):
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
            f"tests/{tests}", "-k", chosen,
        ],
        cwd=ROOT, env={**os.environ, WISH: "1"}, capture_output=True, text=True,
        timeout=110 * PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(re.search(r"^(\d+) passed", done.stdout, re.MULTILINE)[1]) >= least
