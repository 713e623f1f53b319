"""The end of a run is recorded in every store, and never on top of damage or over a run that goes on."""

import uuid
from dataclasses import replace
from typing import Any

import pytest

from orchestration.audit import verify
from orchestration.client import reconcile as reconciler
from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.client.reconcile import RECONCILER, reconcile_run
from orchestration.settings import Settings
from orchestration.stores import open_stores
from perdure.checkpoint import WorkflowCheckpoint
from perdure.stores.postgres.endings import record_ending
from tests.integration.audited_run import checkpoint_file, harm, rewrite
from tests.integration.workerless_runs import open_run, store_chain, terminate

LENGTH = 4


@pytest.fixture
def run() -> str:
    return f"ended-{uuid.uuid4().hex[:8]}"


@pytest.fixture
async def chain(orchestrator: PipelineOrchestrator, run: str) -> list[WorkflowCheckpoint]:
    """The checkpoints of an earlier run, in every store."""
    return await store_chain(orchestrator, run, LENGTH)


async def test_end_is_not_recorded_on_top_of_an_edited_checkpoint(
    orchestrator: PipelineOrchestrator, run: str, chain: list[WorkflowCheckpoint]
) -> None:
    """A checkpoint on top would name the digest of the original, and hide which of the two was right."""
    await open_run(orchestrator, run, after=chain[-1])
    await terminate(orchestrator, run)
    await harm(orchestrator, f"UPDATE workflow_checkpoints SET processed_documents = 77 WHERE sequence = {LENGTH}")
    assert (await orchestrator.status(run)).workflow_status == "failed"
    assert len(await orchestrator.list_checkpoints(run)) == LENGTH
    audit = await verify(orchestrator.client, orchestrator.stores, run)
    assert {difference.kind for difference in audit.differences} == {"edited_checkpoint"}


async def test_end_that_reached_postgres_alone_is_completed_in_the_file(
    orchestrator: PipelineOrchestrator, run: str, chain: list[WorkflowCheckpoint]
) -> None:
    await open_run(orchestrator, run, after=chain[-1])
    await terminate(orchestrator, run)
    await orchestrator.status(run)
    recorded = await orchestrator.list_checkpoints(run)
    assert [checkpoint.metadata.get("recorded_by") for checkpoint in recorded] == [None] * LENGTH + [RECONCILER]
    rewrite(checkpoint_file(orchestrator), lambda stored: stored[:-1])
    await orchestrator.status(run)
    assert await orchestrator.stores.followers[0].list(run) == recorded


async def test_end_is_not_recorded_if_the_run_was_started_again_meanwhile(
    orchestrator: PipelineOrchestrator, run: str, chain: list[WorkflowCheckpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    await open_run(orchestrator, run, after=chain[-1])
    await terminate(orchestrator, run)

    async def start_again_and_record(*arguments: Any) -> WorkflowCheckpoint | None:
        await open_run(orchestrator, run, after=chain[-1])
        return await record_ending(*arguments)

    monkeypatch.setattr(reconciler, "record_ending", start_again_and_record)
    assert await reconcile_run(orchestrator.client, orchestrator.stores, run) is None
    assert await orchestrator.list_checkpoints(run) == chain


async def test_end_of_a_run_of_another_task_queue_is_left_alone(
    orchestrator: PipelineOrchestrator, settings: Settings, run: str
) -> None:
    """The run belongs to another installation, which may have another database."""
    await open_run(orchestrator, run)
    await terminate(orchestrator, run)
    async with PipelineOrchestrator(replace(settings, task_queue="another"), own_worker=False) as other:
        assert (await other.status(run)).workflow_status == "failed"
        assert await other.list_checkpoints(run) == []
    await orchestrator.status(run)
    assert len(await orchestrator.list_checkpoints(run)) == 1


async def test_status_of_an_ended_run_is_readable_while_postgres_is_away(
    orchestrator: PipelineOrchestrator, settings: Settings, run: str, chain: list[WorkflowCheckpoint]
) -> None:
    await open_run(orchestrator, run, after=chain[-1])
    await terminate(orchestrator, run)
    stores = open_stores(replace(settings, database_url="postgresql://127.0.0.1:1/none"))
    try:
        assert await reconcile_run(orchestrator.client, stores, run) is None
    finally:
        await stores.close()
