"""`next_checkpoint`: the next checkpoint of a run's chain, made from the state of the run."""

from datetime import datetime
from typing import Any

from perdure.checkpoint import (
    CHECKPOINT_VERSION,
    ServiceState,
    StateData,
    WorkflowCheckpoint,
    checkpoint_id,
    seal,
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
    """Return the checkpoint that follows `state.sequence`.

    Its size does not depend on the number of documents.

    Args:
        workflow_id: the workflow id of the chain.
        run_id: the execution that takes the checkpoint.
        event_id: length of the execution's history, in events.
        timestamp: the workflow's time, UTC.
        status: one of `perdure.checkpoint.WorkflowStatus`.
        state: the counters and ranges of the run.
        finished: the ordinals of this epoch that finished since the last checkpoint.
        services: the state of each service in the latest capture.
        pipeline: the input of the execution, which a resumption needs again.
        breaker: the entry `breaker` of the state data; None or empty while the breaker does not pause the run.
    """
    sequence = state.sequence + 1
    # A field that is not given is not written, so that a replay gives the digests of the recorded checkpoints.
    optional: dict[str, Any] = {"recovered": state.recovered} if state.recovered else {}
    if breaker:
        optional |= breaker
    options = pipeline.options.model_copy(update={"concurrency": state.concurrency, "open": not state.closed})
    return seal(
        WorkflowCheckpoint(
            checkpoint_id=checkpoint_id(workflow_id, sequence),
            workflow_id=workflow_id,
            timestamp=timestamp,
            processed_documents=state.processed,
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
                **optional,
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
                # The metadata have the sentence in the first checkpoint after a recovery only. The state data have it
                # in all later checkpoints.
                **({"recovered": state.recovered} if state.recovered_at_sequence == state.sequence else {}),
            },
        )
    )
