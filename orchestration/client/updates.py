"""Feed and steer a run that is open in Temporal, by updates that one of its workers answers."""

import asyncio
from collections.abc import Sequence
from typing import Any, TypeVar, cast

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import (
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
    WorkflowUpdateStage,
)
from temporalio.service import RPCError, RPCStatusCode

from orchestration.client.connected import Connected
from orchestration.client.following import FOLLOW_EVERY_SECONDS, read_status
from orchestration.client.outcomes import DocumentCheckpoint, find_outcomes
from orchestration.client.run_status import find_execution
from orchestration.client.workflow_ids import checked_workflow_id
from orchestration.invocation import command_line
from orchestration.worker.slot import live_workers
from perdure.documents.discovery import check_source, normalise_source
from perdure.errors import RefusedCommand, UnknownWorkflow, WorkflowNotRunning
from workflows.document_pipeline import DocumentPipeline
from workflows.messages import AddDocuments, AddedDocuments

Answer = TypeVar("Answer")


class NoWorkerAnswered(RefusedCommand):
    """An update needs a living worker, and no worker answered it."""


ANSWER_SECONDS = 10.0
"""Seconds that an update waits for a worker to accept it."""


async def process_document(connected: Connected, workflow_id: str, source: str) -> DocumentCheckpoint:
    """Add a document to an open run, and return the checkpoint that covers it.

    The call waits until the document has its final status.

    Raises:
        RefusedCommand: the document cannot be found, or the run accepts no more documents.
    """
    await connected.worker.ensure()
    added = await add_documents(connected, workflow_id, [source], wait=True)
    checkpoint = await connected.stores.latest(workflow_id)
    if checkpoint is None:
        raise UnknownWorkflow(f"No checkpoint of '{workflow_id}' is stored.")
    outcomes = await find_outcomes(connected.stores.pool, checkpoint, added, normalise_source(source))
    return DocumentCheckpoint.with_outcomes(checkpoint, outcomes)


async def add_documents(
    connected: Connected, workflow_id: str, sources: Sequence[str], *, wait: bool
) -> AddedDocuments:
    """Add sources to an open run.

    Args:
        connected: open connections to Temporal and the stores.
        workflow_id: workflow id of the run.
        sources: paths or URIs.
        wait: whether to return only once a checkpoint covers the added documents.

    Raises:
        RefusedCommand: a source cannot be found, or the run accepts no more sources.
    """
    for source in sources:
        check_source(source)
    request = AddDocuments(sources=[normalise_source(source) for source in sources], wait=wait)
    added = await send_update(connected, workflow_id, AddedDocuments, DocumentPipeline.add_documents, request)
    while wait and not added.saved:  # the run has continued as new; a repeated request adds nothing twice
        await asyncio.sleep(FOLLOW_EVERY_SECONDS)
        added = await send_update(connected, workflow_id, AddedDocuments, DocumentPipeline.add_documents, request)
    return added


async def find_running(connected: Connected, workflow_id: str) -> WorkflowHandle[Any, Any]:
    """Return the handle of a run that is open in Temporal.

    Raises:
        UnknownWorkflow: neither Temporal nor a store knows the run.
        WorkflowNotRunning: the run has ended.
    """
    execution = await find_execution(connected.client, checked_workflow_id(workflow_id))
    if execution is None:
        await read_status(connected, workflow_id)  # raises UnknownWorkflow for a run that no store knows
    if execution is None or execution.status != WorkflowExecutionStatus.RUNNING:
        raise WorkflowNotRunning(f"The run '{workflow_id}' is not running.")
    return connected.client.get_workflow_handle(workflow_id)


async def send_update(
    connected: Connected, workflow_id: str, answers: type[Answer], update: Any, *arguments: Any
) -> Answer:
    """Send an update and return its answer, which a live worker gives.

    Args:
        connected: open connections to Temporal and the stores.
        workflow_id: workflow id of the run.
        answers: type of the answer.
        update: method of `DocumentPipeline`.
        arguments: arguments of the update.

    Raises:
        NoWorkerAnswered: no worker is alive, or none answers in time.
        RefusedCommand: the run refuses the update.
        WorkflowNotRunning: the run has ended.
    """
    handle = await find_running(connected, workflow_id)
    await _require_worker(connected)
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            accepted = await handle.start_update(
                update, *arguments, wait_for_stage=WorkflowUpdateStage.ACCEPTED, result_type=answers
            )
        return cast("Answer", await accepted.result())
    except WorkflowUpdateRPCTimeoutOrCancelledError as error:
        # The SDK raises this error both for a timeout and for a cancellation.
        task = asyncio.current_task()
        if task and task.cancelling():
            raise asyncio.CancelledError from error
        raise NoWorkerAnswered(
            f"No worker answered within {ANSWER_SECONDS:.0f} seconds; the run '{workflow_id}' may still carry out the "
            "request when a worker is available."
        ) from error
    except WorkflowUpdateFailedError as error:
        raise RefusedCommand(str(error.cause)) from error
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            raise WorkflowNotRunning(f"The run '{workflow_id}' ended just now.") from error
        raise


async def _require_worker(connected: Connected) -> None:
    """Refuse at once an update that no worker would answer.

    The server also lists the pollers of workers that died recently. An update to such a worker ends at its time limit.
    """
    settings = connected.settings
    if live_workers(settings.data_dir):
        return
    queue = await connected.client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=connected.client.namespace,
            task_queue=TaskQueue(name=settings.task_queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )
    )
    if settings.temporal.embedded or not queue.pollers:
        raise NoWorkerAnswered(f"No worker is alive to answer; start one with: {command_line('worker')}")
