"""jsonrpcc by TLS."""

from __future__ import annotations

import os

import jsonrpcc
from bench.job import CA
from bench.rivals.ours import Runs

_runs = Runs(tls=jsonrpcc.Tls(ca=os.environ[CA]))
callback = _runs.callback
sync = _runs.sync
blob64k = _runs.blob64k
