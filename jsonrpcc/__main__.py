"""The command line, ``python -m jsonrpcc`` or ``jsonrpcc``."""

import sys

from jsonrpcc._cli.main import main

if __name__ == "__main__":
    sys.exit(main())
