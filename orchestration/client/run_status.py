"""How a run stands, put together from what Temporal and the stores say; no worker need be alive for it."""

from datetime import datetime

from pydantic import BaseModel, Field
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from orchestration.client.known_runs import first_start
from orchestration.connection import ui_link
from orchestration.settings import Settings
from orchestration.stores import Stores
from perdure.checkpoint import TERMINAL_STATUSES, WorkflowCheckpoint
from perdure.errors import DependencyUnavailable, UnknownWorkflow
from perdure.manifest import ManifestTotals
from workflows.announcements import (
    DOCUMENTS_FAILED,
    DOCUMENTS_PROCESSED,
    DOCUMENTS_TOTAL,
    PIPELINE_STATUS,
    QUALITY_SCORE,
)
from workflows.messages import CheckpointMark, DocumentCounts

ENDED_IN_TEMPORAL = {
    WorkflowExecutionStatus.FAILED: "failed",
    WorkflowExecutionStatus.TERMINATED: "failed",
    WorkflowExecutionStatus.TIMED_OUT: "failed",
    WorkflowExecutionStatus.CANCELED: "cancelled",
}


class RunReport(BaseModel):
    """The JSON form of `run`, `start`, `status`, `watch`, `list` and `resume_workflow.py`."""

    workflow_id: str
    run_id: str | None
    workflow_status: str
    documents: DocumentCounts
    quality_score: float
    latest_checkpoint: CheckpointMark | None
    web_ui: str | None
    waiting: bool = Field(default=False, exclude=True)
    """The run waits for something that is away."""
    running: bool = Field(default=False, exclude=True)
    """Temporal has it open."""
    recovered: str | None = Field(default=None, exclude=True)
    """What the run lost and brought back, one sentence."""
    held_back_by: str | None = Field(default=None, exclude=True)
    """Which services pause the run by themselves, and why, one sentence; None if none does."""
    started_at: datetime | None = Field(default=None, exclude=True)
    """When the first execution of the continue-as-new chain started."""

    @property
    def status(self) -> str:
        """The same as `workflow_status`."""
        return self.workflow_status


async def find_execution(client: Client, workflow_id: str) -> WorkflowExecution | None:
    """What Temporal knows of the latest run of this workflow id; None if nothing."""
    try:
        return await client.get_workflow_handle(workflow_id).describe()
    except RPCError as error:
        if error.status in (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT):
            return None
        raise


async def read_report(settings: Settings, client: Client, stores: Stores, workflow_id: str) -> RunReport:
    """How this run stands now.

    Raises:
        UnknownWorkflow: neither Temporal nor a store has heard of it.
        DependencyUnavailable: who can be asked has not heard of it, and a store cannot be asked.
    """
    execution = await find_execution(client, workflow_id)
    totals, checkpoint, failure = await _stored(stores, workflow_id)
    if execution is None and totals is None and checkpoint is None:
        if failure:
            raise failure
        raise UnknownWorkflow(
            f"No run with the workflow id '{workflow_id}' is known to Temporal, Postgres or the files."
        )
    started_at = await first_start(client, execution) if execution else None
    return combine(settings, workflow_id, execution, totals, checkpoint, started_at)


async def _stored(
    stores: Stores, workflow_id: str
) -> tuple[ManifestTotals | None, WorkflowCheckpoint | None, DependencyUnavailable | None]:
    totals, failure = None, None
    try:
        totals = await stores.manifest.totals(workflow_id)
    except DependencyUnavailable as error:
        failure = error
    try:
        return totals, await stores.latest(workflow_id), failure
    except DependencyUnavailable as error:
        return totals, None, error


def combine(
    settings: Settings,
    workflow_id: str,
    execution: WorkflowExecution | None,
    totals: ManifestTotals | None,
    checkpoint: WorkflowCheckpoint | None,
    started_at: datetime | None = None,
) -> RunReport:
    """One report out of the three sources: Postgres counts best, then the checkpoint, then the search attributes."""
    shown = execution.typed_search_attributes if execution else None
    if totals:
        documents = DocumentCounts(
            total=totals.total,
            processed=totals.processed,
            quarantined=totals.quarantined,
            remaining=totals.pending + totals.cancelled,
        )
        quality = round(totals.quality_sum / totals.processed, 3) if totals.processed else 0.0
    elif checkpoint:
        data = checkpoint.state_data
        documents = DocumentCounts(
            total=data.documents_total,
            processed=checkpoint.processed_documents,
            quarantined=data.documents_quarantined,
            remaining=data.documents_remaining,
        )
        quality = data.current_quality_score
    else:
        total = (shown.get(DOCUMENTS_TOTAL) if shown else None) or 0
        processed = (shown.get(DOCUMENTS_PROCESSED) if shown else None) or 0
        failed = (shown.get(DOCUMENTS_FAILED) if shown else None) or 0
        documents = DocumentCounts(
            total=total, processed=processed, quarantined=failed, remaining=total - processed - failed
        )
        quality = (shown.get(QUALITY_SCORE) if shown else None) or 0.0
    announced = shown.get(PIPELINE_STATUS) if shown else None
    return RunReport(
        workflow_id=workflow_id,
        run_id=execution.run_id if execution else (checkpoint.metadata.get("run_id") if checkpoint else None),
        workflow_status=_status(execution, announced, checkpoint),
        documents=documents,
        quality_score=quality,
        latest_checkpoint=_mark(checkpoint),
        web_ui=ui_link(settings, workflow_id) if execution else None,
        waiting=announced == "waiting",
        running=execution is not None and execution.status == WorkflowExecutionStatus.RUNNING,
        recovered=checkpoint.state_data.recovered if checkpoint else None,
        held_back_by=_held_back_by(checkpoint) if checkpoint else None,
        started_at=started_at,
    )


def _status(execution: WorkflowExecution | None, announced: str | None, checkpoint: WorkflowCheckpoint | None) -> str:
    mirrored = checkpoint.workflow_status if checkpoint else None
    if execution is None:
        return mirrored or "in_progress"
    if execution.status == WorkflowExecutionStatus.RUNNING:
        return "paused" if announced == "paused" else "in_progress"
    if execution.status in ENDED_IN_TEMPORAL:
        return ENDED_IN_TEMPORAL[execution.status]
    ended = mirrored if mirrored in TERMINAL_STATUSES else announced
    return ended if ended in TERMINAL_STATUSES else "completed"


def _held_back_by(checkpoint: WorkflowCheckpoint) -> str | None:
    breaker = checkpoint.state_data.breaker
    if not breaker:
        return None
    services = [
        f"{name} has been unhealthy since {service.since[:19].replace('T', ' ')} UTC"
        + (f" ({service.why})" if service.why else "")
        for name, service in breaker.services.items()
    ]
    return f"{' and '.join(services)}; the run goes on by itself when that is over."


def _mark(checkpoint: WorkflowCheckpoint | None) -> CheckpointMark | None:
    if checkpoint is None:
        return None
    return CheckpointMark(
        checkpoint_id=checkpoint.checkpoint_id,
        sequence=checkpoint.sequence,
        timestamp=checkpoint.timestamp,
        processed_documents=checkpoint.processed_documents,
    )
