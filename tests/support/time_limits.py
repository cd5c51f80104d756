"""
How much more things may take than in a build for users on a machine of its own.

JSONRPCC_PATIENCE=20 multiplies every limit of the tests, as valgrind needs it.
"""

import os

# The extension is built with a sanitizer: slower, and its memory is not ours.
SANITIZED = "san" in os.environ.get("LD_PRELOAD", "")
PATIENCE = float(os.environ.get("JSONRPCC_PATIENCE", "5" if SANITIZED else "1"))

ASAN = "asan" in os.environ.get("LD_PRELOAD", "")
TSAN = "tsan" in os.environ.get("LD_PRELOAD", "")
THREADS_OF_TSAN = int(TSAN)  # in every process
# The environment for shells, compilers and the like: they crash under TSan.
TOOLS = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}

# Bytes by which memory may grow where nothing large is kept.
MODEST = (200 if SANITIZED else 20) * 2**20
