"""Bring the mirror up to date with runs that ended while nobody was there to record it.

A run that fails or is cancelled writes its last checkpoint itself. One that is terminated or times out cannot, nor one
whose workers are all gone. Whoever looks at such a run next, a script or a starting worker, appends the checkpoint that
says how it ended. It is made of nothing but what Temporal and the manifest say, so making it again gives the same.
"""

import logging
from dataclasses import dataclass
from datetime import datetime

from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus
from temporalio.service import RPCError

from orchestration.client.history import HistoryRun, WorkflowHistory, read_history
from orchestration.client.run_status import ENDED_IN_TEMPORAL, find_execution
from orchestration.stores import Stores
from perdure.checkpoint import WorkflowCheckpoint, compute_digest, seal
from perdure.checkpoint.sync import sync
from perdure.errors import DependencyUnavailable, RefusedWrite
from perdure.stores.postgres.endings import EndedRun, Standing, record_ending
from workflows.checkpoints import next_checkpoint
from workflows.messages import WORKFLOW_TYPE, PipelineInput, PipelineOptions
from workflows.state import PipelineState, Range

RECONCILER = "reconciler"
"""In the metadata of a checkpoint that no run has taken, as `recorded_by`."""
LOOK_AT_MOST = 1000
"""Ended runs, the newest, that a worker looks at when it starts."""

log = logging.getLogger("perdure.reconcile")


@dataclass(frozen=True)
class Recorded:
    """One run whose end stands in the mirror now."""

    workflow_id: str
    run_id: str
    workflow_status: str
    checkpoint_id: str


def ending_of(status: WorkflowExecutionStatus | None) -> str | None:
    """What the mirror calls a run that Temporal has ended in this way; None if the run says it itself."""
    return ENDED_IN_TEMPORAL.get(status) if status is not None else None


async def reconcile(client: Client, stores: Stores, task_queue: str | None = None) -> list[Recorded]:
    """Look at every run that Temporal says ended otherwise than completed; returns those that were recorded now.

    Args:
        client: any.
        stores: of the runs that are looked at.
        task_queue: only its runs are looked at: a neighbour's are recorded in the neighbour's database.

    Raises:
        RPCError: Temporal cannot be asked; what could be done is done.
    """
    query = f'WorkflowType="{WORKFLOW_TYPE}" AND ExecutionStatus IN ("Failed", "Terminated", "TimedOut", "Canceled")'
    if task_queue is not None:
        query += f' AND TaskQueue="{task_queue}"'
    recorded: list[Recorded] = []
    seen: set[str] = set()
    async for found in client.list_workflows(query, limit=LOOK_AT_MOST):
        if found.id not in seen:
            seen.add(found.id)
            done = await reconcile_run(client, stores, found.id, task_queue)
            recorded += [done] if done else []
    return recorded


async def reconcile_run(
    client: Client, stores: Stores, workflow_id: str, task_queue: str | None = None
) -> Recorded | None:
    """Record how the latest run of this workflow id ended, if it ended unrecorded; None if there is nothing to do.

    It never raises for a store or a server that is away, nor for a damaged mirror: whoever comes next does it.
    """
    try:
        execution = await find_execution(client, workflow_id)
        if execution is None or ending_of(execution.status) is None:
            return None
        if task_queue not in (None, execution.task_queue):
            return None
        latest = await stores.leader.latest(workflow_id)
        if latest and _says_so(latest, execution):
            await _hand_on(stores, workflow_id, latest)
            return None
        return await _record(client, stores, execution)
    except (RPCError, DependencyUnavailable, RefusedWrite, ValueError) as error:
        log.warning("could not record how the run %s ended: %s", workflow_id, error)
        return None


def _says_so(latest: WorkflowCheckpoint, execution: WorkflowExecution) -> bool:
    ended = ending_of(execution.status)
    return latest.workflow_status == ended and latest.metadata.get("run_id") == execution.run_id


async def _hand_on(stores: Stores, workflow_id: str, latest: WorkflowCheckpoint) -> None:
    """Whoever recorded the end may have died before the other stores had it."""
    if latest.metadata.get("recorded_by") != RECONCILER:
        return
    for store in stores.followers:
        behind = await store.latest(workflow_id)
        if (behind.digest if behind else "") == latest.previous_digest:
            await store.append(latest)


async def _record(client: Client, stores: Stores, execution: WorkflowExecution) -> Recorded | None:
    history = await read_history(client, execution.id)
    run = next((one for one in history.runs if one.run_id == execution.run_id), None)
    status = ending_of(execution.status)
    if run is None or run.pipeline is None or run.closed_at is None or status is None:
        return None
    if not await _is_whole(stores, execution.id, history):
        log.warning("the mirror of the run %s is not what its history says; it is left as it is", execution.id)
        return None
    lives = {one.run_id for one in history.runs if one.first_run_id == run.first_run_id}
    ended = EndedRun(execution.id, run.first_run_id, lives | {run.first_run_id}, _began(history, run), status)

    def make(standing: Standing) -> WorkflowCheckpoint | None:
        latest = standing.latest
        return None if latest and _says_so(latest, execution) else make_ending(execution, run, standing)

    async def still_ended() -> bool:
        now = await find_execution(client, execution.id)
        return now is not None and (now.run_id, now.status) == (execution.run_id, execution.status)

    checkpoint = await record_ending(stores.pool, ended, make, still_ended)
    if checkpoint is None:
        return None
    for store in stores.followers:
        await sync(store, stores.checkpoints, execution.id)
    return Recorded(execution.id, execution.run_id, status, checkpoint.checkpoint_id)


async def _is_whole(stores: Stores, workflow_id: str, history: WorkflowHistory) -> bool:
    """Whether nothing would be covered up: the mirror ends where history does, and no other store is ahead of it."""
    newest, latest = history.newest_acknowledged, await stores.leader.latest(workflow_id)
    others = [await store.latest(workflow_id) for store in stores.followers]
    if latest is None:
        joined = any(run.joins for run in history.runs)
        return newest is None and not joined and not any(others)
    if compute_digest(latest) != latest.digest or any(one and one.sequence > latest.sequence for one in others):
        return False
    if newest is None or latest.sequence > newest.sequence:
        return True
    return latest.digest == newest.digest or latest.epoch > newest.epoch


def _began(history: WorkflowHistory, run: HistoryRun) -> datetime:
    return min(one.started_at for one in history.runs if one.first_run_id == run.first_run_id)


def make_ending(execution: WorkflowExecution, run: HistoryRun, standing: Standing) -> WorkflowCheckpoint:
    """The last checkpoint of a run that could not write it; the same for the same arguments."""
    latest, totals = standing.latest, standing.totals
    pipeline = run.pipeline or PipelineInput(sources=[])
    options = pipeline.options
    if latest and latest.epoch == standing.epoch:
        options = PipelineOptions.model_validate(latest.state_data.options)  # what was set while it ran
    watermark = standing.finished[0][1] if standing.finished and standing.finished[0][0] == 0 else 0
    state = PipelineState(
        epoch=standing.epoch,
        total=totals.total,
        processed=totals.processed,
        quarantined=totals.quarantined,
        cancelled=totals.cancelled,
        quality_sum=totals.quality_sum,
        queued=totals.queued,
        watermark=watermark,
        beyond=[one for one in standing.finished if one[0] > watermark],
        sequence=latest.sequence if latest else 0,
        digest=latest.digest if latest else "",
        concurrency=options.concurrency,
        closed=not options.open,
    )
    made = next_checkpoint(
        workflow_id=execution.id,
        run_id=execution.run_id,
        event_id=run.events,
        timestamp=run.closed_at or run.started_at,
        status=ending_of(execution.status) or "failed",
        state=state,
        finished=_since(standing),
        services=dict(latest.service_states) if latest else {},
        pipeline=pipeline.model_copy(update={"options": options}),
    )
    how = execution.status.name.lower().replace("_", " ") if execution.status else "ended"
    why = f"Temporal says that the run is {how}; it ended without recording it, so this was written afterwards."
    return seal(made.model_copy(update={"metadata": {**made.metadata, "recorded_by": RECONCILER, "why": why}}))


def _since(standing: Standing) -> list[Range]:
    """Ranges of finished ordinals that the latest checkpoint of this epoch does not cover."""
    latest = standing.latest
    state = PipelineState(unsaved=list(standing.finished))
    if latest and latest.epoch == standing.epoch:
        data = latest.state_data
        state.mark_saved([(0, data.watermark), *((first, end) for first, end in data.beyond_watermark)])
    return state.unsaved
