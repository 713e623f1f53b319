"""The checkpoint: its fields, its chain of digests, and the protocols of the stores.

This room may import `perdure.errors` only. Start reading in `model.py`; then `chain.py`, `store.py` and `sync.py`.
"""

from perdure.checkpoint.chain import (
    Link,
    canonical_json,
    check_follows,
    check_stored,
    checkpoint_id,
    compute_digest,
    follows,
    seal,
    upgrade,
)
from perdure.checkpoint.model import CHECKPOINT_VERSION, MAX_DOCUMENTS, ServiceState, WorkflowCheckpoint
from perdure.checkpoint.state_data import (
    TERMINAL_STATUSES,
    StateData,
    TrippedBreaker,
    UnhealthyService,
    WorkflowStatus,
)
from perdure.checkpoint.store import Auditable, CheckpointStore, Prunable
from perdure.checkpoint.values import MAX_INTEGER_DIGITS, MAX_JSON_DEPTH, JsonObject, Text, UtcTime

__all__ = [
    "CHECKPOINT_VERSION",
    "MAX_DOCUMENTS",
    "MAX_INTEGER_DIGITS",
    "MAX_JSON_DEPTH",
    "TERMINAL_STATUSES",
    "Auditable",
    "CheckpointStore",
    "JsonObject",
    "Link",
    "Prunable",
    "ServiceState",
    "StateData",
    "Text",
    "TrippedBreaker",
    "UnhealthyService",
    "UtcTime",
    "WorkflowCheckpoint",
    "WorkflowStatus",
    "canonical_json",
    "check_follows",
    "check_stored",
    "checkpoint_id",
    "compute_digest",
    "follows",
    "seal",
    "upgrade",
]
