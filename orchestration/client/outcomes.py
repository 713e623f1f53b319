"""Reads the final statuses of the documents that a call of `process_document` added."""

from collections.abc import Sequence

from pydantic import Field

from perdure.checkpoint import WorkflowCheckpoint
from perdure.stores.postgres.connection import PostgresPool
from perdure.stores.postgres.document_statuses import DocumentStatus, read_queued_statuses, read_source_statuses
from workflows.messages import AddedDocuments


class DocumentCheckpoint(WorkflowCheckpoint):
    """The checkpoint that covers an added document, with the final status of the document.

    A `DocumentCheckpoint` equals the stored checkpoint and has the same JSON form, which leaves out `outcomes`.
    """

    outcomes: tuple[DocumentStatus, ...] = Field(default=(), exclude=True)
    """The status of each document of the source, by position. An archive or a mailbox has several documents."""

    @classmethod
    def with_outcomes(cls, checkpoint: WorkflowCheckpoint, outcomes: Sequence[DocumentStatus]) -> "DocumentCheckpoint":
        """Return the checkpoint together with these outcomes."""
        # The values are validated already. A second validation would only copy the values.
        values = {name: getattr(checkpoint, name) for name in WorkflowCheckpoint.model_fields}
        return cls.model_construct(**values, outcomes=tuple(outcomes))

    def __eq__(self, other: object) -> bool:
        """Return whether both are the same checkpoint; the outcomes are not compared."""
        if not isinstance(other, WorkflowCheckpoint):
            return NotImplemented
        return self.model_dump() == other.model_dump()

    def __hash__(self) -> int:
        """Return a hash that equal checkpoints share."""
        return hash((self.workflow_id, self.checkpoint_id))


async def find_outcomes(
    pool: PostgresPool, checkpoint: WorkflowCheckpoint, added: AddedDocuments, source: str
) -> Sequence[DocumentStatus]:
    """Return the statuses of the documents of a source, by position.

    Args:
        pool: connections to the database.
        checkpoint: the latest checkpoint of the run.
        added: the answer to the update that added the source.
        source: the source in the normalised form that the update had.

    Raises:
        DependencyUnavailable: the database cannot be reached.
    """
    run = checkpoint.workflow_id
    queued = range(added.first_ordinal, added.end_ordinal)
    # The queue of the current epoch is indexed, but lacks documents that had a result before the update added them.
    statuses = await read_queued_statuses(pool, run, checkpoint.epoch, queued, source) if queued else []
    return statuses or await read_source_statuses(pool, run, source)
