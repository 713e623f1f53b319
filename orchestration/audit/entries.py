"""`Entry`: one stored checkpoint, intact or damaged."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from perdure.checkpoint import WorkflowCheckpoint, checkpoint_id, compute_digest, upgrade

_FIELDS = ("workflow_id", "processed_documents", "state_data", "service_states", "metadata")
_DERIVED = ("sequence", "epoch", "digest", "previous_digest")
_BRIEF = 12


@dataclass(frozen=True, slots=True)
class Entry:
    """A row, an element or an object.

    `checkpoint` is None if the entry cannot be read, and `fault` describes the fault.
    """

    name: str
    sequence: int | None
    checkpoint: WorkflowCheckpoint | None
    fault: str | None
    kind: str = "edited_checkpoint"
    """Kind of difference that an audit reports for the fault."""

    @property
    def intact(self) -> WorkflowCheckpoint | None:
        """Return the checkpoint if its id, digest and columns agree with its content; else None."""
        return None if self.fault else self.checkpoint


def examine(stored: Any, workflow_id: str) -> Entry:
    """Read a row, an element or an object, and check that its parts agree.

    A row has additional columns, whose values the database copies from the metadata.
    """
    if not isinstance(stored, Mapping):
        return Entry("an element", None, None, "is no JSON object", "unreadable_checkpoint")
    name = str(stored.get("checkpoint_id"))
    metadata = stored.get("metadata")
    claimed = metadata.get("sequence") if isinstance(metadata, Mapping) else None
    sequence = claimed if isinstance(claimed, int) and not isinstance(claimed, bool) else None
    try:
        checkpoint = upgrade(stored)
        own_sequence = checkpoint.sequence
        digest = checkpoint.digest
        _ = (checkpoint.epoch, checkpoint.previous_digest)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return Entry(name, sequence, None, f"cannot be read: {_format_error(error)}", "unreadable_checkpoint")
    wanted_id = checkpoint_id(workflow_id, own_sequence)
    kind = "edited_checkpoint"
    fault = None
    if checkpoint.workflow_id != workflow_id:
        fault = f"belongs to the run '{checkpoint.workflow_id}' by its own content"
    elif checkpoint.checkpoint_id != wanted_id:
        kind = "misplaced_checkpoint"
        fault = f"stands at place {own_sequence}, where its id does not belong: the id of that place is {wanted_id}"
    elif (computed := compute_digest(checkpoint)) != digest:
        fault = f"was edited: its content gives the digest {computed[:_BRIEF]}…, and it carries {digest[:_BRIEF]}…"
    elif unknown := _find_surplus(stored, checkpoint):
        fault = f"was edited: {unknown} is not as it was written"
    return Entry(name, own_sequence, checkpoint, fault, kind)


def _find_surplus(stored: Mapping[str, Any], checkpoint: WorkflowCheckpoint) -> str | None:
    """Return the first difference outside the digest.

    Such a difference is an unknown field, or a column that contradicts its metadata.
    """
    written = checkpoint.model_dump(mode="json")
    for field in _FIELDS:
        if stored[field] != written[field]:
            return field
    for column in _DERIVED:
        if column in stored and stored[column] != checkpoint.metadata[column]:
            return f"the column {column}"
    unknown = stored.keys() - written.keys() - set(_DERIVED)
    return f"the field {min(unknown)}" if unknown else None


def differing_fields(left: WorkflowCheckpoint, right: WorkflowCheckpoint) -> list[str]:
    """Return the dotted names of the fields in which two checkpoints differ.

    Digests are named only if no other field differs.
    """
    names = _list_differing(left.model_dump(mode="json"), right.model_dump(mode="json"), "")
    content = [name for name in names if name not in ("metadata.digest", "metadata.previous_digest")]
    return content or names


def _list_differing(left: Any, right: Any, name: str) -> list[str]:
    if isinstance(left, dict) and isinstance(right, dict):
        keys = sorted(left.keys() | right.keys())
        return [
            differing
            for key in keys
            for differing in _list_differing(left.get(key), right.get(key), f"{name}.{key}" if name else key)
        ]
    return [] if left == right else [name]


def _format_error(error: Exception) -> str:
    return " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
