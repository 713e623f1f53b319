"""Brings a run in any state to its end.

| state of the run | what happens |
| --- | --- |
| running, a worker is alive | the run is followed |
| running, no worker is alive | a worker is started, and the run followed |
| paused | the run is continued and followed |
| failed, terminated, timed out, cancelled | a new run starts under the same id from the latest checkpoint |
| unknown to Temporal, known to a store | a new run starts from the newest checkpoint of all stores |
| completed | nothing; if the database has lost results since, a new run makes them again |
| any, and an older checkpoint is named | a fork starts from that checkpoint under a new id |
| unknown to Temporal and to every store | `UnknownWorkflow` is raised |

An open run is closed unless the caller keeps it open, because an open run has no end.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from temporalio.client import WorkflowExecution

from orchestration.client.connected import Connected
from orchestration.client.following import FOLLOW_EVERY_SECONDS, read_original_input, read_status, wait
from orchestration.client.fork import fork
from orchestration.client.lost_results import Losses, find_losses
from orchestration.client.run_status import RunReport, find_execution
from orchestration.client.starting import align_stores, resume_point, start_workflow
from orchestration.client.updates import NoWorkerAnswered, send_update
from orchestration.services import build_services
from orchestration.worker.slot import live_workers
from perdure.checkpoint import WorkflowCheckpoint
from perdure.errors import WorkflowAlreadyRunning, WorkflowNotRunning
from workflows.document_pipeline import DocumentPipeline
from workflows.messages import ForkOrigin, PipelineInput, PipelineOptions, Progress

Say = Callable[[str], None]
ANSWERED_WITHIN_SECONDS = 120.0
"""Longer than the grace period of a stopping worker plus the start of the next worker."""


async def resume(
    connected: Connected,
    workflow_id: str,
    *,
    checkpoint_id: str | None = None,
    keep_open: bool = False,
    say: Say = lambda _: None,
    on_report: Callable[[RunReport], None] = lambda _: None,
) -> RunReport:
    """Follow or restart the run and return its last report.

    Args:
        connected: open connections to Temporal and the stores.
        workflow_id: workflow id of the run.
        checkpoint_id: a checkpoint of this run. If a later checkpoint exists, the run is forked from this checkpoint,
            and the client follows the fork.
        keep_open: whether an open run stays open. If not, the client closes the run.
        say: called with one sentence for each event.
        on_report: called with each report while the client follows the run.

    Raises:
        UnknownWorkflow: neither Temporal nor a store knows the run.
        UnknownCheckpoint: `checkpoint_id` is not a checkpoint of this run.
        RefusedCommand: the checkpoint cannot be forked.
    """
    before = await read_status(connected, workflow_id)
    execution = await find_execution(connected.client, workflow_id)
    losses = None if before.running else await find_losses(connected, workflow_id, execution)
    checkpoint = losses.latest if losses else await align_stores(connected, workflow_id)
    if checkpoint_id and (checkpoint is None or checkpoint.checkpoint_id != checkpoint_id):
        return await _fork(connected, workflow_id, checkpoint_id, say, on_report)
    if losses is None:
        await _join(connected, workflow_id, say)
    elif losses.sentence:
        say(losses.sentence)
    elif before.workflow_status in ("completed", "completed_with_failures"):
        say(f"The run '{workflow_id}' has ended: {before.workflow_status.replace('_', ' ')}. Nothing is left to do.")
        return before
    if losses:
        how = execution.status.name.lower() if execution and execution.status else "unknown"
        say(f"Temporal reports '{workflow_id}' as {how}. A new run continues under the same id.")
    _report_start(before, checkpoint, say, from_beginning=losses is not None and losses.database_is_empty)
    if losses:
        await _start_again(connected, workflow_id, execution, losses, keep_open=keep_open, say=say)
    if checkpoint:
        await _compare_services(connected, workflow_id, checkpoint, say)
    if before.running:
        await _let_it_end(connected, before, keep_open=keep_open, say=say)
    ended = await wait(connected, workflow_id, on_report)
    say(f"The run '{workflow_id}' has ended: {ended.workflow_status.replace('_', ' ')}.")
    return ended


def _report_start(before: RunReport, checkpoint: WorkflowCheckpoint | None, say: Say, *, from_beginning: bool) -> None:
    if checkpoint:
        say(
            f"Checkpoint loaded: {checkpoint.checkpoint_id}, number {checkpoint.sequence}, of "
            f"{checkpoint.timestamp:%Y-%m-%d %H:%M:%S} UTC, {checkpoint.processed_documents} documents processed."
        )
    else:
        say("No checkpoint of the run is stored yet.")
    say(_describe_start(before, from_beginning=from_beginning))


def _describe_start(before: RunReport, *, from_beginning: bool) -> str:
    documents = before.documents
    finished = 0 if from_beginning else documents.processed + documents.quarantined
    if documents.total == 0:
        return "Resuming before the sources were listed."
    if finished >= documents.total:
        return f"All {documents.total} documents are finished: resuming at the steps after the documents."
    return f"Resuming from document {finished + 1} of {documents.total}."


async def _join(connected: Connected, workflow_id: str, say: Say) -> None:
    alive = live_workers(connected.settings.data_dir)
    if alive:
        say(f"The run '{workflow_id}' is running, and {len(alive)} worker(s) of this data folder are alive.")
    elif await connected.worker.ensure():
        say(f"The run '{workflow_id}' is running, but no worker of this data folder is alive: started a worker.")


async def _let_it_end(connected: Connected, before: RunReport, *, keep_open: bool, say: Say) -> None:
    """Continue a paused run and close an open run.

    The function does nothing if the run has ended in the meantime.
    """
    with suppress(WorkflowNotRunning):
        if before.workflow_status == "paused":
            await _send_until_answered(connected, before.workflow_id, DocumentPipeline.unpause)
            say("The run was paused, and continues.")
        if not keep_open:
            await _send_until_answered(connected, before.workflow_id, DocumentPipeline.close)


async def _send_until_answered(connected: Connected, workflow_id: str, update: Any) -> None:
    """Send an update again until a worker answers it.

    A worker that was alive a moment ago may be stopping: a stopping worker holds its slot for its grace period, but
    answers no updates. A new worker starts as soon as the slot is free.

    Raises:
        NoWorkerAnswered: no worker answered for `ANSWERED_WITHIN_SECONDS`.
        WorkflowNotRunning: the run has ended.
    """
    deadline = time.monotonic() + ANSWERED_WITHIN_SECONDS
    while True:
        try:
            await send_update(connected, workflow_id, Progress, update)
        except NoWorkerAnswered:
            if time.monotonic() > deadline:
                raise
            await connected.worker.ensure()
            await asyncio.sleep(FOLLOW_EVERY_SECONDS)
        else:
            return


async def _start_again(
    connected: Connected,
    workflow_id: str,
    execution: WorkflowExecution | None,
    losses: Losses,
    *,
    keep_open: bool,
    say: Say,
) -> None:
    pipeline = await _make_pipeline_input(connected, workflow_id, execution, losses.latest, keep_open=keep_open)
    pipeline.recovered = losses.sentence or None
    if losses.documents:  # the lost results may belong to sources that were added later
        pipeline.sources = list(dict.fromkeys([*pipeline.sources, *losses.added_sources]))
    try:
        await start_workflow(connected, workflow_id, pipeline)
    except WorkflowAlreadyRunning:
        say(f"Another process has just resumed '{workflow_id}': following that run.")
    if await connected.worker.ensure():
        say("No worker was alive: started a worker.")


async def _fork(
    connected: Connected, workflow_id: str, checkpoint_id: str, say: Say, on_report: Callable[[RunReport], None]
) -> RunReport:
    """Start a fork from an older checkpoint and follow the fork, because a run cannot go back."""
    forked = await fork(connected, checkpoint_id, origin=workflow_id, say=say)
    if await connected.worker.ensure():
        say("No worker was alive: started a worker.")
    ended = await wait(connected, forked.workflow_id, on_report)
    say(f"The run '{forked.workflow_id}' has ended: {ended.workflow_status.replace('_', ' ')}.")
    return ended


async def _make_pipeline_input(
    connected: Connected,
    workflow_id: str,
    execution: WorkflowExecution | None,
    checkpoint: WorkflowCheckpoint | None,
    *,
    keep_open: bool,
) -> PipelineInput:
    """Return the input of the new run.

    The input comes from the checkpoint, else from history, else from the manifest.
    """
    if checkpoint:
        sources = checkpoint.state_data.sources
        options = PipelineOptions.model_validate(checkpoint.state_data.options)
    elif execution:
        first = await read_original_input(connected, workflow_id, execution.run_id)
        sources = first.sources
        options = first.options
    else:
        sources = list(await connected.stores.manifest.sources(workflow_id))
        options = PipelineOptions()
    options = options.model_copy(update={"open": options.open and keep_open})
    origin = checkpoint.metadata.get("forked_from") if checkpoint else None
    return PipelineInput(
        sources=sources,
        options=options,
        resume=resume_point(checkpoint),
        forked_from=ForkOrigin.model_validate(origin) if origin else None,
    )


async def _compare_services(connected: Connected, workflow_id: str, checkpoint: WorkflowCheckpoint, say: Say) -> None:
    current = await build_services(connected.settings, connected.stores.pool).capture(workflow_id)
    for name, recorded in sorted(checkpoint.service_states.items()):
        state = current.get(name)
        if state is None:
            say(f"Service state restored: {name} was {recorded.status}; it is not configured any more.")
        elif state.status == recorded.status:
            say(f"Service state restored: {name} was {recorded.status}, and still is.")
        else:
            because = f": {state.metadata['why']}" if "why" in state.metadata else ""
            say(f"Service state restored: {name} was {recorded.status}, now it is {state.status}{because}")
