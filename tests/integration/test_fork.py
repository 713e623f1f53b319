"""A fork starts with the outputs of its checkpoint and does not change its origin."""

import asyncio
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestration.audit import verify
from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.client.run_status import RunReport
from orchestration.embedded.postgres import EmbeddedPostgres
from orchestration.settings import Settings
from orchestration.settings.temporal import TemporalSettings
from perdure.checkpoint import WorkflowCheckpoint
from perdure.errors import RefusedCommand, UnknownCheckpoint
from perdure.stores.postgres.differences import compare_runs
from perdure.stores.postgres.forks import copy_run
from tests.chaos.outputs import document_rows, outputs
from tests.chaos.papers import write_documents
from tests.integration.held_documents import HeldDocuments
from tests.integration.shared_run import place, script
from workflows.messages import PipelineOptions

ORIGIN = "origin"
DOCUMENTS = 9
MIDDLE = 5
"""The number of finished documents at one of the origin's checkpoints."""


@pytest.fixture(scope="module")
def settings(
    session_dir: Path, postgres_server: EmbeddedPostgres, _template: str, temporal_server: TemporalSettings
) -> Iterator[Settings]:
    with place(session_dir, postgres_server, _template, temporal_server) as shared:
        papers = write_documents(shared.data_dir / "papers", DOCUMENTS - 1)
        (papers / "empty.txt").touch()

        async def run() -> None:
            async with PipelineOrchestrator(shared, own_worker=False) as orchestrator:
                options = PipelineOptions(concurrency=1, batch_size=1)
                async with HeldDocuments(shared.database_url, MIDDLE):
                    await orchestrator.start([str(papers)], workflow_id=ORIGIN, options=options)
                    while True:
                        latest = await orchestrator.get_latest_checkpoint(ORIGIN)
                        if latest and latest.processed_documents == MIDDLE:
                            break
                        await asyncio.sleep(0.05)
                await orchestrator.wait(ORIGIN)

        asyncio.run(run())
        yield shared


@pytest.fixture
def new_id() -> str:
    return f"fork-{uuid.uuid4().hex[:8]}"


async def middle(orchestrator: PipelineOrchestrator, workflow_id: str = ORIGIN) -> WorkflowCheckpoint:
    """Return the checkpoint with `MIDDLE` documents finished."""
    chain = await orchestrator.list_checkpoints(workflow_id)
    return next(entry for entry in chain if entry.processed_documents == MIDDLE)


async def ended(orchestrator: PipelineOrchestrator, workflow_id: str) -> RunReport:
    report = await orchestrator.wait(workflow_id)
    assert report.workflow_status == "completed_with_failures"
    assert (await verify(orchestrator.client, orchestrator.stores, workflow_id)).differences == []
    return report


async def times(orchestrator: PipelineOrchestrator, workflow_id: str) -> dict[int, object]:
    rows = await document_rows(orchestrator.stores.pool, workflow_id)
    return {row.position: row.committed_at for row in rows if row.committed_at}


async def test_fork_keeps_finished_documents_and_processes_the_rest(
    orchestrator: PipelineOrchestrator, new_id: str
) -> None:
    checkpoint = await middle(orchestrator)
    before = await outputs(orchestrator.stores.pool, ORIGIN)
    forked = await orchestrator.fork(checkpoint.checkpoint_id, new_id)
    done = checkpoint.processed_documents + checkpoint.state_data.documents_quarantined
    assert forked.copied.processed + forked.copied.quarantined == done
    assert forked.copied.pending == DOCUMENTS - done
    await ended(orchestrator, new_id)
    assert await outputs(orchestrator.stores.pool, new_id) == before
    assert await compare_runs(orchestrator.stores.pool, ORIGIN, new_id, 5) == []
    origin = await times(orchestrator, ORIGIN)
    copy = await times(orchestrator, new_id)
    assert sum(copy[position] == time for position, time in origin.items()) == done, (
        "the fork processed other documents"
    )
    chain = await orchestrator.list_checkpoints(new_id)
    assert chain[0].metadata["sequence"] == 1
    assert chain[0].metadata["forked_from"]["checkpoint_id"] == checkpoint.checkpoint_id


async def test_fork_does_not_change_its_origin(orchestrator: PipelineOrchestrator, new_id: str) -> None:
    pool = orchestrator.stores.pool
    before = await outputs(pool, ORIGIN), await document_rows(pool, ORIGIN), await orchestrator.list_checkpoints(ORIGIN)
    await orchestrator.fork((await middle(orchestrator)).checkpoint_id, new_id)
    await ended(orchestrator, new_id)
    after = await outputs(pool, ORIGIN), await document_rows(pool, ORIGIN), await orchestrator.list_checkpoints(ORIGIN)
    assert after == before
    assert (await verify(orchestrator.client, orchestrator.stores, ORIGIN)).ok


async def test_fork_of_fork_and_fork_of_last_checkpoint_end_equal(
    orchestrator: PipelineOrchestrator, new_id: str
) -> None:
    await orchestrator.fork((await middle(orchestrator)).checkpoint_id, new_id)
    await ended(orchestrator, new_id)
    again = await orchestrator.fork((await orchestrator.list_checkpoints(new_id))[0].checkpoint_id, f"{new_id}-again")
    await ended(orchestrator, again.workflow_id)
    last = await orchestrator.fork((await orchestrator.list_checkpoints(ORIGIN))[-1].checkpoint_id, f"{new_id}-last")
    assert last.copied.pending == 0
    await ended(orchestrator, last.workflow_id)
    expected = await outputs(orchestrator.stores.pool, ORIGIN)
    for workflow_id in (new_id, again.workflow_id, last.workflow_id):
        assert await outputs(orchestrator.stores.pool, workflow_id) == expected


async def test_fork_killed_before_its_start_continues_when_repeated(
    orchestrator: PipelineOrchestrator, new_id: str
) -> None:
    checkpoint = await middle(orchestrator)
    await copy_run(orchestrator.stores.pool, checkpoint, new_id)  # the first request was killed here
    forked = await orchestrator.fork(checkpoint.checkpoint_id, new_id)
    assert forked.copied.pending > 0
    await ended(orchestrator, new_id)
    with pytest.raises(RefusedCommand, match="has ended already"):
        await orchestrator.fork(checkpoint.checkpoint_id, new_id)
    others = [entry for entry in await orchestrator.list_checkpoints(ORIGIN) if entry.sequence != checkpoint.sequence]
    with pytest.raises(RefusedCommand, match="not a fork of this checkpoint"):
        await orchestrator.fork(others[0].checkpoint_id, new_id)
    with pytest.raises(RefusedCommand, match="not a fork of this checkpoint"):
        await orchestrator.fork(checkpoint.checkpoint_id, ORIGIN)


async def test_concurrent_forks_under_one_id_start_one_run(orchestrator: PipelineOrchestrator, new_id: str) -> None:
    checkpoint = await middle(orchestrator)
    forks = await asyncio.gather(*[orchestrator.fork(checkpoint.checkpoint_id, new_id) for _ in range(3)])
    assert {entry.workflow_id for entry in forks} == {new_id}
    await ended(orchestrator, new_id)
    assert await outputs(orchestrator.stores.pool, new_id) == await outputs(orchestrator.stores.pool, ORIGIN)


async def test_fork_processes_documents_retried_since_its_checkpoint(
    orchestrator: PipelineOrchestrator, settings: Settings, new_id: str
) -> None:
    papers = write_documents(settings.data_dir / new_id, 4)
    (papers / "late.txt").touch()
    await orchestrator.start([str(papers)], workflow_id=new_id)
    await orchestrator.wait(new_id)
    before_retry = (await orchestrator.list_checkpoints(new_id))[-1]
    (papers / "late.txt").write_text("Mary Somerville wrote to Ada Lovelace from London.")
    assert (await script(settings, "retry-failed", "--workflow-id", new_id, "--detach")).code == 0
    assert (await orchestrator.wait(new_id)).workflow_status == "completed"
    sentences: list[str] = []
    forked = await orchestrator.fork(before_retry.checkpoint_id, f"{new_id}-back", say=sentences.append)
    assert (forked.copied.processed, forked.copied.quarantined, forked.copied.pending) == (4, 0, 1)
    assert any(
        "1 documents that were finished at that checkpoint have been processed again" in text for text in sentences
    )
    assert (await orchestrator.wait(forked.workflow_id)).workflow_status == "completed"
    assert await outputs(orchestrator.stores.pool, forked.workflow_id) == await outputs(
        orchestrator.stores.pool, new_id
    )


async def test_fork_from_unknown_checkpoint_is_refused(orchestrator: PipelineOrchestrator, settings: Settings) -> None:
    with pytest.raises(UnknownCheckpoint, match="no checkpoint 'chk_nonsense'"):
        await orchestrator.fork("chk_nonsense")
    done = await script(settings, "fork", "--checkpoint-id", "chk_nonsense")
    assert (done.code, done.stderr.count("\n")) == (2, 1)


async def test_resume_from_older_checkpoint_starts_a_fork(
    orchestrator: PipelineOrchestrator, settings: Settings
) -> None:
    checkpoint = await middle(orchestrator)
    done = await script(
        settings,
        "--workflow-id",
        ORIGIN,
        "--checkpoint-id",
        checkpoint.checkpoint_id,
        "--json",
        name="resume_workflow.py",
    )
    assert done.code == 1, "the fork completed with failures"
    assert done.json["workflow_id"].startswith(f"{ORIGIN}-fork-")
    assert await outputs(orchestrator.stores.pool, done.json["workflow_id"]) == await outputs(
        orchestrator.stores.pool, ORIGIN
    )
    latest = (await orchestrator.list_checkpoints(ORIGIN))[-1].checkpoint_id
    done = await script(settings, "--workflow-id", ORIGIN, "--checkpoint-id", latest, name="resume_workflow.py")
    assert "Nothing is left to do" in done.stderr
