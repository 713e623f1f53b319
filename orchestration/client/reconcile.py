"""Record the ends of runs that could not record their end themselves.

A run that fails or is cancelled writes its last checkpoint itself. A run that is terminated or times out cannot write
its last checkpoint, and neither can a run without a worker. The next command that reads such a run, or the next worker
that starts, appends the last checkpoint. The checkpoint is made from Temporal and the manifest alone, so a second
attempt makes the same checkpoint.
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
"""The value of `recorded_by` in the metadata of a checkpoint that this module made."""
LOOK_AT_MOST = 1000
"""Number of the newest ended runs that a starting worker checks."""

log = logging.getLogger("perdure.reconcile")


@dataclass(frozen=True)
class Recorded:
    """A run whose end has just been recorded."""

    workflow_id: str
    run_id: str
    workflow_status: str
    checkpoint_id: str


def ending_of(status: WorkflowExecutionStatus | None) -> str | None:
    """Return the status to record for a run that ended with this status in Temporal.

    Return None if such a run records its end itself.
    """
    return ENDED_IN_TEMPORAL.get(status) if status is not None else None


async def reconcile(client: Client, stores: Stores, task_queue: str | None = None) -> list[Recorded]:
    """Record the ends of runs that ended without completing, and return the recorded runs.

    Runs whose end was recorded before are not returned.

    Args:
        client: any client of the namespace.
        stores: stores of the runs.
        task_queue: only runs of this queue are checked, because other queues may have another database; None for all.

    Raises:
        RPCError: Temporal cannot be reached; some ends may have been recorded before.
    """
    query = f'WorkflowType="{WORKFLOW_TYPE}" AND ExecutionStatus IN ("Failed", "Terminated", "TimedOut", "Canceled")'
    if task_queue is not None:
        query += f' AND TaskQueue="{task_queue}"'
    recorded: list[Recorded] = []
    seen: set[str] = set()
    async for execution in client.list_workflows(query, limit=LOOK_AT_MOST):
        if execution.id not in seen:
            seen.add(execution.id)
            record = await reconcile_run(client, stores, execution.id, task_queue)
            recorded += [record] if record else []
    return recorded


async def reconcile_run(
    client: Client, stores: Stores, workflow_id: str, task_queue: str | None = None
) -> Recorded | None:
    """Record the end of a workflow id's latest run if it is not recorded.

    Return None if nothing was recorded. The function raises no error for an unavailable store or server, nor for a
    damaged mirror. A later call tries again.
    """
    try:
        execution = await find_execution(client, workflow_id)
        if execution is None or ending_of(execution.status) is None:
            return None
        if task_queue not in (None, execution.task_queue):
            return None
        latest = await stores.leader.latest(workflow_id)
        if latest and _records_end(latest, execution):
            await _append_to_followers(stores, workflow_id, latest)
            return None
        return await _record(client, stores, execution)
    except (RPCError, DependencyUnavailable, RefusedWrite, ValueError) as error:
        log.warning("could not record how the run %s ended: %s", workflow_id, error)
        return None


def _records_end(latest: WorkflowCheckpoint, execution: WorkflowExecution) -> bool:
    ended = ending_of(execution.status)
    return latest.workflow_status == ended and latest.metadata.get("run_id") == execution.run_id


async def _append_to_followers(stores: Stores, workflow_id: str, latest: WorkflowCheckpoint) -> None:
    """Append a recorded end to the followers that lack it, after the death of another process."""
    if latest.metadata.get("recorded_by") != RECONCILER:
        return
    for store in stores.followers:
        behind = await store.latest(workflow_id)
        if (behind.digest if behind else "") == latest.previous_digest:
            await store.append(latest)


async def _record(client: Client, stores: Stores, execution: WorkflowExecution) -> Recorded | None:
    history = await read_history(client, execution.id)
    run = next((known for known in history.runs if known.run_id == execution.run_id), None)
    status = ending_of(execution.status)
    if run is None or run.pipeline is None or run.closed_at is None or status is None:
        return None
    if not await _is_whole(stores, execution.id, history):
        log.warning("the mirror of the run %s contradicts its history; its end is not recorded", execution.id)
        return None
    run_ids = {known.run_id for known in history.runs if known.first_run_id == run.first_run_id}
    ended = EndedRun(execution.id, run.first_run_id, run_ids | {run.first_run_id}, _find_start(history, run), status)

    def make(standing: Standing) -> WorkflowCheckpoint | None:
        latest = standing.latest
        return None if latest and _records_end(latest, execution) else make_ending(execution, run, standing)

    async def still_ended() -> bool:
        current = await find_execution(client, execution.id)
        return current is not None and (current.run_id, current.status) == (execution.run_id, execution.status)

    checkpoint = await record_ending(stores.pool, ended, make, still_ended)
    if checkpoint is None:
        return None
    for store in stores.followers:
        await sync(store, stores.checkpoints, execution.id)
    return Recorded(execution.id, execution.run_id, status, checkpoint.checkpoint_id)


async def _is_whole(stores: Stores, workflow_id: str, history: WorkflowHistory) -> bool:
    """Return whether the mirror agrees with history, so that a new checkpoint hides no damage.

    The mirror agrees if the leader ends where history ends, and no follower is ahead.
    """
    newest = history.newest_acknowledged
    latest = await stores.leader.latest(workflow_id)
    others = [await store.latest(workflow_id) for store in stores.followers]
    if latest is None:
        joined = any(run.joins for run in history.runs)
        return newest is None and not joined and not any(others)
    if compute_digest(latest) != latest.digest or any(other and other.sequence > latest.sequence for other in others):
        return False
    if newest is None or latest.sequence > newest.sequence:
        return True
    return latest.digest == newest.digest or latest.epoch > newest.epoch


def _find_start(history: WorkflowHistory, run: HistoryRun) -> datetime:
    return min(known.started_at for known in history.runs if known.first_run_id == run.first_run_id)


def make_ending(execution: WorkflowExecution, run: HistoryRun, standing: Standing) -> WorkflowCheckpoint:
    """Return the last checkpoint of a run that could not write its last checkpoint.

    Equal arguments give equal checkpoints.

    Args:
        execution: how the run ended, according to Temporal.
        run: history of the run.
        standing: latest checkpoint and manifest of the run in Postgres.
    """
    latest = standing.latest
    totals = standing.totals
    pipeline = run.pipeline or PipelineInput(sources=[])
    options = pipeline.options
    if latest and latest.epoch == standing.epoch:
        options = PipelineOptions.model_validate(latest.state_data.options)  # includes changes made during the run
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
        beyond=[part for part in standing.finished if part[0] > watermark],
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
        finished=_list_uncovered_ranges(standing),
        services=dict(latest.service_states) if latest else {},
        pipeline=pipeline.model_copy(update={"options": options}),
    )
    how = execution.status.name.lower().replace("_", " ") if execution.status else "ended"
    why = f"Temporal says that the run is {how}; it ended without recording it, so this was written afterwards."
    return seal(made.model_copy(update={"metadata": {**made.metadata, "recorded_by": RECONCILER, "why": why}}))


def _list_uncovered_ranges(standing: Standing) -> list[Range]:
    """Return the ranges of finished ordinals of this epoch that no checkpoint covers yet."""
    latest = standing.latest
    state = PipelineState(unsaved=list(standing.finished))
    if latest and latest.epoch == standing.epoch:
        data = latest.state_data
        state.mark_saved([(0, data.watermark), *((first, end) for first, end in data.beyond_watermark)])
    return state.unsaved
