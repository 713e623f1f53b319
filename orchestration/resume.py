"""Bring a run to its end, whatever has become of it.

| What it finds | What it does |
| --- | --- |
| running, a worker alive | follows it |
| running, no worker | starts one, follows it |
| paused | lets it go on, follows it |
| failed, terminated, timed out, cancelled | new run under the same id from the latest checkpoint |
| unknown to Temporal, known to Postgres or the files | new run from the newest checkpoint there is |
| completed | says so |
| unknown everywhere | `UnknownWorkflow` |

An open run is closed by it unless asked otherwise: to bring a run to its end it must have one.
"""

from collections.abc import Callable
from contextlib import suppress

from temporalio.client import WorkflowExecution

from orchestration.reports import RunReport, find_execution
from orchestration.run_client import RunClient, resume_point
from orchestration.services import build_services
from orchestration.worker_slot import live_workers
from perdure.checkpoint import WorkflowCheckpoint
from perdure.errors import RefusedCommand, UnknownCheckpoint, WorkflowNotRunning
from workflows.messages import PipelineInput, PipelineOptions

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
        checkpoint_id: must be the run's latest checkpoint, if given.
        keep_open: leave an open run open, and follow it for as long as it is.
        say: told what happens, one sentence at a time.
        on_report: told how the run stands while it is followed.

    Raises:
        UnknownWorkflow: neither Temporal nor a store has heard of it.
        UnknownCheckpoint: `checkpoint_id` is not a checkpoint of this run.
        RefusedCommand: `checkpoint_id` is not its latest.
    """
    before = await client.status(workflow_id)
    execution = await find_execution(client.client, workflow_id)
    checkpoint = await _chosen_checkpoint(client, workflow_id, checkpoint_id)
    if not before.running and before.workflow_status in ("completed", "completed_with_failures"):
        say(f"The run '{workflow_id}' has ended: {before.workflow_status.replace('_', ' ')}. Nothing is left to do.")
        return before
    if before.running:
        await _join(client, workflow_id, say)
    else:
        how = execution.status.name.lower() if execution and execution.status else "unknown"
        say(f"Temporal says of '{workflow_id}': {how}. A new run goes on under the same id.")
    if checkpoint:
        say(
            f"Checkpoint loaded: {checkpoint.checkpoint_id}, number {checkpoint.sequence}, of "
            f"{checkpoint.timestamp:%Y-%m-%d %H:%M:%S} UTC, {checkpoint.processed_documents} documents processed."
        )
    else:
        say("No checkpoint had been written yet: the run begins at its first document.")
    say(_where(before))
    if not before.running:
        pipeline = await _pipeline_to_resume(client, workflow_id, execution, checkpoint, keep_open=keep_open)
        await client.start_workflow(workflow_id, pipeline)
        if await client.ensure_worker():
            say("No worker was alive: started one.")
    if checkpoint:
        await _compare_services(client, workflow_id, checkpoint, say)
    if before.workflow_status == "paused":
        with suppress(WorkflowNotRunning):
            await client.unpause(workflow_id)
            say("It was paused, and goes on.")
    if before.running and not keep_open:
        with suppress(WorkflowNotRunning):  # it ended in the meantime, which is as good
            await client.close_intake(workflow_id)
    ended = await client.wait(workflow_id, on_report)
    say(f"The run '{workflow_id}' has ended: {ended.workflow_status.replace('_', ' ')}.")
    return ended


def _where(before: RunReport) -> str:
    documents = before.documents
    done = documents.processed + documents.quarantined
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


async def _chosen_checkpoint(
    client: RunClient, workflow_id: str, checkpoint_id: str | None
) -> WorkflowCheckpoint | None:
    latest = await client.align_stores(workflow_id)
    if checkpoint_id is None or (latest and latest.checkpoint_id == checkpoint_id):
        return latest
    known = {checkpoint.checkpoint_id for checkpoint in await client.list_checkpoints(workflow_id)}
    if checkpoint_id not in known or latest is None:
        raise UnknownCheckpoint(f"The run '{workflow_id}' has no checkpoint '{checkpoint_id}'.")
    raise RefusedCommand(
        f"Checkpoint '{checkpoint_id}' is not the latest of '{workflow_id}': a run goes on from its latest one, "
        f"'{latest.checkpoint_id}'."
    )


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
        sources = checkpoint.state_data["sources"]
        options = PipelineOptions.model_validate(checkpoint.state_data["options"])
    elif execution:
        first = await client.original_input(workflow_id, execution.run_id)
        sources, options = first.sources, first.options
    else:
        sources = list(await client.stores.manifest.sources(workflow_id))
        options = PipelineOptions()
    options = options.model_copy(update={"open": options.open and keep_open})
    return PipelineInput(sources=sources, options=options, resume=resume_point(checkpoint))


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
