"""Take back what a dead worker of this very identity still seems to hold, instead of waiting for timeouts.

Only the holder of a `WorkerSlot` may call this: the slot's lock proves that the identity's earlier process is gone.
"""

import asyncio
from dataclasses import dataclass

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.workflowservice.v1 import ResetStickyTaskQueueRequest
from temporalio.client import AsyncActivityHandle, Client, WorkflowExecutionDescription
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from workflows.messages import WORKFLOW_TYPE

WORKER_DIED = "WorkerDied"
AT_ONCE = 16
_GONE = (RPCStatusCode.NOT_FOUND, RPCStatusCode.FAILED_PRECONDITION)


@dataclass
class Reclaimed:
    """How much was taken back."""

    activities: int = 0
    runs: int = 0


async def reclaim(client: Client, identity: str, task_queue: str) -> Reclaimed:
    """Fail the activities that `identity` had started, so that they retry at once, and unstick their runs.

    Raises:
        RPCError: the server could not be asked; nothing is lost, timeouts will do the same later.
    """
    reclaimed, gate = Reclaimed(), asyncio.Semaphore(AT_ONCE)

    async def one(workflow_id: str, run_id: str) -> None:
        async with gate:
            await _reclaim_run(client, identity, workflow_id, run_id, reclaimed)

    query = f'WorkflowType="{WORKFLOW_TYPE}" AND ExecutionStatus="Running" AND TaskQueue="{task_queue}"'
    await asyncio.gather(*[one(found.id, found.run_id) async for found in client.list_workflows(query)])
    return reclaimed


async def _reclaim_run(client: Client, identity: str, workflow_id: str, run_id: str, reclaimed: Reclaimed) -> None:
    try:
        description = await client.get_workflow_handle(workflow_id, run_id=run_id).describe()
        held = _held_by(description, identity)
        for activity_id in held:
            handle = client.get_async_activity_handle(workflow_id=workflow_id, run_id=run_id, activity_id=activity_id)
            await _fail(handle)
        await client.workflow_service.reset_sticky_task_queue(
            ResetStickyTaskQueueRequest(
                namespace=client.namespace, execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id)
            )
        )
    except RPCError as error:
        if error.status not in _GONE:
            raise
        return
    reclaimed.runs += 1
    reclaimed.activities += len(held)


def _held_by(description: WorkflowExecutionDescription, identity: str) -> list[str]:
    started = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
    return [
        pending.activity_id
        for pending in description.raw_description.pending_activities
        if pending.state == started and pending.last_worker_identity == identity
    ]


async def _fail(handle: AsyncActivityHandle) -> None:
    await handle.fail(ApplicationError("Its worker died; it is tried again at once.", type=WORKER_DIED))
