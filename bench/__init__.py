"""Benchmarks of jsonrpcc against other clients: ``python -m bench --help``."""
