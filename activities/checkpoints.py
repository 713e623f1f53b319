"""The activity `mirror_checkpoint`, which writes a checkpoint to every configured store."""

from collections.abc import Sequence
from dataclasses import dataclass

from temporalio import activity

from activities.faults import translate_errors
from perdure.checkpoint import CheckpointStore, WorkflowCheckpoint
from perdure.checkpoint.sync import sync
from perdure.errors import CheckpointGap


@dataclass(frozen=True)
class CheckpointActivities:
    """Mirrors checkpoints to `stores`, in the order of `stores`.

    The leader is the first store. The followers may lag behind the leader.
    """

    stores: Sequence[CheckpointStore]

    @activity.defn(name="mirror_checkpoint")
    async def mirror_checkpoint(self, checkpoint: WorkflowCheckpoint) -> None:
        """Append the checkpoint to each store; a repeated call changes nothing.

        A follower that lacks earlier checkpoints, such as one restored from an older copy, gets them from the other
        stores.

        Raises:
            CheckpointGap: the leader lacks earlier checkpoints. The documents' results stand beside its checkpoints
                and were lost with them, so the run has to recover.
        """
        leader, *followers = self.stores
        async with translate_errors():
            await leader.append(checkpoint)
            for store in followers:
                try:
                    await store.append(checkpoint)
                except CheckpointGap:
                    await sync(store, self.stores, checkpoint.workflow_id)
                    await store.append(checkpoint)
