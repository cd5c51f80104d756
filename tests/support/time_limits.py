"""
How much longer things may take than in a user's build on an idle machine.

JSONRPCC_PATIENCE=20 multiplies every time limit of the tests, as valgrind requires.
"""

import os
import shlex

# The extension is built with a sanitizer, which is slower and takes memory itself.
SANITIZED = "san" in os.environ.get("LD_PRELOAD", "")
PATIENCE = float(os.environ.get("JSONRPCC_PATIENCE", "5" if SANITIZED else "1"))

ASAN = "asan" in os.environ.get("LD_PRELOAD", "")
TSAN = "tsan" in os.environ.get("LD_PRELOAD", "")
THREADS_OF_TSAN = int(TSAN)  # in every process
# The environment for what is not ours, shells and servers: it may crash or hang there.
TOOLS = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
# What a shell with that environment writes before a command of ours.
PRELOADED = f"LD_PRELOAD={shlex.quote(os.environ.get('LD_PRELOAD', ''))}"

# Bytes by which memory may grow when nothing large is kept.
MODEST = (200 if SANITIZED else 20) * 2**20
