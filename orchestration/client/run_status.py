"""The state of a run, combined from Temporal and the stores.

The state is known without a live worker.
"""

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
    """The state of a run: the JSON of `run`, `start`, `status`, `watch`, `list` and `resume`."""

    workflow_id: str
    run_id: str | None
    workflow_status: str
    documents: DocumentCounts
    quality_score: float
    latest_checkpoint: CheckpointMark | None
    web_ui: str | None
    waiting: bool = Field(default=False, exclude=True)
    """Whether the run waits for an unavailable dependency."""
    running: bool = Field(default=False, exclude=True)
    """Whether the run is open in Temporal."""
    recovered: str | None = Field(default=None, exclude=True)
    """The results that the run had lost and processed again, one sentence; None if it lost none."""
    held_back_by: str | None = Field(default=None, exclude=True)
    """The unhealthy services for which the run has paused itself, one sentence; None if it has not."""
    started_at: datetime | None = Field(default=None, exclude=True)
    """The time at which the first execution of the continue-as-new chain started."""

    @property
    def status(self) -> str:
        """Return `workflow_status`."""
        return self.workflow_status


async def find_execution(client: Client, workflow_id: str) -> WorkflowExecution | None:
    """Return the latest execution of a workflow id; None if Temporal knows none."""
    try:
        return await client.get_workflow_handle(workflow_id).describe()
    except RPCError as error:
        if error.status in (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT):
            return None
        raise


async def read_report(settings: Settings, client: Client, stores: Stores, workflow_id: str) -> RunReport:
    """Return the present state of a run.

    Raises:
        UnknownWorkflow: neither Temporal nor a store knows the run.
        DependencyUnavailable: a store cannot be reached, and Temporal and the other stores do not know the run.
    """
    execution = await find_execution(client, workflow_id)
    totals, checkpoint, failure = await _read_stored(stores, workflow_id)
    if execution is None and totals is None and checkpoint is None:
        if failure:
            raise failure
        raise UnknownWorkflow(
            f"No run with the workflow id '{workflow_id}' is known to Temporal or to a checkpoint store."
        )
    started_at = await first_start(client, execution) if execution else None
    return combine(settings, workflow_id, execution, totals, checkpoint, started_at)


async def _read_stored(
    stores: Stores, workflow_id: str
) -> tuple[ManifestTotals | None, WorkflowCheckpoint | None, DependencyUnavailable | None]:
    totals = None
    failure = None
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
    """Return the report.

    Counts come from Postgres, else from the checkpoint, else from the search attributes.

    Args:
        settings: give the address of the Web UI.
        workflow_id: workflow id of the run.
        execution: latest execution of the run; None if Temporal knows none.
        totals: counts in Postgres; None if Postgres does not know the run or is unavailable.
        checkpoint: newest stored checkpoint of the run; None if there is none.
        started_at: start of the run's first execution; None if it is unknown.
    """
    attributes = execution.typed_search_attributes if execution else None
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
        total = (attributes.get(DOCUMENTS_TOTAL) if attributes else None) or 0
        processed = (attributes.get(DOCUMENTS_PROCESSED) if attributes else None) or 0
        failed = (attributes.get(DOCUMENTS_FAILED) if attributes else None) or 0
        documents = DocumentCounts(
            total=total, processed=processed, quarantined=failed, remaining=total - processed - failed
        )
        quality = (attributes.get(QUALITY_SCORE) if attributes else None) or 0.0
    announced = attributes.get(PIPELINE_STATUS) if attributes else None
    return RunReport(
        workflow_id=workflow_id,
        run_id=execution.run_id if execution else (checkpoint.metadata.get("run_id") if checkpoint else None),
        workflow_status=_choose_status(execution, announced, checkpoint),
        documents=documents,
        quality_score=quality,
        latest_checkpoint=_make_mark(checkpoint),
        web_ui=ui_link(settings, workflow_id) if execution else None,
        waiting=announced == "waiting",
        running=execution is not None and execution.status == WorkflowExecutionStatus.RUNNING,
        recovered=checkpoint.state_data.recovered if checkpoint else None,
        held_back_by=_describe_breaker(checkpoint) if checkpoint else None,
        started_at=started_at,
    )


def _choose_status(
    execution: WorkflowExecution | None, announced: str | None, checkpoint: WorkflowCheckpoint | None
) -> str:
    recorded = checkpoint.workflow_status if checkpoint else None
    if execution is None:
        return recorded or "in_progress"
    if execution.status == WorkflowExecutionStatus.RUNNING:
        return "paused" if announced == "paused" else "in_progress"
    if execution.status in ENDED_IN_TEMPORAL:
        return ENDED_IN_TEMPORAL[execution.status]
    ended = recorded if recorded in TERMINAL_STATUSES else announced
    return ended if ended in TERMINAL_STATUSES else "completed"


def _describe_breaker(checkpoint: WorkflowCheckpoint) -> str | None:
    breaker = checkpoint.state_data.breaker
    if not breaker:
        return None
    services = [
        f"{name} has been unhealthy since {service.since[:19].replace('T', ' ')} UTC"
        + (f" ({service.why})" if service.why else "")
        for name, service in breaker.services.items()
    ]
    return f"{' and '.join(services)}; the run continues by itself when all services are healthy."


def _make_mark(checkpoint: WorkflowCheckpoint | None) -> CheckpointMark | None:
    if checkpoint is None:
        return None
    return CheckpointMark(
        checkpoint_id=checkpoint.checkpoint_id,
        sequence=checkpoint.sequence,
        timestamp=checkpoint.timestamp,
        processed_documents=checkpoint.processed_documents,
    )
