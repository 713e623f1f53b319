"""One stored checkpoint as it really stands in a store, good or bad."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from perdure.checkpoint import WorkflowCheckpoint, checkpoint_id, compute_digest, upgrade

_FIELDS = ("workflow_id", "processed_documents", "state_data", "service_states", "metadata")
_DERIVED = ("sequence", "epoch", "digest", "previous_digest")
_BRIEF = 12


@dataclass(frozen=True, slots=True)
class Entry:
    """A row or an element: `checkpoint` is None if it cannot be read as one; `fault` says what is wrong with it."""

    name: str
    sequence: int | None
    checkpoint: WorkflowCheckpoint | None
    fault: str | None
    kind: str = "edited_checkpoint"
    """Of the difference that its fault is."""

    @property
    def intact(self) -> WorkflowCheckpoint | None:
        """The checkpoint, if it is what it was when it was taken, by all that it says itself."""
        return None if self.fault else self.checkpoint


def examine(stored: Any, workflow_id: str) -> Entry:
    """Read one row (with the columns that the database derives) or element, and check it against itself."""
    if not isinstance(stored, Mapping):
        return Entry("an element", None, None, "is no JSON object", "unreadable_checkpoint")
    name = str(stored.get("checkpoint_id"))
    metadata = stored.get("metadata")
    claimed = metadata.get("sequence") if isinstance(metadata, Mapping) else None
    sequence = claimed if isinstance(claimed, int) and not isinstance(claimed, bool) else None
    try:
        one = upgrade(dict(stored))
        one_sequence, digest = one.sequence, one.digest
        _ = (one.epoch, one.previous_digest, one.workflow_status)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return Entry(name, sequence, None, f"cannot be read: {_first_line(error)}", "unreadable_checkpoint")
    wanted_id = checkpoint_id(workflow_id, one_sequence)
    kind, fault = "edited_checkpoint", None
    if one.workflow_id != workflow_id:
        fault = f"says that it belongs to the run '{one.workflow_id}'"
    elif one.checkpoint_id != wanted_id:
        kind = "misplaced_checkpoint"
        fault = f"stands at place {one_sequence}, where its id does not belong: the one of that place is {wanted_id}"
    elif (computed := compute_digest(one)) != digest:
        fault = f"was edited: its content gives the digest {computed[:_BRIEF]}…, and it carries {digest[:_BRIEF]}…"
    elif unknown := _surplus(stored, one):
        fault = f"was edited: {unknown} is not as it was written"
    return Entry(name, one_sequence, one, fault, kind)


def _surplus(stored: Mapping[str, Any], one: WorkflowCheckpoint) -> str | None:
    """What the digest does not cover: fields that nobody reads, and columns beside the metadata they repeat."""
    written = one.model_dump(mode="json")
    for field in _FIELDS:
        if stored[field] != written[field]:
            return field
    for column in _DERIVED:
        if column in stored and stored[column] != one.metadata[column]:
            return f"the column {column}"
    unknown = stored.keys() - written.keys() - set(_DERIVED)
    return f"the field {min(unknown)}" if unknown else None


def differing_fields(one: WorkflowCheckpoint, other: WorkflowCheckpoint) -> list[str]:
    """Where two checkpoints differ, by dotted names, digests left out unless nothing else does."""
    left, right = one.model_dump(mode="json"), other.model_dump(mode="json")
    found = _differing(left, right, "")
    content = [name for name in found if name not in ("metadata.digest", "metadata.previous_digest")]
    return content or found


def _differing(left: Any, right: Any, name: str) -> list[str]:
    if isinstance(left, dict) and isinstance(right, dict):
        keys = sorted(left.keys() | right.keys())
        return [
            found
            for key in keys
            for found in _differing(left.get(key), right.get(key), f"{name}.{key}" if name else key)
        ]
    return [] if left == right else [name]


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
