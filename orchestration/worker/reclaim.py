"""Fail the activities of dead workers, so that the server retries them at once.

A starting worker reclaims the activities of the earlier workers of its own slot. Every worker also checks, twice a
second, whether another worker of its data folder has died. The proof of a death is a file lock that the kernel has
released (`slot`). Only activities of the dead worker's identity are failed. A worker that is alive, or stopped by
SIGSTOP, keeps its activities.
"""

import asyncio
import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import ResetStickyTaskQueueRequest
from temporalio.client import Client, WorkflowExecutionDescription
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from orchestration.worker.slot import WorkerSlot, dead_lives
from workflows.calls import WORKER_DIED
from workflows.messages import WORKFLOW_TYPE

RUNS_AT_ONCE = 16
LOOK_EVERY_SECONDS = 0.5
LOOK_AGAIN_SECONDS = (0.5, 1.5, 4.0, 10.0)
"""Pauses before the repeated searches. The server shows a task as started with a delay if the connection broke while it
sent the task."""
AT_ONCE = timedelta(milliseconds=1)
TOO_LATE = timedelta(seconds=1)
GONE = (RPCStatusCode.NOT_FOUND, RPCStatusCode.FAILED_PRECONDITION)

log = logging.getLogger("perdure.reclaim")


@dataclass
class Reclaimed:
    """Number of failed activities, and number of examined runs."""

    activities: int = 0
    runs: int = 0


async def keep_reclaiming(client: Client, slot: WorkerSlot, data_dir: Path, task_queue: str) -> None:
    """Reclaim the activities of dead workers of the data folder; never returns.

    The function begins with the earlier workers of this slot, and then waits for the death of any other worker.

    The first activities are those of the earlier workers of this slot.
    """
    async with asyncio.TaskGroup() as clearing:
        if slot.dead:
            clearing.create_task(_clear_own(client, slot, task_queue))
        while True:
            try:
                with dead_lives(data_dir) as dead:
                    if dead:
                        log.info("%d worker(s) of this data folder have died: %s", len(dead), ", ".join(dead))
                        # This worker holds the slots of the dead workers until the first search is done, so that no
                        # other worker reclaims the same activities. The repeated searches need no lock, because a dead
                        # worker cannot start activities again.
                        await _look(client, dead, task_queue)
                        clearing.create_task(_look_again(client, dead, task_queue))
            except OSError as error:
                log.warning("could not look for dead workers of this data folder: %s", error)
            await asyncio.sleep(LOOK_EVERY_SECONDS)


async def _clear_own(client: Client, slot: WorkerSlot, task_queue: str) -> None:
    await _look(client, slot.dead, task_queue)
    await _look_again(client, slot.dead, task_queue)
    slot.forget_dead()


async def _look_again(client: Client, dead: Collection[str], task_queue: str) -> None:
    for seconds in LOOK_AGAIN_SECONDS:
        await asyncio.sleep(seconds)
        await _look(client, dead, task_queue)


async def _look(client: Client, dead: Collection[str], task_queue: str) -> None:
    """Reclaim once; if the server is unavailable, retry until it answers."""
    warned = False
    while True:
        try:
            reclaimed = await reclaim(client, frozenset(dead), task_queue)
        except RPCError as error:
            if not warned:
                log.warning("could not look for the work of dead workers: %s", error)
            warned = True
            await asyncio.sleep(LOOK_EVERY_SECONDS)
        else:
            if reclaimed.activities:
                log.info(
                    "failed %d activities that a dead worker had started; the server retries them", reclaimed.activities
                )
            return


async def reclaim(client: Client, dead: Collection[str], task_queue: str) -> Reclaimed:
    """Fail the activities that these identities had started.

    The function also frees the runs of these workers from sticky task queues.

    Args:
        client: a client of any identity.
        dead: identities of dead workers; the caller has proof of each death.
        task_queue: task queue of the runs to examine.

    Raises:
        RPCError: the server is unavailable. The server then retries the activities after their timeouts.
    """
    reclaimed = Reclaimed()
    gate = asyncio.Semaphore(RUNS_AT_ONCE)

    async def reclaim_one(workflow_id: str, run_id: str) -> None:
        async with gate:
            await _reclaim_run(client, dead, workflow_id, run_id, reclaimed)

    query = f'WorkflowType="{WORKFLOW_TYPE}" AND ExecutionStatus="Running" AND TaskQueue="{task_queue}"'
    await asyncio.gather(*[reclaim_one(run.id, run.run_id) async for run in client.list_workflows(query)])
    return reclaimed


async def _reclaim_run(
    client: Client, dead: Collection[str], workflow_id: str, run_id: str, reclaimed: Reclaimed
) -> None:
    try:
        await client.workflow_service.reset_sticky_task_queue(
            ResetStickyTaskQueueRequest(
                namespace=client.namespace, execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id)
            )
        )
        description = await client.get_workflow_handle(workflow_id, run_id=run_id).describe()
        held = _held_by(description, dead)
        await asyncio.gather(
            *[
                fail_activity(
                    client,
                    workflow_id,
                    run_id,
                    activity_id,
                    "The worker died; the server retries the activity at once.",
                )
                for activity_id in held
            ]
        )
    except RPCError as error:
        if error.status not in GONE:
            raise
        return
    reclaimed.runs += 1
    reclaimed.activities += len(held)


def _held_by(description: WorkflowExecutionDescription, dead: Collection[str]) -> list[str]:
    started = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
    return [
        pending.activity_id
        for pending in description.raw_description.pending_activities
        if pending.state == started and pending.last_worker_identity in dead and not _times_out_soon(pending)
    ]


def _times_out_soon(pending: PendingActivityInfo) -> bool:
    """Return whether the activity times out so soon that another worker may get it.

    The server fails an activity by its id, so a late request would fail the attempt of the other worker.
    """
    timeout = pending.activity_options.heartbeat_timeout.ToTimedelta()
    if not timeout:
        return False
    last_heard = max(moment.ToDatetime(UTC) for moment in (pending.last_started_time, pending.last_heartbeat_time))
    return last_heard + timeout - datetime.now(UTC) < TOO_LATE


async def fail_activity(client: Client, workflow_id: str, run_id: str, activity_id: str, why: str) -> None:
    """Fail a started activity, so that the server retries it at once.

    Raises:
        RPCError: the server is unavailable, or the activity is not started any more.
    """
    handle = client.get_async_activity_handle(workflow_id=workflow_id, run_id=run_id, activity_id=activity_id)
    # The retry policy has growing intervals for an unavailable dependency. After the death of a worker, no interval is
    # needed.
    await handle.fail(ApplicationError(why, type=WORKER_DIED, next_retry_delay=AT_ONCE))
