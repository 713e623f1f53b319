"""Everything that talks to Temporal from outside a workflow: clients, workers, embedded servers, audits, queries.

This floor may import `workflows`, `activities` and `perdure`, as the contracts in `pyproject.toml` allow for each room.
Start reading in `client/orchestrator.py`, then in `program/run.py`.
"""
