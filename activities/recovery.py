"""Recovery of a run whose stores were set back, or that was itself reset in Temporal.

Postgres was restored from an older backup, or lost, while the run continued in Temporal; or the run was reset to an
earlier event. In both cases the run takes a new epoch, which fences all earlier work. The run's history gives the
stores the checkpoints that they lack, and every document without a result is queued again.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import BaseModel
from temporalio import activity

from activities.faults import translate_errors
from activities.manifest import ManifestActivities
from perdure.checkpoint import CheckpointStore, WorkflowCheckpoint
from perdure.checkpoint.sync import sync_all
from perdure.manifest import ManifestTotals


class RecoverRequest(BaseModel):
    """The input of `recover`."""

    workflow_id: str
    claim: str
    """Name of the claim of a new epoch; every attempt of one recovery uses the same name."""
    epoch: int
    """The epoch that the run holds."""
    sources: list[str]
    total: int
    """Documents that the run counts in its manifest. The sources are listed again if the store has fewer."""


class RecoverResult(BaseModel):
    """The run's new epoch, its counts, and the checkpoint that it continues after."""

    epoch: int
    totals: ManifestTotals
    names: list[str] = []
    """Names of the first page of the queue."""
    latest: WorkflowCheckpoint | None = None
    """The newest checkpoint. Every store has this checkpoint after the synchronisation."""
    restored: int = 0
    """Number of checkpoints that the recovery gave back to the leading store."""


class RecordedHistory(Protocol):
    """The parts of Temporal's histories of a workflow id that a recovery reads."""

    @property
    def checkpoints(self) -> Sequence[WorkflowCheckpoint]:
        """Return the recorded checkpoints in the order of their sequence, each once."""
        ...

    @property
    def added_sources(self) -> Sequence[str]:
        """Return the sources that updates added to the open run."""
        ...


@dataclass(frozen=True)
class RecoveryActivities:
    """The activity that recovers a run, with its injected dependencies.

    Attributes:
        manifest: the activities of the manifest, which claim the epoch and queue documents.
        stores: the checkpoint stores, in the order in which they are written.
        read_history: returns the recorded parts of Temporal's histories of a workflow id.
    """

    manifest: ManifestActivities
    stores: Sequence[CheckpointStore]
    read_history: Callable[[str], Awaitable[RecordedHistory]]

    @activity.defn(name="recover")
    async def recover(self, request: RecoverRequest) -> RecoverResult:
        """Claim a new epoch, synchronise the stores, and queue every document without a result.

        A repeated call gives the same result.

        Raises:
            StaleWriter: another run has replaced this one.
        """
        workflow_id = request.workflow_id
        manifest = self.manifest.manifest
        async with translate_errors(lambda: "recovering"):
            epoch = await manifest.claim(workflow_id, request.claim, at_least=request.epoch + 1, replaces=request.epoch)
            history = await self.read_history(workflow_id)
            restored = await sync_all(self.stores, workflow_id, history.checkpoints)
            known = await manifest.totals(workflow_id)
            if known is None or known.total < request.total:
                async for page in self.manifest.pages([*request.sources, *history.added_sources]):
                    await manifest.record(workflow_id, epoch, page)
            await self.manifest.settle_changed(workflow_id, epoch)
            totals = await manifest.enqueue_unfinished(workflow_id, epoch, quarantined=False)
            newest = [await store.latest(workflow_id) for store in self.stores]
            return RecoverResult(
                epoch=epoch,
                totals=totals,
                names=await self.manifest.names_of(workflow_id, epoch, 0, totals.queued),
                latest=max(filter(None, newest), key=lambda checkpoint: checkpoint.sequence, default=None),
                restored=restored[0] if restored else 0,
            )
