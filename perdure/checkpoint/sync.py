"""Synchronisation: gives a store the later checkpoints of other stores and of history."""

from collections.abc import Sequence

from perdure.checkpoint.model import WorkflowCheckpoint
from perdure.checkpoint.store import CheckpointStore
from perdure.errors import CheckpointGap


async def sync(
    store: CheckpointStore,
    others: Sequence[CheckpointStore],
    workflow_id: str,
    recorded: Sequence[WorkflowCheckpoint] = (),
) -> int:
    """Append to `store` the checkpoints that it lacks at its end; return their number.

    Args:
        store: the store that may lag behind.
        others: the stores to copy from; `store` itself is ignored.
        workflow_id: the run.
        recorded: the checkpoints in Temporal's history, in order. They are tried first.

    Raises:
        CheckpointGap: some source has later checkpoints, but no source has the next checkpoint of the store.
        CheckpointConflict: the sources contradict each other.
    """
    added = 0
    gap: CheckpointGap | None = None
    for source in (recorded, *[await other.list(workflow_id) for other in others if other is not store]):
        latest = await store.latest(workflow_id)
        beyond = [checkpoint for checkpoint in source if latest is None or checkpoint.sequence > latest.sequence]
        try:
            added += await store.restore(beyond)
        except CheckpointGap as error:
            gap = error  # this source begins too late; another source may have the checkpoints before
    if gap and not added:
        raise gap
    return added


async def sync_all(
    stores: Sequence[CheckpointStore], workflow_id: str, recorded: Sequence[WorkflowCheckpoint] = ()
) -> list[int]:
    """Synchronise every store with the others; return the number of checkpoints that each got.

    If no source has the next checkpoint of a store, that store stays unchanged. The caller's next append to that store
    then reports the gap.

    Args:
        stores: the stores, in the order in which checkpoints are written to them.
        workflow_id: the run.
        recorded: the checkpoints in Temporal's history, in order.

    Raises:
        CheckpointConflict: the sources contradict each other.
    """
    added = []
    for store in stores:
        try:
            added.append(await sync(store, stores, workflow_id, recorded))
        except CheckpointGap:
            added.append(0)
    return added
