"""P10: the end of a run that Temporal ended without a worker is recorded once.

The next command or worker records the end.
"""

import asyncio
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus

from orchestration.audit import verify
from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.client.reconcile import RECONCILER, reconcile, reconcile_run
from orchestration.client.run_status import find_execution
from orchestration.settings import Settings
from perdure.checkpoint import WorkflowCheckpoint
from perdure.errors import StaleWriter
from perdure.manifest import Lease
from tests.chaos.papers import write_documents
from tests.chaos.workers import ChaosWorker
from tests.integration.audited_run import harm
from tests.integration.made_documents import discovered, processed
from workflows.document_pipeline import DocumentPipeline
from workflows.messages import PipelineInput, PipelineOptions


@pytest.fixture
def papers(tmp_path: Path) -> Path:
    return write_documents(tmp_path / "papers", 4)


@pytest.fixture
def workflow_id() -> str:
    return f"ended-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def start_worker(settings: Settings) -> Iterator[Callable[[], ChaosWorker]]:
    started: list[ChaosWorker] = []

    def start() -> ChaosWorker:
        started.append(ChaosWorker(settings))
        started[-1].wait_until_alive()
        return started[-1]

    yield start
    for worker in started:
        worker.close()


async def rows(orchestrator: PipelineOrchestrator, query: str) -> list[Any]:
    async with orchestrator.stores.pool.connection() as conn:
        return [tuple(row) for row in await conn.fetch(query)]


async def terminate(orchestrator: PipelineOrchestrator, workflow_id: str) -> None:
    await orchestrator.client.get_workflow_handle(workflow_id).terminate("a test ends the run")


async def mirrors(orchestrator: PipelineOrchestrator, workflow_id: str) -> list[WorkflowCheckpoint]:
    """Assert that every store has the same chain, and return the chain."""
    first, second = [list(await store.list(workflow_id)) for store in orchestrator.stores.checkpoints]
    assert first == second
    return first


async def differences(orchestrator: PipelineOrchestrator, workflow_id: str) -> list[str]:
    result = await verify(orchestrator.client, orchestrator.stores, workflow_id)
    return [entry.sentence for entry in result.differences]


async def until_acknowledged(orchestrator: PipelineOrchestrator, workflow_id: str, documents: int) -> None:
    """Wait until a stored checkpoint with at least `documents` documents is acknowledged."""
    run = orchestrator.client.get_workflow_handle_for(DocumentPipeline.run, workflow_id)
    async with asyncio.timeout(60):
        while True:
            latest = (await run.query(DocumentPipeline.progress)).latest_checkpoint
            if latest and latest.processed_documents >= documents:
                return
            await asyncio.sleep(0.05)


async def test_terminated_run_is_recorded_as_failed_and_can_be_resumed(
    orchestrator: PipelineOrchestrator, papers: Path, workflow_id: str, start_worker: Callable[[], ChaosWorker]
) -> None:
    documents = sorted(str(path) for path in papers.iterdir())
    worker = start_worker()
    await orchestrator.start(documents[:2], workflow_id=workflow_id, options=PipelineOptions(open=True))
    await until_acknowledged(orchestrator, workflow_id, 2)
    assert await reconcile_run(orchestrator.client, orchestrator.stores, workflow_id) is None, "the run is running"
    worker.kill()
    await terminate(orchestrator, workflow_id)

    assert (await orchestrator.status(workflow_id)).workflow_status == "failed"
    assert await rows(
        orchestrator, "SELECT workflow_status FROM checkpoint_history ORDER BY sequence DESC LIMIT 1"
    ) == [("failed",)]
    assert await rows(orchestrator, "SELECT status FROM runs") == [("failed",)]
    chain = await mirrors(orchestrator, workflow_id)
    assert chain[-1].metadata["recorded_by"] == RECONCILER
    assert chain[-1].processed_documents == 2
    assert "terminated" in chain[-1].metadata["why"]
    assert await differences(orchestrator, workflow_id) == []

    await harm(orchestrator, f"DELETE FROM workflow_checkpoints WHERE sequence = {chain[-1].sequence}")
    assert await differences(orchestrator, workflow_id) != [], "the audit reports the lost checkpoint"
    assert orchestrator.settings.checkpoint_dir
    for path in orchestrator.settings.checkpoint_dir.iterdir():
        path.unlink()
    await orchestrator.align_stores(workflow_id)
    await orchestrator.status(workflow_id)
    assert await mirrors(orchestrator, workflow_id) == chain, "a second recording gives the same bytes"

    start_worker()
    resumed = await orchestrator.resume_workflow_from_checkpoint(workflow_id)
    assert resumed.workflow_status == "completed"
    after = await mirrors(orchestrator, workflow_id)
    assert after[: len(chain)] == chain
    assert [entry.workflow_status for entry in after][-1] == "completed"
    assert await differences(orchestrator, workflow_id) == []


@pytest.mark.parametrize("how", ["terminated", "timed out"])
async def test_run_without_any_worker_is_recorded(
    orchestrator: PipelineOrchestrator,
    papers: Path,
    workflow_id: str,
    how: str,
    start_worker: Callable[[], ChaosWorker],
) -> None:
    await orchestrator.client.start_workflow(
        DocumentPipeline.run,
        PipelineInput(sources=[papers.as_uri()], options=PipelineOptions(search_attributes=False)),
        id=workflow_id,
        task_queue=orchestrator.settings.task_queue,
        run_timeout=timedelta(seconds=1 if how == "timed out" else 600),
    )
    if how == "terminated":
        await terminate(orchestrator, workflow_id)
    while (result := await find_execution(orchestrator.client, workflow_id)) and not result.close_time:
        await asyncio.sleep(0.1)
    assert result
    assert result.status != WorkflowExecutionStatus.RUNNING
    assert await differences(orchestrator, workflow_id) == [], "an audit of a complete mirror records an unrecorded end"
    (only,) = await mirrors(orchestrator, workflow_id)
    assert (only.sequence, only.workflow_status, only.timestamp) == (1, "failed", result.close_time)
    assert how in only.metadata["why"]
    start_worker()
    assert (await orchestrator.resume_workflow_from_checkpoint(workflow_id)).workflow_status == "completed"
    assert await differences(orchestrator, workflow_id) == []


async def test_recorded_end_revokes_the_leases_of_the_run(
    orchestrator: PipelineOrchestrator, papers: Path, workflow_id: str
) -> None:
    """A worker that was stopped in the middle of a document cannot store its result any more."""
    await orchestrator.start([str(papers)], workflow_id=workflow_id)
    result = await find_execution(orchestrator.client, workflow_id)
    assert result
    manifest = orchestrator.stores.manifest
    assert await manifest.claim(workflow_id, result.run_id, at_least=1) == 1
    await manifest.record(workflow_id, 1, [discovered("one.txt"), discovered("two.txt")])
    await manifest.enqueue_unfinished(workflow_id, 1, quarantined=False)
    lease = Lease(1, 1, 1)
    await manifest.lease_batch(workflow_id, lease, 0, 2)
    await manifest.commit(workflow_id, lease, 0, processed(), attempts=1)
    await terminate(orchestrator, workflow_id)
    recorded = await reconcile_run(orchestrator.client, orchestrator.stores, workflow_id)
    assert recorded
    with pytest.raises(StaleWriter):
        await manifest.commit(workflow_id, lease, 1, processed(), attempts=1)
    (only,) = await mirrors(orchestrator, workflow_id)
    data = only.state_data
    assert (only.processed_documents, data.documents_remaining) == (1, 1)
    assert (data.watermark, data.beyond_watermark, data.finished_since_last) == (1, [], [[0, 1]])
    assert await differences(orchestrator, workflow_id) == []


async def test_replaced_run_is_not_recorded(orchestrator: PipelineOrchestrator, papers: Path, workflow_id: str) -> None:
    await orchestrator.start([str(papers)], workflow_id=workflow_id)
    result = await find_execution(orchestrator.client, workflow_id)
    assert result
    manifest = orchestrator.stores.manifest
    await manifest.claim(workflow_id, result.run_id, at_least=1)
    await manifest.claim(workflow_id, "a run on another server", at_least=1)
    await terminate(orchestrator, workflow_id)
    before = await rows(orchestrator, "SELECT * FROM runs")
    assert await reconcile_run(orchestrator.client, orchestrator.stores, workflow_id) is None
    assert await mirrors(orchestrator, workflow_id) == []
    assert await rows(orchestrator, "SELECT * FROM runs") == before


async def test_each_unrecorded_end_is_recorded_once(
    orchestrator: PipelineOrchestrator, papers: Path, workflow_id: str
) -> None:
    for number in range(3):
        await orchestrator.start([str(papers)], workflow_id=f"{workflow_id}-{number}")
        await terminate(orchestrator, f"{workflow_id}-{number}")
    queue = orchestrator.settings.task_queue
    recorded: set[str] = set()
    async with asyncio.timeout(90):
        while len(recorded) < 3:  # the server lists ended runs with a delay
            result = await asyncio.gather(
                *[reconcile(orchestrator.client, orchestrator.stores, queue) for _ in range(2)]
            )
            new = [entry.workflow_id for each in result for entry in each]
            assert recorded.isdisjoint(new)
            assert len(set(new)) == len(new)
            recorded |= set(new)
    assert recorded == {f"{workflow_id}-{number}" for number in range(3)}
    for number in range(3):
        assert len(await mirrors(orchestrator, f"{workflow_id}-{number}")) == 1
    assert await reconcile(orchestrator.client, orchestrator.stores, queue) == []
    assert await rows(orchestrator, "SELECT count(*) FROM runs") == [(3,)], "runs of another queue are left alone"
