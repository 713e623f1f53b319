"""Take back what dead workers still seem to hold, instead of waiting for timeouts.

A worker that starts does so for the earlier lives of its own slot, and every worker looks every moment whether a
neighbour in its data folder has died. Proof of death is a file lock that the kernel has released (`worker_slot`), and
activities are taken back only from the very identity that is dead, so never from a worker that is alive or stopped.
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
"""The server may hand a task to a connection that is just breaking: it shows as started only a moment later."""
AT_ONCE = timedelta(milliseconds=1)
TOO_LATE = timedelta(seconds=1)
GONE = (RPCStatusCode.NOT_FOUND, RPCStatusCode.FAILED_PRECONDITION)

log = logging.getLogger("perdure.reclaim")


@dataclass
class Reclaimed:
    """How much was taken back."""

    activities: int = 0
    runs: int = 0


async def keep_reclaiming(client: Client, slot: WorkerSlot, data_dir: Path, task_queue: str) -> None:
    """Clear up after this slot's earlier lives, then after every worker of the folder that dies; never returns."""
    async with asyncio.TaskGroup() as clearing:
        if slot.dead:
            clearing.create_task(_clear_own(client, slot, task_queue))
        while True:
            try:
                with dead_lives(data_dir) as dead:
                    if dead:
                        log.info("%d worker(s) of this data folder have died: %s", len(dead), ", ".join(dead))
                        # Their slots are held until the first look is done; the later ones need no lock, for a life
                        # that has ended has ended for good.
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
    """Reclaim; a server that is away is asked again until it answers."""
    told = False
    while True:
        try:
            taken = await reclaim(client, frozenset(dead), task_queue)
        except RPCError as error:
            if not told:
                log.warning("could not look for the work of dead workers: %s", error)
            told = True
            await asyncio.sleep(LOOK_EVERY_SECONDS)
        else:
            if taken.activities:
                log.info("took back %d activities that a dead worker had started", taken.activities)
            return


async def reclaim(client: Client, dead: Collection[str], task_queue: str) -> Reclaimed:
    """Fail the activities that these identities had started, so that they retry at once, and unstick their runs.

    Args:
        client: of any identity.
        dead: identities of lives that have ended; whoever calls must be sure of it.
        task_queue: only its runs are looked at.

    Raises:
        RPCError: the server could not be asked; nothing is lost, timeouts will do the same later.
    """
    reclaimed, gate = Reclaimed(), asyncio.Semaphore(RUNS_AT_ONCE)

    async def one(workflow_id: str, run_id: str) -> None:
        async with gate:
            await _reclaim_run(client, dead, workflow_id, run_id, reclaimed)

    query = f'WorkflowType="{WORKFLOW_TYPE}" AND ExecutionStatus="Running" AND TaskQueue="{task_queue}"'
    await asyncio.gather(*[one(found.id, found.run_id) async for found in client.list_workflows(query)])
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
                fail_activity(client, workflow_id, run_id, activity_id, "Its worker died; it is tried again at once.")
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
    """Whether the server may hand it to somebody else this very moment: it is failed by id, whoever has it then."""
    timeout = pending.activity_options.heartbeat_timeout.ToTimedelta()
    if not timeout:
        return False
    last_sign = max(moment.ToDatetime(UTC) for moment in (pending.last_started_time, pending.last_heartbeat_time))
    return last_sign + timeout - datetime.now(UTC) < TOO_LATE


async def fail_activity(client: Client, workflow_id: str, run_id: str, activity_id: str, why: str) -> None:
    """Have a started activity tried again at once.

    Raises:
        RPCError: the server is away, or nobody has it in hand any more.
    """
    handle = client.get_async_activity_handle(workflow_id=workflow_id, run_id=run_id, activity_id=activity_id)
    # The retry policy's interval is there for what is away, and grows; nothing is away here.
    await handle.fail(ApplicationError(why, type=WORKER_DIED, next_retry_delay=AT_ONCE))
