"""Make the next checkpoint of a run's chain out of its state."""

from datetime import datetime
from typing import Any

from perdure.checkpoint import (
    CHECKPOINT_VERSION,
    ServiceState,
    StateData,
    WorkflowCheckpoint,
    checkpoint_id,
    sealed,
)
from workflows.messages import PipelineInput
from workflows.state import PipelineState, Range


def next_checkpoint(
    *,
    workflow_id: str,
    run_id: str,
    event_id: int,
    timestamp: datetime,
    status: str,
    state: PipelineState,
    finished: list[Range],
    services: dict[str, ServiceState],
    pipeline: PipelineInput,
    breaker: dict[str, Any] | None = None,
) -> WorkflowCheckpoint:
    """The checkpoint that follows `state.sequence`; nothing in it grows with the number of documents.

    Args:
        workflow_id: whose chain it belongs to.
        run_id: the Temporal run that takes it.
        event_id: length of that run's history at this moment.
        timestamp: the workflow's own time, UTC.
        status: one of `perdure.checkpoint.WorkflowStatus`.
        state: counters and marks as of now.
        finished: ordinals of this epoch that finished since the last checkpoint.
        services: how each service answered just now.
        pipeline: the run's input, which a resumption needs again.
        breaker: what it adds to the state data: nothing unless it holds the run back.
    """
    sequence = state.sequence + 1
    seldom: dict[str, Any] = {"recovered": state.recovered} if state.recovered else {}
    seldom |= breaker or {}
    options = pipeline.options.model_copy(update={"concurrency": state.concurrency, "open": not state.closed})
    return sealed(
        WorkflowCheckpoint(
            checkpoint_id=checkpoint_id(workflow_id, sequence),
            workflow_id=workflow_id,
            timestamp=timestamp,
            processed_documents=state.processed,
            # A field that is not given is not written, so that a replay gives the digests of the recorded checkpoints.
            state_data=StateData(
                workflow_status=status,
                documents_total=state.total,
                documents_remaining=state.remaining,
                documents_quarantined=state.quarantined,
                documents_cancelled=state.cancelled,
                current_quality_score=state.quality_score,
                watermark=state.watermark,
                beyond_watermark=[list(item) for item in state.beyond],
                finished_since_last=[list(item) for item in finished],
                sources=pipeline.sources,
                options=options.model_dump(mode="json", exclude_unset=True),
                **seldom,
            ),
            service_states=services,
            metadata={
                "orchestrator_version": pipeline.release,
                "checkpoint_version": CHECKPOINT_VERSION,
                "sequence": sequence,
                "run_id": run_id,
                "event_id": event_id,
                "epoch": state.epoch,
                "previous_digest": state.digest,
                **({"forked_from": pipeline.forked_from.model_dump()} if pipeline.forked_from else {}),
                # The first checkpoint after it marks the moment; the sentence itself stays in view.
                **({"recovered": state.recovered} if state.recovered_at_sequence == state.sequence else {}),
            },
        )
    )
