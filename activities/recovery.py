"""Bring a run and its stores together again after one of them was set back.

Postgres was restored from an older backup, or lost, while the run went on in Temporal; or the run itself was reset in
Temporal to an earlier event. Either way the run takes a new epoch, which fences everything that was under way. What
the stores lack of its checkpoints comes back from its own history, and what has no result is queued again.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import BaseModel
from temporalio import activity

from activities.checkpoints import restore_recorded
from activities.faults import translated
from activities.manifest import ManifestActivities
from perdure.checkpoint import CheckpointStore, WorkflowCheckpoint
from perdure.manifest import ManifestTotals


class RecoverRequest(BaseModel):
    workflow_id: str
    claim: str
    """Names the claim of a new epoch: the same for each attempt of this recovery, and no other."""
    epoch: int
    """The one that the run holds."""
    sources: list[str]
    total: int
    """Documents in the manifest, as far as the run knows: found again if the store has fewer."""


class RecoverResult(BaseModel):
    epoch: int
    totals: ManifestTotals
    names: list[str] = []
    latest: WorkflowCheckpoint | None = None
    """The newest checkpoint of all stores, which have the same now."""
    restored: int = 0
    """Checkpoints that the leading store got back."""


class RecordedHistory(Protocol):
    """What Temporal remembers of every run of a workflow id."""

    @property
    def checkpoints(self) -> Sequence[WorkflowCheckpoint]:
        """By sequence, each once."""
        ...

    @property
    def added_sources(self) -> Sequence[str]:
        """Sources added while it was open."""
        ...


@dataclass(frozen=True)
class RecoveryActivities:
    """`read_history` asks Temporal; `stores` in the order in which they are written."""

    manifest: ManifestActivities
    stores: Sequence[CheckpointStore]
    read_history: Callable[[str], Awaitable[RecordedHistory]]

    @activity.defn(name="recover")
    async def recover(self, request: RecoverRequest) -> RecoverResult:
        """Claim a new epoch, mend the stores, queue what has no result; running it again gives the same.

        Raises:
            StaleWriter: another run has replaced this one.
        """
        workflow_id, manifest = request.workflow_id, self.manifest.manifest
        async with translated(lambda: "recovering"):
            epoch = await manifest.claim(workflow_id, request.claim, at_least=request.epoch + 1, replaces=request.epoch)
            history = await self.read_history(workflow_id)
            restored = [
                await restore_recorded(store, self.stores, workflow_id, history.checkpoints) for store in self.stores
            ]
            known = await manifest.totals(workflow_id)
            if known is None or known.total < request.total:
                async for page in self.manifest.pages([*request.sources, *history.added_sources]):
                    await manifest.record(workflow_id, epoch, page)
            await self.manifest.settle_changed(workflow_id, epoch)
            totals = await manifest.enqueue_unfinished(workflow_id, epoch, quarantined=False)
            found = [await store.latest(workflow_id) for store in self.stores]
            return RecoverResult(
                epoch=epoch,
                totals=totals,
                names=await self.manifest.names_of(workflow_id, epoch, 0, totals.queued),
                latest=max((one for one in found if one), key=lambda one: one.sequence, default=None),
                restored=restored[0] if restored else 0,
            )
