"""Bring a run to its end, whatever has become of it.

| What it finds | What it does |
| --- | --- |
| running, a worker alive | follows it |
| running, no worker | starts one, follows it |
| paused | lets it go on, follows it |
| failed, terminated, timed out, cancelled | new run under the same id from the latest checkpoint |
| unknown to Temporal, known to Postgres or the files | new run from the newest checkpoint there is |
| completed | says so, unless the database has lost results since: a new run makes them again |
| an older checkpoint is asked for | goes on from there under a new id: a fork |
| unknown everywhere | `UnknownWorkflow` |

An open run is closed by it unless asked otherwise: to bring a run to its end it must have one.
"""

from collections.abc import Callable
from contextlib import suppress

from temporalio.client import WorkflowExecution

from orchestration.client.fork import fork
from orchestration.client.lost_results import Losses, find_losses
from orchestration.client.run_client import RunClient, resume_point
from orchestration.client.run_status import RunReport, find_execution
from orchestration.services import build_services
from orchestration.worker.slot import live_workers
from perdure.checkpoint import WorkflowCheckpoint
from perdure.errors import WorkflowAlreadyRunning, WorkflowNotRunning
from workflows.messages import ForkOrigin, PipelineInput, PipelineOptions

Say = Callable[[str], None]


async def resume(
    client: RunClient,
    workflow_id: str,
    *,
    checkpoint_id: str | None = None,
    keep_open: bool = False,
    say: Say = lambda _: None,
    on_report: Callable[[RunReport], None] = lambda _: None,
) -> RunReport:
    """Follow or restart the run and return its last report.

    Args:
        client: open.
        workflow_id: which run.
        checkpoint_id: of this run; if it is not the latest, the run is forked from there, and the fork followed.
        keep_open: leave an open run open, and follow it for as long as it is.
        say: told what happens, one sentence at a time.
        on_report: told how the run stands while it is followed.

    Raises:
        UnknownWorkflow: neither Temporal nor a store has heard of it.
        UnknownCheckpoint: `checkpoint_id` is not a checkpoint of this run.
        RefusedCommand: a fork cannot be made of it.
    """
    before = await client.status(workflow_id)
    execution = await find_execution(client.client, workflow_id)
    losses = None if before.running else await find_losses(client, workflow_id, execution)
    checkpoint = losses.latest if losses else await client.align_stores(workflow_id)
    if checkpoint_id and (checkpoint is None or checkpoint.checkpoint_id != checkpoint_id):
        return await _fork(client, workflow_id, checkpoint_id, say, on_report)
    if losses is None:
        await _join(client, workflow_id, say)
    elif losses.sentence:
        say(losses.sentence)
    elif before.workflow_status in ("completed", "completed_with_failures"):
        say(f"The run '{workflow_id}' has ended: {before.workflow_status.replace('_', ' ')}. Nothing is left to do.")
        return before
    if losses:
        how = execution.status.name.lower() if execution and execution.status else "unknown"
        say(f"Temporal says of '{workflow_id}': {how}. A new run goes on under the same id.")
    _say_from_where(before, checkpoint, say, anew=losses is not None and losses.database_is_empty)
    if losses:
        await _start_again(client, workflow_id, execution, losses, keep_open=keep_open, say=say)
    if checkpoint:
        await _compare_services(client, workflow_id, checkpoint, say)
    if before.running:
        await _let_it_end(client, before, keep_open=keep_open, say=say)
    ended = await client.wait(workflow_id, on_report)
    say(f"The run '{workflow_id}' has ended: {ended.workflow_status.replace('_', ' ')}.")
    return ended


def _say_from_where(before: RunReport, checkpoint: WorkflowCheckpoint | None, say: Say, *, anew: bool) -> None:
    if checkpoint:
        say(
            f"Checkpoint loaded: {checkpoint.checkpoint_id}, number {checkpoint.sequence}, of "
            f"{checkpoint.timestamp:%Y-%m-%d %H:%M:%S} UTC, {checkpoint.processed_documents} documents processed."
        )
    else:
        say("No checkpoint of the run is stored yet.")
    say(_where(before, anew=anew))


def _where(before: RunReport, *, anew: bool) -> str:
    documents = before.documents
    done = 0 if anew else documents.processed + documents.quarantined
    if documents.total == 0:
        return "Resuming before the first document was found."
    if done >= documents.total:
        return f"All {documents.total} documents are done: resuming at what follows them."
    return f"Resuming from document {done + 1} of {documents.total}."


async def _join(client: RunClient, workflow_id: str, say: Say) -> None:
    alive = live_workers(client.settings.data_dir)
    if alive:
        say(f"The run '{workflow_id}' is running, and {len(alive)} worker(s) of this data folder are alive.")
    elif await client.ensure_worker():
        say(f"The run '{workflow_id}' is running, but no worker of this data folder is alive: started one.")


async def _let_it_end(client: RunClient, before: RunReport, *, keep_open: bool, say: Say) -> None:
    """Lift what keeps a running run from its end; that it ended in the meantime is as good."""
    with suppress(WorkflowNotRunning):
        if before.workflow_status == "paused":
            await client.unpause(before.workflow_id)
            say("It was paused, and goes on.")
        if not keep_open:
            await client.close_intake(before.workflow_id)


async def _start_again(
    client: RunClient,
    workflow_id: str,
    execution: WorkflowExecution | None,
    losses: Losses,
    *,
    keep_open: bool,
    say: Say,
) -> None:
    pipeline = await _pipeline_to_resume(client, workflow_id, execution, losses.latest, keep_open=keep_open)
    pipeline.recovered = losses.sentence or None
    if losses.documents:  # what was lost may be of sources that were added later
        pipeline.sources = list(dict.fromkeys([*pipeline.sources, *losses.added_sources]))
    try:
        await client.start_workflow(workflow_id, pipeline)
    except WorkflowAlreadyRunning:
        say(f"Somebody else has resumed '{workflow_id}' just now: following that run.")
    if await client.ensure_worker():
        say("No worker was alive: started one.")


async def _fork(
    client: RunClient, workflow_id: str, checkpoint_id: str, say: Say, on_report: Callable[[RunReport], None]
) -> RunReport:
    """Go back to an older checkpoint: under a new id, since a run itself only ever goes on."""
    forked = await fork(client, checkpoint_id, origin=workflow_id, say=say)
    if await client.ensure_worker():
        say("No worker was alive: started one.")
    ended = await client.wait(forked.workflow_id, on_report)
    say(f"The run '{forked.workflow_id}' has ended: {ended.workflow_status.replace('_', ' ')}.")
    return ended


async def _pipeline_to_resume(
    client: RunClient,
    workflow_id: str,
    execution: WorkflowExecution | None,
    checkpoint: WorkflowCheckpoint | None,
    *,
    keep_open: bool,
) -> PipelineInput:
    """The input of the run that goes on: from the checkpoint, else from history, else from the manifest."""
    if checkpoint:
        sources = checkpoint.state_data.sources
        options = PipelineOptions.model_validate(checkpoint.state_data.options)
    elif execution:
        first = await client.original_input(workflow_id, execution.run_id)
        sources, options = first.sources, first.options
    else:
        sources = list(await client.stores.manifest.sources(workflow_id))
        options = PipelineOptions()
    options = options.model_copy(update={"open": options.open and keep_open})
    origin = checkpoint.metadata.get("forked_from") if checkpoint else None
    return PipelineInput(
        sources=sources,
        options=options,
        resume=resume_point(checkpoint),
        forked_from=ForkOrigin.model_validate(origin) if origin else None,
    )


async def _compare_services(client: RunClient, workflow_id: str, checkpoint: WorkflowCheckpoint, say: Say) -> None:
    now = await build_services(client.settings, client.stores.pool).capture(workflow_id)
    for name, then in sorted(checkpoint.service_states.items()):
        state = now.get(name)
        if state is None:
            say(f"Service state restored: {name} was {then.status}; it is not configured any more.")
        elif state.status == then.status:
            say(f"Service state restored: {name} was {then.status}, and is.")
        else:
            because = f": {state.metadata['why']}" if "why" in state.metadata else ""
            say(f"Service state restored: {name} was {then.status}, now it is {state.status}{because}")
