"""What a run that is not running has lost: results and checkpoints that were there, and are not there any more."""

from dataclasses import dataclass

from temporalio.client import WorkflowExecution

from activities.checkpoints import restore_recorded
from orchestration.client.history import read_history
from orchestration.client.run_client import RunClient
from perdure.checkpoint import WorkflowCheckpoint


@dataclass(frozen=True)
class Losses:
    """`latest` is the newest checkpoint of all stores, which have the same again."""

    latest: WorkflowCheckpoint | None
    checkpoints: int
    """That came back from history, or from the files."""
    documents: int
    """That were finished, and have no result now, or are not in the manifest any more."""
    database_is_empty: bool
    """It knows nothing of the run."""
    added_sources: tuple[str, ...] = ()
    """Sources that history says were added to the run."""

    @property
    def sentence(self) -> str:
        """What was lost, for people; empty if nothing was."""
        if self.latest is None or not self.documents:
            return ""
        then = self.latest.processed_documents + self.latest.state_data.documents_quarantined
        if self.database_is_empty:
            return (
                f"The database knows nothing of this run. Checkpoint {self.latest.sequence} says that {then} of "
                f"{self.latest.state_data.documents_total} documents had been finished; what came out of them is "
                "gone with the database, so they are processed again."
            )
        return (
            f"The database was set back: {self.documents} of {then} finished documents have lost their results and are "
            f"processed again, and {self.checkpoints} checkpoints came back."
        )


async def find_losses(client: RunClient, workflow_id: str, execution: WorkflowExecution | None) -> Losses:
    """Give every store the checkpoints that history or another one has, and compare them with the manifest.

    Raises:
        DependencyUnavailable: a store cannot be reached.
        RefusedWrite: history and the stores contradict each other.
    """
    totals = await client.stores.manifest.totals(workflow_id)
    history = await read_history(client.client, workflow_id) if execution else None
    stores = client.stores.checkpoints
    recorded = history.checkpoints if history else []
    restored = [await restore_recorded(store, stores, workflow_id, recorded) for store in stores]
    latest = await client.stores.latest(workflow_id)
    then = latest.processed_documents + latest.state_data.documents_quarantined if latest else 0
    now = totals.processed + totals.quarantined if totals else 0
    return Losses(
        latest,
        checkpoints=restored[0] if restored else 0,
        documents=max(0, then - now),
        database_is_empty=totals is None,
        added_sources=tuple(history.added_sources) if history else (),
    )
