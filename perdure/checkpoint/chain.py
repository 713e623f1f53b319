"""The chain: deterministic ids and digests, and the reading of stored checkpoints of every version."""

import hashlib
import json
from typing import Any

from perdure.checkpoint.model import CHECKPOINT_VERSION, WorkflowCheckpoint


def checkpoint_id(workflow_id: str, sequence: int) -> str:
    """The deterministic id of the `sequence`-th checkpoint of a workflow id: "chk_" and 24 hexadecimal digits."""
    return "chk_" + hashlib.sha256(f"{workflow_id}\n{sequence}".encode()).hexdigest()[:24]


def compute_digest(checkpoint: WorkflowCheckpoint) -> str:
    """SHA-256 (hexadecimal) over the canonical JSON of everything but the digest itself.

    `previous_digest` is part of what is hashed, so the digests form a chain: an edited or missing
    checkpoint shows in every later one.
    """
    content = checkpoint.model_dump(mode="json")
    content["metadata"].pop("digest", None)
    return hashlib.sha256(canonical_json(content)).hexdigest()


def canonical_json(value: Any) -> bytes:
    """UTF-8 JSON with sorted keys and no spaces: one byte form for one value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def sealed(checkpoint: WorkflowCheckpoint) -> WorkflowCheckpoint:
    """The same checkpoint with its digest filled in."""
    digest = compute_digest(checkpoint)
    return checkpoint.model_copy(update={"metadata": {**checkpoint.metadata, "digest": digest}})


def upgrade(stored: dict[str, Any]) -> WorkflowCheckpoint:
    """Read a stored checkpoint of any version, the one place where older forms are understood.

    Raises:
        ValueError: it is no checkpoint, or of a version newer than this code knows.
    """
    version = str(stored.get("metadata", {}).get("checkpoint_version", ""))
    if version != CHECKPOINT_VERSION:
        message = f"a checkpoint of version {version or 'unknown'} cannot be read by this version of Perdure"
        raise ValueError(message)
    return WorkflowCheckpoint.model_validate(stored)
