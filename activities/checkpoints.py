"""Mirror a checkpoint from the workflow's history to every configured store."""

from collections.abc import Sequence
from dataclasses import dataclass

from temporalio import activity

from activities.faults import translate_errors
from perdure.checkpoint import CheckpointStore, WorkflowCheckpoint
from perdure.errors import CheckpointGap


@dataclass(frozen=True)
class CheckpointActivities:
    """`stores` in the order in which they are written: the one that the others may lag behind comes first."""

    stores: Sequence[CheckpointStore]

    @activity.defn(name="mirror_checkpoint")
    async def mirror_checkpoint(self, checkpoint: WorkflowCheckpoint) -> None:
        """Write it to each store; doing it again changes nothing.

        A store that was set back from outside, such as by restoring an older copy, gets the rest from the others. Not
        the leading one: documents went with its checkpoints, and the run must hear of it.
        """
        async with translate_errors():
            for store in self.stores:
                try:
                    await store.append(checkpoint)
                except CheckpointGap:
                    if store is self.stores[0]:
                        raise
                    await bring_up_to_date(store, self.stores, checkpoint.workflow_id)
                    await store.append(checkpoint)


async def restore_recorded(
    store: CheckpointStore,
    others: Sequence[CheckpointStore],
    workflow_id: str,
    recorded: Sequence[WorkflowCheckpoint],
) -> int:
    """Append to `store` what history, or else another store, has beyond its latest checkpoint; returns how many.

    Raises:
        CheckpointConflict: they contradict each other.
    """
    added = 0
    for source in (recorded, *[await other.list(workflow_id) for other in others if other is not store]):
        latest = await store.latest(workflow_id)
        beyond = [one for one in source if latest is None or one.sequence > latest.sequence]
        try:
            added += await store.restore(beyond)
        except CheckpointGap:
            continue  # too young to join on; another may know what is between
    return added


async def bring_up_to_date(store: CheckpointStore, others: Sequence[CheckpointStore], workflow_id: str) -> int:
    """Append to `store` what the other stores hold beyond its latest checkpoint; returns how many.

    Raises:
        RefusedWrite: the stores contradict each other.
    """
    copied = 0
    for other in others:
        if other is store:
            continue
        latest = await store.latest(workflow_id)
        known = latest.sequence if latest else 0
        copied += await store.restore([one for one in await other.list(workflow_id) if one.sequence > known])
    return copied
