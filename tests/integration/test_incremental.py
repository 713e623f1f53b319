"""A repeated run ends like a first run over the same documents."""

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
    """Return the settings of a data folder for this module, on the shared servers."""
    with place(session_dir, postgres_server, _template, temporal_server) as shared:
        yield shared


async def run_to_end(orchestrator: PipelineOrchestrator, workflow_id: str, papers: Path) -> None:
    """Start a run over a folder, and wait until it has ended."""
    await orchestrator.start([str(papers)], workflow_id=workflow_id)
    assert not (await orchestrator.wait(workflow_id)).running


async def test_repeated_run_ends_like_a_first_run(settings: Settings) -> None:
    papers = write_documents(settings.data_dir / "papers", 8)
    async with PipelineOrchestrator(settings, own_worker=False) as orchestrator:
        await run_to_end(orchestrator, "again", papers)
        (papers / "00.txt").write_text("Grace Hopper met Ada Lovelace in Cambridge on 3 May 1952.")
        (papers / "01.md").unlink()
        (papers / "02.html").write_bytes(bytes(range(256)))  # no text any more
        (papers / "new.txt").write_text("Michael Faraday wrote to the Royal Institution.")
        os.utime(papers / "03.csv", (1, 1))  # the same content with other times
        before = await read_commit_times(orchestrator, "again")
        await run_to_end(orchestrator, "again", papers)
        assert await orchestrator.stores.manifest.changes("again") == Changes(1, 2, 0, 0, 1, 5)
        after = await read_commit_times(orchestrator, "again")
        untouched = [name for name in before if name in after and name[:2] not in ("00", "01", "02")]
        assert len(untouched) == 5
        assert all(before[name] == after[name] for name in untouched)
        await run_to_end(orchestrator, "fresh", papers)
        assert await compare_runs(orchestrator.stores.pool, "again", "fresh", limit=20) == []
    verified = await script(settings, "verify", "--workflow-id", "again")
    assert verified.code == 0, verified.stdout
    fork = await script(
        settings, "fork", "--checkpoint-id", await find_last_checkpoint(settings), "--workflow-id", "forked"
    )
    assert fork.code in (0, 1), fork.stderr  # one document is quarantined
    async with PipelineOrchestrator(settings, own_worker=False) as orchestrator:
        assert await compare_runs(orchestrator.stores.pool, "forked", "fresh", limit=20) == []


async def read_commit_times(orchestrator: PipelineOrchestrator, workflow_id: str) -> dict[str, object]:
    """Return the time of commit of each document, by its name."""
    async with orchestrator.stores.pool.connection() as conn:
        rows = await conn.fetch("SELECT name, committed_at FROM documents WHERE workflow_id = $1", workflow_id)
    return {row["name"]: row["committed_at"] for row in rows}


async def find_last_checkpoint(settings: Settings) -> str:
    """Return the id of the last checkpoint of the repeated run."""
    async with PipelineOrchestrator(settings, own_worker=False) as orchestrator:
        checkpoint = await orchestrator.stores.latest("again")
    assert checkpoint
    return checkpoint.checkpoint_id
