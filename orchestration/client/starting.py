"""Start a run, or start an earlier run again under its workflow id."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import uuid4

from temporalio.common import SearchAttributePair, TypedSearchAttributes, WorkflowIDConflictPolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from orchestration.client.connected import Connected
from orchestration.client.following import read_status
from orchestration.client.reconcile import reconcile_run
from orchestration.client.run_status import RunReport
from orchestration.client.workflow_ids import checked_workflow_id
from orchestration.connection import ensure_search_attributes
from perdure import __version__
from perdure.checkpoint import WorkflowCheckpoint
from perdure.checkpoint.sync import sync
from perdure.documents.discovery import check_source, normalise_source
from perdure.errors import RefusedCommand, WorkflowAlreadyRunning
from workflows.announcements import PIPELINE_STATUS
from workflows.document_pipeline import DocumentPipeline
from workflows.messages import BREAKER_SECONDS, HISTORY_EVENTS, PipelineInput, PipelineOptions, ResumePoint

DEFAULTS = {"breaker_seconds": BREAKER_SECONDS, "history_events": HISTORY_EVENTS}
TASK_TIMEOUT = timedelta(seconds=1)
"""The time that the server waits for a workflow task of a worker that was killed during the task.

A task takes some milliseconds, and a replay of `HISTORY_EVENTS` some hundred milliseconds. The server allows more time
from the third try of a task.
"""


async def start(
    connected: Connected,
    sources: Sequence[str],
    *,
    workflow_id: str | None,
    options: PipelineOptions | None,
    retry_quarantined: bool,
    rediscover: bool,
) -> RunReport:
    """Start a run over sources.

    An earlier run of the same id is brought up to date: its results are kept.

    Args:
        connected: open connections to Temporal and the stores.
        sources: paths or URIs; may be empty only for an open run, or without `rediscover`.
        workflow_id: chosen by the caller; None for a generated id.
        options: options of the run; `DEFAULTS` holds those that are not set.
        retry_quarantined: whether quarantined documents are processed again.
        rediscover: whether the sources are listed again; otherwise the run processes only documents in the manifest.

    Raises:
        RefusedCommand: a source or the id cannot be used, or a run of this id is open.
    """
    options = PipelineOptions.model_validate(DEFAULTS | (options.model_dump(exclude_unset=True) if options else {}))
    workflow_id = f"perdure-{uuid4().hex[:12]}" if workflow_id is None else checked_workflow_id(workflow_id)
    if rediscover:
        for source in sources:
            check_source(source)
    if not (sources or options.open or not rediscover):
        raise RefusedCommand("Name at least one file or folder to process, or start the run open.")
    await reconcile_run(connected.client, connected.stores, workflow_id, connected.settings.task_queue)
    latest = await align_stores(connected, workflow_id)
    pipeline = PipelineInput(
        sources=[normalise_source(source) for source in sources],
        options=options,
        retry_quarantined=retry_quarantined,
        rediscover=rediscover,
        refresh=rediscover,
        resume=resume_point(latest),
    )
    await start_workflow(connected, workflow_id, pipeline)
    return await read_status(connected, workflow_id)


async def start_workflow(connected: Connected, workflow_id: str, pipeline: PipelineInput) -> None:
    """Start the workflow with this input.

    Raises:
        WorkflowAlreadyRunning: a run of this id is open.
    """
    known = pipeline.options.search_attributes and await ensure_search_attributes(connected.client)
    options = pipeline.options.model_copy(update={"search_attributes": known})
    attributes = [SearchAttributePair(PIPELINE_STATUS, "in_progress")] if known else []
    try:
        await connected.client.start_workflow(
            DocumentPipeline.run,
            pipeline.model_copy(update={"options": options, "release": __version__}),
            id=workflow_id,
            task_queue=connected.settings.task_queue,
            task_timeout=TASK_TIMEOUT,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
            static_summary=f"Documents of {_summarise(pipeline.sources)}",
            static_details=_describe(pipeline),
            search_attributes=TypedSearchAttributes(attributes),
        )
    except WorkflowAlreadyStartedError as error:
        raise WorkflowAlreadyRunning(f"A run with the workflow id '{workflow_id}' is already running.") from error


async def align_stores(connected: Connected, workflow_id: str) -> WorkflowCheckpoint | None:
    """Synchronise every store with the other stores, and return the newest checkpoint.

    Raises:
        DependencyUnavailable: a store cannot be reached.
    """
    for store in connected.stores.checkpoints:
        await sync(store, connected.stores.checkpoints, workflow_id)
    return await connected.stores.latest(workflow_id)


def resume_point(checkpoint: WorkflowCheckpoint | None) -> ResumePoint | None:
    """Return the place in the chain after which a new run continues.

    Return None where there is no chain.
    """
    if checkpoint is None:
        return None
    return ResumePoint(
        checkpoint_id=checkpoint.checkpoint_id,
        sequence=checkpoint.sequence,
        digest=checkpoint.digest,
        epoch=checkpoint.epoch,
    )


def _summarise(sources: Sequence[str]) -> str:
    if not sources:
        return "an open run"
    first = sources[0].partition("#")[0].rstrip("/").rsplit("/", 1)[-1]
    return first if len(sources) == 1 else f"{first} and {len(sources) - 1} more"


def _describe(pipeline: PipelineInput) -> str:
    lines = ["Sources:", "", *[f"* `{source}`" for source in pipeline.sources[:20]]]
    if pipeline.resume:
        lines += ["", f"Continues after checkpoint {pipeline.resume.sequence} `{pipeline.resume.checkpoint_id}`."]
    return "\n".join(lines)
