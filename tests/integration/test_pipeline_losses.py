"""P6: a run whose history or store is lost resumes from the remaining stores."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.embedded.postgres import EmbeddedPostgres
from orchestration.settings import Settings
from tests.chaos.checker import check_chain, committed
from tests.chaos.gate import Gate
from tests.chaos.outputs import document_rows, outputs
from tests.chaos.papers import write_documents
from tests.chaos.short_histories import ShortHistories
from tests.chaos.workers import ChaosWorker
from workflows.messages import PipelineOptions

DOCUMENTS = 6


@pytest.fixture(scope="module")
def temporal(session_dir: Path) -> Iterator[ShortHistories]:
    server = ShortHistories(session_dir / "losses")
    yield server
    asyncio.run(server.down())


@pytest.fixture
async def interrupted(
    settings: Settings, temporal: ShortHistories, tmp_path: Path
) -> AsyncIterator[tuple[Settings, str]]:
    """Return a run of six documents whose worker died with three of them finished."""
    settings = replace(settings, temporal=await temporal.up())
    papers = write_documents(tmp_path / "papers", DOCUMENTS)
    workflow_id = f"loss-{uuid.uuid4().hex[:8]}"
    gate = Gate(settings.data_dir)
    gate.admit(3)
    worker = ChaosWorker.gated(settings)
    try:
        async with PipelineOrchestrator(settings, own_worker=False) as orchestrator:
            options = PipelineOptions(concurrency=1)
            await orchestrator.start([str(papers)], workflow_id=workflow_id, options=options)
            deadline = time.monotonic() + 90
            while True:
                latest = await orchestrator.get_latest_checkpoint(workflow_id)
                if latest and latest.processed_documents >= 3:
                    break
                assert time.monotonic() < deadline
                await asyncio.sleep(0.05)
        worker.kill()
    finally:
        gate.open()
        worker.close()
    yield settings, workflow_id


async def test_run_unknown_to_temporal_resumes_from_postgres(
    interrupted: tuple[Settings, str], temporal: ShortHistories
) -> None:
    settings, workflow_id = interrupted
    await temporal.forget()
    settings = replace(settings, temporal=await temporal.up())
    sentences: list[str] = []
    async with PipelineOrchestrator(settings) as orchestrator:
        before = await committed(orchestrator, workflow_id)
        assert len(before) == 3
        result = await orchestrator.resume_workflow_from_checkpoint(workflow_id, say=sentences.append)
        assert result.status == "completed"
        assert (result.documents.processed, result.documents.remaining) == (DOCUMENTS, 0)
        after = await committed(orchestrator, workflow_id)
        assert {position: after[position] for position in before} == before
        chain = list(await orchestrator.list_checkpoints(workflow_id))
    check_chain(workflow_id, chain)
    assert [chain[0].epoch, chain[-1].epoch] == [1, 2]
    assert f"Resuming from document {len(before) + 1} of {DOCUMENTS}." in sentences


async def test_run_known_to_files_alone_resumes_from_them(
    interrupted: tuple[Settings, str], temporal: ShortHistories, postgres_server: EmbeddedPostgres, _template: str
) -> None:
    settings, workflow_id = interrupted
    async with PipelineOrchestrator(settings) as orchestrator:
        old = list(await orchestrator.list_checkpoints(workflow_id))
    await temporal.forget()
    fresh = f"fresh_{uuid.uuid4().hex[:12]}"
    postgres_server.create_database(fresh, template=_template)
    settings = replace(settings, temporal=await temporal.up(), database_url=postgres_server.dsn(fresh))
    async with PipelineOrchestrator(settings) as orchestrator:
        assert (await orchestrator.get_latest_checkpoint(workflow_id)) == old[-1]
        result = await orchestrator.resume_workflow_from_checkpoint(workflow_id)
        assert result.status == "completed"
        assert result.documents.processed == DOCUMENTS
        documents = await document_rows(orchestrator.stores.pool, workflow_id)
        assert {document.status for document in documents} == {"processed"}
        assert (await outputs(orchestrator.stores.pool, workflow_id))["texts"][0] == DOCUMENTS
        stores = [list(await store.list(workflow_id)) for store in orchestrator.stores.checkpoints]
    postgres_server.drop_database(fresh)
    assert stores[0] == stores[1], "the new database has the old chain"
    assert stores[0][: len(old)] == old
    assert [checkpoint.sequence for checkpoint in stores[0]] == list(range(1, len(stores[0]) + 1))
    assert stores[0][-1].epoch > old[-1].epoch
