"""A run that Temporal resets to a checkpoint continues and keeps committed documents."""

import uuid
from pathlib import Path

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest

from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.settings import Settings
from tests.chaos.papers import write_documents
from tests.chaos.workers import ChaosWorker
from tests.integration.stepwise_run import begin_stepwise

COUNT = 8


@pytest.mark.parametrize("ended", [False, True], ids=["while it runs", "after its end"])
async def test_run_reset_to_a_checkpoint_keeps_committed_documents(
    settings: Settings, tmp_path: Path, ended: bool
) -> None:
    workflow_id = f"reset-{uuid.uuid4().hex[:8]}"
    documents = write_documents(tmp_path / "papers", COUNT)
    worker = ChaosWorker(settings)
    try:
        async with PipelineOrchestrator(settings, own_worker=False) as orchestrator:
            worker.wait_until_alive()
            await begin_stepwise(orchestrator, workflow_id, sorted(documents.iterdir()))
            if ended:
                await orchestrator.close_intake(workflow_id)
                await orchestrator.wait(workflow_id)
            before = await committed(orchestrator, workflow_id)
            chain = await orchestrator.list_checkpoints(workflow_id)
            middle = chain[len(chain) // 2]
            await reset(orchestrator, workflow_id, str(middle.metadata["run_id"]), int(middle.metadata["event_id"]))
            if not ended:
                await orchestrator.close_intake(workflow_id)
            report = await orchestrator.wait(workflow_id)
            assert report.workflow_status == "completed"
            assert report.recovered
            assert report.recovered.startswith("The run was reset to checkpoint ")
            assert await committed(orchestrator, workflow_id) == before
            after = await orchestrator.list_checkpoints(workflow_id)
            assert list(after[: len(chain)]) == list(chain), "checkpoints in the stores stay"
            assert [checkpoint.sequence for checkpoint in after] == list(range(1, len(after) + 1))
            assert after[-1].workflow_status == "completed"
            assert after[-1].epoch > middle.epoch, "the reset run has a new epoch"
    finally:
        worker.close()


async def committed(orchestrator: PipelineOrchestrator, workflow_id: str) -> list[object]:
    async with orchestrator.stores.pool.connection() as conn:
        rows = await conn.fetch(
            "SELECT position, committed_at FROM documents WHERE workflow_id = $1 ORDER BY position", workflow_id
        )
    return [tuple(row) for row in rows]


async def reset(orchestrator: PipelineOrchestrator, workflow_id: str, run_id: str, event_id: int) -> None:
    """Reset the run to the end of the workflow task before this event.

    The metadata of a checkpoint give the event id.
    """
    client = orchestrator.client
    last = 0
    handle = client.get_workflow_handle(workflow_id, run_id=run_id)
    async for event in handle.fetch_history_events():
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED and event.event_id <= event_id:
            last = event.event_id
    assert last
    await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id),
            reason="back to a checkpoint",
            workflow_task_finish_event_id=last,
            request_id=str(uuid.uuid4()),
        )
    )
