"""Finds lost results and checkpoints of a run that is not running."""

from dataclasses import dataclass

from temporalio.client import WorkflowExecution

from orchestration.client.connected import Connected
from orchestration.client.history import read_history
from perdure.checkpoint import WorkflowCheckpoint
from perdure.checkpoint.sync import sync_all


@dataclass(frozen=True)
class Losses:
    """The lost results and checkpoints of a run, found while the stores were synchronised."""

    latest: WorkflowCheckpoint | None
    """The newest checkpoint of all stores."""
    checkpoints: int
    """Number of checkpoints that Postgres got back from history or from another store."""
    documents: int
    """Number of finished documents that have lost their result or their row in the manifest."""
    database_is_empty: bool
    """Whether the database has no document of the run."""
    added_sources: tuple[str, ...] = ()
    """Sources that were added to the open run, according to its history."""

    @property
    def sentence(self) -> str:
        """Return a sentence for users about the loss; empty without a loss."""
        if self.latest is None or not self.documents:
            return ""
        finished = _count_finished(self.latest)
        if self.database_is_empty:
            return (
                f"The database knows nothing of this run. Checkpoint {self.latest.sequence} says that {finished} of "
                f"{self.latest.state_data.documents_total} documents had been finished; what came out of them is "
                "gone with the database, so they are processed again."
            )
        return (
            f"The database was set back: {self.documents} of {finished} finished documents have lost their results and "
            f"are processed again, and {self.checkpoints} checkpoints came back."
        )


async def find_losses(connected: Connected, workflow_id: str, execution: WorkflowExecution | None) -> Losses:
    """Synchronise every store with history and the other stores, and compare the manifest.

    Args:
        connected: open connections to Temporal and the stores.
        workflow_id: the run.
        execution: the run's latest execution; None if Temporal does not know the run.

    Raises:
        DependencyUnavailable: a store cannot be reached.
        RefusedWrite: history and the stores contradict each other.
    """
    totals = await connected.stores.manifest.totals(workflow_id)
    history = await read_history(connected.client, workflow_id) if execution else None
    restored = await sync_all(connected.stores.checkpoints, workflow_id, history.checkpoints if history else [])
    latest = await connected.stores.latest(workflow_id)
    finished = _count_finished(latest) if latest else 0
    with_result = totals.processed + totals.quarantined if totals else 0
    return Losses(
        latest,
        checkpoints=restored[0] if restored else 0,
        documents=max(0, finished - with_result),
        database_is_empty=totals is None,
        added_sources=tuple(history.added_sources) if history else (),
    )


def _count_finished(checkpoint: WorkflowCheckpoint) -> int:
    return checkpoint.processed_documents + checkpoint.state_data.documents_quarantined
