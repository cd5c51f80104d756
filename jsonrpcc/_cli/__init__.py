"""
The command line: a module for each command, loaded when that is run.

So ``jsonrpcc call`` does not wait for what only ``bench`` or ``top`` need.
"""
