"""Chains of sealed checkpoints for tests."""

import uuid
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from perdure.checkpoint import (
    CHECKPOINT_VERSION,
    CheckpointStore,
    ServiceState,
    WorkflowCheckpoint,
    checkpoint_id,
    compute_digest,
    seal,
)

BEGINNING = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def new_workflow_id() -> str:
    """Return an id that no other test has."""
    return f"run-{uuid.uuid4().hex[:12]}"


def make_checkpoint(
    workflow_id: str,
    sequence: int = 1,
    *,
    previous_digest: str = "",
    epoch: int = 1,
    status: str = "in_progress",
    **state: Any,
) -> WorkflowCheckpoint:
    """Return a sealed checkpoint; `state` is added to its state data."""
    time = BEGINNING + timedelta(seconds=sequence)
    return seal(
        WorkflowCheckpoint(
            checkpoint_id=checkpoint_id(workflow_id, sequence),
            workflow_id=workflow_id,
            timestamp=time,
            processed_documents=sequence,
            state_data={
                "workflow_status": status,
                "documents_remaining": 3,
                "current_quality_score": 0.92,
                "watermark": sequence,
                **state,
            },
            service_states={
                "IdentityService": ServiceState(
                    status="healthy",
                    last_check=time,
                    metadata={"processed_entities": 156, "resolution_rate": 0.94, "round_trip_ms": 1.0},
                ),
                "AnalyticsService": ServiceState(
                    status="unhealthy", last_check=time, metadata={"why": "it did not answer in time"}
                ),
            },
            metadata={
                "orchestrator_version": "0.1.0",
                "checkpoint_version": CHECKPOINT_VERSION,
                "sequence": sequence,
                "run_id": "0b9a",
                "event_id": 10 * sequence,
                "epoch": epoch,
                "previous_digest": previous_digest,
            },
        )
    )


def following(checkpoint: WorkflowCheckpoint, **changes: Any) -> WorkflowCheckpoint:
    """Return the checkpoint after this one, of the same epoch unless `changes` has another."""
    return make_checkpoint(
        checkpoint.workflow_id,
        changes.pop("sequence", checkpoint.sequence + 1),
        previous_digest=changes.pop("previous_digest", checkpoint.digest),
        epoch=changes.pop("epoch", checkpoint.epoch),
        **changes,
    )


def make_chain(workflow_id: str, length: int, **state: Any) -> list[WorkflowCheckpoint]:
    """Return the first `length` checkpoints of a workflow id."""
    chain: list[WorkflowCheckpoint] = []
    for _ in range(length):
        chain.append(following(chain[-1], **state) if chain else make_checkpoint(workflow_id, **state))
    return chain


def assert_whole(chain: list[WorkflowCheckpoint]) -> None:
    """Assert that no checkpoint is missing and each digest belongs to its content."""
    for before, after in pairwise(chain):
        assert after.sequence == before.sequence + 1
        assert after.previous_digest == before.digest
    for checkpoint in chain:
        assert compute_digest(checkpoint) == checkpoint.digest


async def append_chain(store: CheckpointStore, chain: list[WorkflowCheckpoint]) -> list[WorkflowCheckpoint]:
    """Append a chain whose checkpoints are all new, and return the chain."""
    for checkpoint in chain:
        assert await store.append(checkpoint) is True
    return chain
