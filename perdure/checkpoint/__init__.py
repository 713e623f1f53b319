"""The checkpoint: its fields, its chain of digests, and the protocol that every store of checkpoints fulfils.

This room may import `perdure.errors` only. Start reading in `model.py`, then `chain.py`, then `store.py`.
"""

from perdure.checkpoint.chain import canonical_json, checkpoint_id, compute_digest, sealed, upgrade
from perdure.checkpoint.model import CHECKPOINT_VERSION, MAX_DOCUMENTS, ServiceState, WorkflowCheckpoint
from perdure.checkpoint.state_data import (
    TERMINAL_STATUSES,
    StateData,
    TrippedBreaker,
    UnhealthyService,
    WorkflowStatus,
)
from perdure.checkpoint.store import CheckpointStore
from perdure.checkpoint.values import MAX_INTEGER_DIGITS, MAX_JSON_DEPTH, JsonObject, Text, UtcTime

__all__ = [
    "CHECKPOINT_VERSION",
    "MAX_DOCUMENTS",
    "MAX_INTEGER_DIGITS",
    "MAX_JSON_DEPTH",
    "TERMINAL_STATUSES",
    "CheckpointStore",
    "JsonObject",
    "ServiceState",
    "StateData",
    "Text",
    "TrippedBreaker",
    "UnhealthyService",
    "UtcTime",
    "WorkflowCheckpoint",
    "WorkflowStatus",
    "canonical_json",
    "checkpoint_id",
    "compute_digest",
    "sealed",
    "upgrade",
]
