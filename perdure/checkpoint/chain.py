"""The chain of checkpoints: ids, digests, the check of the order, and old stored forms."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from perdure.checkpoint.model import CHECKPOINT_VERSION, WorkflowCheckpoint
from perdure.errors import CheckpointConflict, CheckpointGap, RefusedWrite, StaleWriter


class ChainEnd(Protocol):
    """The end of a chain: the latest checkpoint, or a `Link` to it."""

    @property
    def sequence(self) -> int:
        """Return the position in the chain, from 1."""
        ...

    @property
    def digest(self) -> str:
        """Return the digest that the next checkpoint must name, in hexadecimal."""
        ...

    @property
    def epoch(self) -> int:
        """Return the epoch; later checkpoints have the same or a higher one."""
        ...


@dataclass(frozen=True)
class Link:
    """The sequence and digest of a checkpoint whose content is not known."""

    sequence: int
    digest: str
    epoch: int = 0
    """Epoch of the checkpoint; 0 if the epoch is not known."""


def checkpoint_id(workflow_id: str, sequence: int) -> str:
    """Return the id of a checkpoint: "chk_" and 24 hexadecimal digits."""
    return "chk_" + hashlib.sha256(f"{workflow_id}\n{sequence}".encode()).hexdigest()[:24]


def compute_digest(checkpoint: WorkflowCheckpoint) -> str:
    """Return the SHA-256, in hexadecimal, of a checkpoint's canonical JSON without the digest.

    The hashed content includes `previous_digest`, so the digests form a chain: an edited or missing checkpoint changes
    every later digest.
    """
    content = checkpoint.model_dump(mode="json")
    content["metadata"].pop("digest", None)
    return hashlib.sha256(canonical_json(content)).hexdigest()


def canonical_json(value: Any) -> bytes:
    """Return UTF-8 JSON with sorted keys and no spaces: equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def seal(checkpoint: WorkflowCheckpoint) -> WorkflowCheckpoint:
    """Return the same checkpoint with its digest filled in."""
    digest = compute_digest(checkpoint)
    return checkpoint.model_copy(update={"metadata": {**checkpoint.metadata, "digest": digest}})


def upgrade(stored: Mapping[str, Any]) -> WorkflowCheckpoint:
    """Return a stored checkpoint of any version in the present form.

    This function alone reads older forms.

    Raises:
        ValueError: the value is no checkpoint, or its version is newer than this release.
    """
    version = str(stored.get("metadata", {}).get("checkpoint_version", ""))
    if version != CHECKPOINT_VERSION:
        message = f"a checkpoint of version {version or 'unknown'} cannot be read by this version of Perdure"
        raise ValueError(message)
    return WorkflowCheckpoint.model_validate(dict(stored))


def check_follows(checkpoint: WorkflowCheckpoint, end: ChainEnd | None) -> None:
    """Check that a checkpoint continues the chain that ends with `end`.

    The file stores and the audit call this function. In Postgres a trigger makes the same checks (migrations/0002).

    Args:
        checkpoint: the next checkpoint.
        end: the latest checkpoint of the chain; None for an empty chain. Any checkpoint may begin an empty chain,
            because older checkpoints may have been pruned.

    Raises:
        StaleWriter: the checkpoint's epoch is lower than that of `end`.
        CheckpointGap: the checkpoint's sequence or previous digest does not continue `end`.
        CheckpointConflict: the checkpoint has the next sequence, but the id of `end`.
    """
    if end is None:
        return
    if checkpoint.epoch < end.epoch:
        raise StaleWriter(f"Epoch {checkpoint.epoch} of {checkpoint.workflow_id} was replaced by epoch {end.epoch}.")
    if checkpoint.sequence != end.sequence + 1 or checkpoint.previous_digest != end.digest:
        raise CheckpointGap(
            f"Checkpoint {checkpoint.sequence} of {checkpoint.workflow_id} does not follow checkpoint {end.sequence}, "
            "the latest stored."
        )
    if checkpoint.checkpoint_id == checkpoint_id(checkpoint.workflow_id, end.sequence):
        raise CheckpointConflict(f"The checkpoint {checkpoint.checkpoint_id} is stored with other content.")


def follows(checkpoint: WorkflowCheckpoint, end: ChainEnd) -> bool:
    """Return whether `check_follows` accepts the checkpoint."""
    try:
        check_follows(checkpoint, end)
    except RefusedWrite:
        return False
    return True


def check_stored(checkpoint: WorkflowCheckpoint, stored: Iterable[WorkflowCheckpoint]) -> bool:
    """Return whether a store already holds this checkpoint.

    Args:
        checkpoint: a checkpoint that does not continue the stored chain.
        stored: the checkpoints that the store holds.

    Raises:
        CheckpointConflict: the store has another checkpoint under the same id.
    """
    for candidate in stored:
        if candidate.checkpoint_id == checkpoint.checkpoint_id:
            if candidate != checkpoint:
                raise CheckpointConflict(f"The checkpoint {checkpoint.checkpoint_id} is stored with other content.")
            return True
    return False
