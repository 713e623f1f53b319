"""Fail the activities that dead workers had started, so that the server retries them without waiting for timeouts.

A worker that starts does so for the earlier lives of its own slot. Every worker also checks, twice a second, whether
another worker of its data folder has died. The proof of death is a file lock that the kernel has released (`slot`).
Only activities of the dead identity are failed, so a worker that is alive or stopped keeps its own.
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
"""Later looks after the first: a task that the server sent over a breaking connection shows as started with a delay."""
AT_ONCE = timedelta(milliseconds=1)
TOO_LATE = timedelta(seconds=1)
GONE = (RPCStatusCode.NOT_FOUND, RPCStatusCode.FAILED_PRECONDITION)

log = logging.getLogger("perdure.reclaim")


@dataclass
class Reclaimed:
    """Numbers of the activities that were failed, and of the runs that were looked at."""

    activities: int = 0
    runs: int = 0


async def keep_reclaiming(client: Client, slot: WorkerSlot, data_dir: Path, task_queue: str) -> None:
    """Reclaim the work of this slot's earlier lives, then of every worker of the folder that dies; never returns."""
    async with asyncio.TaskGroup() as clearing:
        if slot.dead:
            clearing.create_task(_clear_own(client, slot, task_queue))
        while True:
            try:
                with dead_lives(data_dir) as dead:
                    if dead:
                        log.info("%d worker(s) of this data folder have died: %s", len(dead), ", ".join(dead))
                        # The slots of the dead are held until the first look is done, so that no other worker does
                        # the same. The later looks need no lock: a dead life stays dead.
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
    """Reclaim; ask a server that is away again until it answers."""
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
    """Fail the activities that these identities had started, and free their runs from the workers' sticky queues.

    Args:
        client: of any identity.
        dead: identities of lives that have ended; the caller has proof of each death.
        task_queue: only runs of this queue are looked at.

    Raises:
        RPCError: the server cannot be asked. The timeouts then do the same later.
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
                fail_activity(client, workflow_id, run_id, activity_id, "Its worker died; it is retried at once.")
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
    """Whether the server may give the activity to another worker this moment: failing by id would hit that worker."""
    timeout = pending.activity_options.heartbeat_timeout.ToTimedelta()
    if not timeout:
        return False
    last_heard = max(moment.ToDatetime(UTC) for moment in (pending.last_started_time, pending.last_heartbeat_time))
    return last_heard + timeout - datetime.now(UTC) < TOO_LATE


async def fail_activity(client: Client, workflow_id: str, run_id: str, activity_id: str, why: str) -> None:
    """Fail a started activity, so that the server retries it at once.

    Raises:
        RPCError: the server is away, or the activity is not started any more.
    """
    handle = client.get_async_activity_handle(workflow_id=workflow_id, run_id=run_id, activity_id=activity_id)
    # The retry policy's interval grows, for a dependency that is away. Here no dependency is away.
    await handle.fail(ApplicationError(why, type=WORKER_DIED, next_retry_delay=AT_ONCE))
