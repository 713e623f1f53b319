"""How the documents ended that a call of `process_document` added."""

from collections.abc import Sequence

from pydantic import Field

from perdure.checkpoint import WorkflowCheckpoint
from perdure.stores.postgres.connection import PostgresPool
from perdure.stores.postgres.document_statuses import DocumentStatus, read_queued_statuses, read_source_statuses
from workflows.messages import AddedDocuments


class DocumentCheckpoint(WorkflowCheckpoint):
    """The checkpoint that covers an added document, and how the document ended.

    It equals the stored checkpoint, and its JSON form is that of the stored checkpoint: `outcomes` is left out.
    """

    outcomes: tuple[DocumentStatus, ...] = Field(default=(), exclude=True)
    """One for each document of the source, by position: one for a file, several for an archive or a mailbox."""

    @classmethod
    def with_outcomes(cls, checkpoint: WorkflowCheckpoint, outcomes: Sequence[DocumentStatus]) -> "DocumentCheckpoint":
        """Return the checkpoint together with these outcomes."""
        # The values are validated already. A second validation could not change them, and would copy them.
        values = {name: getattr(checkpoint, name) for name in WorkflowCheckpoint.model_fields}
        return cls.model_construct(**values, outcomes=tuple(outcomes))

    def __eq__(self, other: object) -> bool:
        """Return whether the two are the same checkpoint, whatever their outcomes."""
        if not isinstance(other, WorkflowCheckpoint):
            return NotImplemented
        return self.model_dump() == other.model_dump()

    def __hash__(self) -> int:
        """Return a hash that equal checkpoints share."""
        return hash((self.workflow_id, self.checkpoint_id))


async def find_outcomes(
    pool: PostgresPool, checkpoint: WorkflowCheckpoint, added: AddedDocuments, source: str
) -> Sequence[DocumentStatus]:
    """Return how the documents of a source ended, by position.

    Args:
        pool: of the database.
        checkpoint: the latest of the run.
        added: the answer to the update that added the source.
        source: as normalised for the update.

    Raises:
        DependencyUnavailable: the database cannot be reached.
    """
    run = checkpoint.workflow_id
    queued = range(added.first_ordinal, added.end_ordinal)
    # The queue of the current epoch is indexed. It lacks documents that had a result before they were added.
    found = await read_queued_statuses(pool, run, checkpoint.epoch, queued, source) if queued else []
    return found or await read_source_statuses(pool, run, source)
