"""A run that is started again does what is new or changed, and ends like a run that is started for the first time."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.embedded.postgres import EmbeddedPostgres
from orchestration.settings import Settings
from orchestration.settings.temporal import TemporalSettings
from perdure.manifest import Changes
from perdure.stores.postgres.differences import compare_runs
from tests.chaos.papers import write_documents
from tests.integration.shared_run import place, script


@pytest.fixture(scope="module")
def settings(
    session_dir: Path, postgres_server: EmbeddedPostgres, _template: str, temporal_server: TemporalSettings
) -> Iterator[Settings]:
    with place(session_dir, postgres_server, _template, temporal_server) as shared:
        yield shared


async def run(orchestrator: PipelineOrchestrator, workflow_id: str, papers: Path) -> None:
    await orchestrator.start([str(papers)], workflow_id=workflow_id)
    assert not (await orchestrator.wait(workflow_id)).running


async def test_started_again_it_comes_to_what_a_fresh_run_comes_to(settings: Settings) -> None:
    papers = write_documents(settings.data_dir / "papers", 8)
    async with PipelineOrchestrator(settings, own_worker=False) as orchestrator:
        await run(orchestrator, "again", papers)
        (papers / "00.txt").write_text("Grace Hopper met Ada Lovelace in Cambridge on 3 May 1952.")
        (papers / "01.md").unlink()
        (papers / "02.html").write_bytes(bytes(range(256)))  # what was readable is no more
        (papers / "new.txt").write_text("Michael Faraday wrote to the Royal Institution.")
        os.utime(papers / "03.csv", (1, 1))  # only touched
        before = await rows(orchestrator, "again")
        await run(orchestrator, "again", papers)
        assert await orchestrator.stores.manifest.changes("again") == Changes(1, 2, 0, 0, 1, 5)
        after = await rows(orchestrator, "again")
        untouched = [name for name in before if name in after and name[:2] not in ("00", "01", "02")]
        assert len(untouched) == 5
        assert all(before[name] == after[name] for name in untouched)
        await run(orchestrator, "fresh", papers)
        assert await compare_runs(orchestrator.stores.pool, "again", "fresh", limit=20) == []
    verified = await script(settings, "verify", "--workflow-id", "again")
    assert verified.code == 0, verified.stdout
    fork = await script(
        settings, "fork", "--checkpoint-id", (await last_checkpoint(settings)), "--workflow-id", "forked"
    )
    assert fork.code in (0, 1), fork.stderr  # one document is quarantined
    async with PipelineOrchestrator(settings, own_worker=False) as orchestrator:
        assert await compare_runs(orchestrator.stores.pool, "forked", "fresh", limit=20) == []


async def rows(orchestrator: PipelineOrchestrator, workflow_id: str) -> dict[str, object]:
    """Name to time of commit."""
    async with orchestrator.stores.pool.connection() as conn:
        found = await conn.fetch("SELECT name, committed_at FROM documents WHERE workflow_id = $1", workflow_id)
    return {row["name"]: row["committed_at"] for row in found}


async def last_checkpoint(settings: Settings) -> str:
    async with PipelineOrchestrator(settings, own_worker=False) as orchestrator:
        found = await orchestrator.stores.latest("again")
    assert found
    return found.checkpoint_id
