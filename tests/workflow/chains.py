"""What every chain of checkpoints must be, however its run went."""

import itertools

from perdure.checkpoint import WorkflowCheckpoint, checkpoint_id, compute_digest
from tests.workflow.world import World

IN_PROGRESS = {"in_progress", "paused"}


def check_chain(world: World, workflow_id: str, *, status: str, first: int = 1) -> list[WorkflowCheckpoint]:
    """No gap, deterministic ids, digests that chain, and exactly one end, which is the last."""
    chain = world.mirror
    assert [one.sequence for one in chain] == list(range(first, first + len(chain)))
    assert [one.checkpoint_id for one in chain] == [checkpoint_id(workflow_id, one.sequence) for one in chain]
    assert all(compute_digest(one) == one.digest for one in chain)
    assert all(a.digest == b.previous_digest for a, b in itertools.pairwise(chain))
    assert {one.workflow_status for one in chain[:-1]} <= IN_PROGRESS
    assert chain[-1].workflow_status == status
    assert world.closed_as == [status]
    finished = [tuple(one) for checkpoint in chain for one in checkpoint.state_data.finished_since_last]
    ordinals = [ordinal for start, end in finished for ordinal in range(start, end)]
    assert len(ordinals) == len(set(ordinals)), "a document belongs to one checkpoint"
    assert {world.queue[ordinal] for ordinal in ordinals} == set(world.queue) & set(world.done)
    assert chain[-1].processed_documents == sum(one == "processed" for one in world.done.values())
    return chain
