"""One run of one rival: ``python -m bench.child MODULE FUNCTION ...`` prints JSON."""

from __future__ import annotations

import argparse
import importlib
import json
import sys

from bench.job import Job


def main() -> None:
    """Run it and print the report on one line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("module")
    parser.add_argument("function")
    for name in ("port", "calls", "warmup", "window"):
        parser.add_argument(f"--{name}", type=int, required=True)
    args = parser.parse_args()
    job = Job(args.function, args.port, args.calls, args.warmup, args.window)
    rival = importlib.import_module(f"bench.rivals.{args.module}")
    getattr(rival, args.function)(job)
    json.dump(job.report(), sys.stdout)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
