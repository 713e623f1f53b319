"""The checkpoint: its fields, its chain of digests, and the protocol that every store of checkpoints fulfils.

This room may import `perdure.errors` only. Start reading in `model.py`, then `chain.py`, then `store.py`.
"""

from perdure.checkpoint.chain import canonical_json, checkpoint_id, compute_digest, sealed, upgrade
from perdure.checkpoint.model import (
    CHECKPOINT_VERSION,
    MAX_DOCUMENTS,
    MAX_INTEGER_DIGITS,
    MAX_JSON_DEPTH,
    TERMINAL_STATUSES,
    JsonObject,
    ServiceState,
    Text,
    UtcTime,
    WorkflowCheckpoint,
    WorkflowStatus,
)
from perdure.checkpoint.store import CheckpointStore

__all__ = [
    "CHECKPOINT_VERSION",
    "MAX_DOCUMENTS",
    "MAX_INTEGER_DIGITS",
    "MAX_JSON_DEPTH",
    "TERMINAL_STATUSES",
    "CheckpointStore",
    "JsonObject",
    "ServiceState",
    "Text",
    "UtcTime",
    "WorkflowCheckpoint",
    "WorkflowStatus",
    "canonical_json",
    "checkpoint_id",
    "compute_digest",
    "sealed",
    "upgrade",
]
