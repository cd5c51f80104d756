"""
Run a program of this folder, with TLS for all its servers and clients.

    by_tls.py PROGRAM ARGUMENTS...
"""

import runpy
import sys

import everywhere

everywhere.turn_on()
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
