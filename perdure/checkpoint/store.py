"""The protocol of a checkpoint store."""

from collections.abc import Sequence
from typing import Protocol

from perdure.checkpoint.model import WorkflowCheckpoint


class CheckpointStore(Protocol):
    """Append-only storage of checkpoints. Every implementation passes `tests/conformance`.

    All methods raise `DependencyUnavailable` when the storage cannot be reached now.
    """

    name: str
    """For people, such as "Postgres" or "files"."""

    async def append(self, checkpoint: WorkflowCheckpoint) -> bool:
        """Store durably; True if it was new, False if the very same one was there already.

        Raises:
            CheckpointConflict: the id exists with other content.
            CheckpointGap: it does not follow the latest one (sequence + 1, its digest as `previous_digest`).
                An empty store takes a chain's beginning at any sequence: older ones may have been retired.
            StaleWriter: its epoch is older than that of the latest one stored.
        """
        ...

    async def restore(self, checkpoints: Sequence[WorkflowCheckpoint]) -> int:
        """Append checkpoints of one workflow id that another store holds, in order; returns how many were new.

        Unlike `append`, it takes those of epochs that have been replaced since: they were written in their time.

        Raises:
            CheckpointConflict, CheckpointGap: as `append`.
        """
        ...

    async def latest(self, workflow_id: str) -> WorkflowCheckpoint | None:
        """The checkpoint of the highest sequence, None if there is none."""
        ...

    async def get(self, workflow_id: str | None, checkpoint_id: str) -> WorkflowCheckpoint | None:
        """One checkpoint of this workflow id, or of whichever has it; None if it is not stored."""
        ...

    async def list(self, workflow_id: str) -> Sequence[WorkflowCheckpoint]:
        """All checkpoints of a workflow id, oldest first."""
        ...

    async def workflow_ids(self) -> Sequence[str]:
        """Every workflow id that has a checkpoint here, sorted."""
        ...

    async def close(self) -> None:
        """Release what the store holds; safe to call twice."""
        ...
