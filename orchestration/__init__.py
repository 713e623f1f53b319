"""Everything that talks to Temporal from outside a workflow.

The rooms are clients, workers, embedded servers, audits, queries and settings.

This floor may import `workflows`, `activities` and `perdure`, as the contracts in `pyproject.toml` allow for each room.
Start reading in `client/orchestrator.py`, then in `program/run.py`.
"""
