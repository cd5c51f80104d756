"""
The long tests, in stages with time budgets, and the report about them.

    python -m tests.soak                        all stages, 5 minutes each
    python -m tests.soak --stage chaos --minutes 20
    python -m tests.soak --report               only write docs/reliability.md anew

The results of a stage are kept in build/soak/STAGE.json, so stages may be run one
at a time.  Nothing here imports jsonrpcc: a stage may rebuild the extension.
"""
