"""The protocols of checkpoint stores: `CheckpointStore`, `Auditable` and `Prunable`."""

from builtins import list as list_of
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from perdure.checkpoint.model import WorkflowCheckpoint


@runtime_checkable
class CheckpointStore(Protocol):
    """Append-only storage of checkpoints. Every implementation passes `tests/conformance`.

    Every method raises `DependencyUnavailable` while the storage cannot be reached.
    """

    name: str
    """Name for messages, such as "Postgres", "files" or "bucket"."""

    async def append(self, checkpoint: WorkflowCheckpoint) -> bool:
        """Store a checkpoint durably.

        Return True if the checkpoint is new, False if the store has the same checkpoint already.

        Raises:
            CheckpointConflict: the store has other content under the same id.
            CheckpointGap: the checkpoint does not follow the latest one (sequence + 1, and its digest as
                `previous_digest`). An empty store takes the beginning of a chain at any sequence: older checkpoints
                may have been retired.
            StaleWriter: the checkpoint's epoch is lower than that of the latest one stored.
        """
        ...

    async def restore(self, checkpoints: Sequence[WorkflowCheckpoint]) -> int:
        """Append checkpoints of one workflow id that another store holds, in order.

        Return the number of new checkpoints. Unlike `append`, this method accepts an epoch that a later run has
        replaced, because the epoch was current when its checkpoint was written.

        Raises:
            CheckpointConflict, CheckpointGap: in the same cases as `append`.
        """
        ...

    async def latest(self, workflow_id: str) -> WorkflowCheckpoint | None:
        """Return the checkpoint of the highest sequence; None if there is none."""
        ...

    async def get(self, workflow_id: str | None, checkpoint_id: str) -> WorkflowCheckpoint | None:
        """Return a checkpoint of a workflow id, or of any workflow id if `workflow_id` is None.

        Return None if the checkpoint is not stored.
        """
        ...

    async def list(self, workflow_id: str) -> Sequence[WorkflowCheckpoint]:
        """Return all checkpoints of a workflow id, oldest first."""
        ...

    async def workflow_ids(self) -> Sequence[str]:
        """Return every workflow id that has a checkpoint in this store, sorted."""
        ...

    async def close(self) -> None:
        """Release the resources of the store. A second call does nothing."""
        ...


@runtime_checkable
class Auditable(CheckpointStore, Protocol):
    """A store whose raw content an audit can examine, and replace when it is damaged."""

    count_name: str
    """Name under which an audit counts the checkpoints, such as "file_checkpoints"."""

    def place_of(self, workflow_id: str) -> str:
        """Return the location of a run's checkpoints for messages, such as a file name."""
        ...

    async def examine(self, workflow_id: str) -> tuple[list_of[Any], str | None]:
        """Return the stored elements as they are, good or bad, in the order of the store.

        The second value says what is wrong with the storage as a whole, as a clause such as "holds no JSON array";
        None if nothing is wrong with it.
        """
        ...

    async def replace(
        self, workflow_id: str, checkpoints: Sequence[WorkflowCheckpoint], instead_of: Sequence[Any]
    ) -> str | None:
        """Store this chain in place of the elements that `examine` returned.

        Returns:
            The place where the former content is kept; None if there was none.

        Raises:
            CheckpointGap: the elements of the store have changed since; the store is not changed.
        """
        ...


@runtime_checkable
class Prunable(CheckpointStore, Protocol):
    """A store that deletes its oldest checkpoints on request, after the leader deleted them."""

    async def retire(self, workflow_id: str, up_to_sequence: int) -> int:
        """Delete the checkpoints up to this sequence, never the latest.

        Return the number of deleted checkpoints.
        """
        ...
