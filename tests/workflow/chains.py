"""The rules of every chain of checkpoints."""

import itertools

from perdure.checkpoint import WorkflowCheckpoint, checkpoint_id, compute_digest
from tests.workflow.world import World

IN_PROGRESS = {"in_progress", "paused"}


def check_chain(world: World, workflow_id: str, *, status: str, first: int = 1) -> list[WorkflowCheckpoint]:
    """Assert a chain without a gap, and return it.

    Ids are deterministic, digests form the chain, and only the last checkpoint has a final status.
    """
    chain = world.mirror
    assert [checkpoint.sequence for checkpoint in chain] == list(range(first, first + len(chain)))
    assert [checkpoint.checkpoint_id for checkpoint in chain] == [
        checkpoint_id(workflow_id, checkpoint.sequence) for checkpoint in chain
    ]
    assert all(compute_digest(checkpoint) == checkpoint.digest for checkpoint in chain)
    assert all(a.digest == b.previous_digest for a, b in itertools.pairwise(chain))
    assert {checkpoint.workflow_status for checkpoint in chain[:-1]} <= IN_PROGRESS
    assert chain[-1].workflow_status == status
    assert world.closed_as == [status]
    finished = [tuple(span) for checkpoint in chain for span in checkpoint.state_data.finished_since_last]
    ordinals = [ordinal for start, end in finished for ordinal in range(start, end)]
    assert len(ordinals) == len(set(ordinals)), "each document belongs to one checkpoint"
    assert {world.queue[ordinal] for ordinal in ordinals} == set(world.queue) & set(world.done)
    assert chain[-1].processed_documents == sum(status == "processed" for status in world.done.values())
    return chain
