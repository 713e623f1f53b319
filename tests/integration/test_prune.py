"""`prune` deletes only the oldest checkpoints, and the rest stays verifiable.

The command never deletes the latest checkpoint of a run.
"""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from orchestration.audit import verify
from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.embedded.postgres import EmbeddedPostgres
from orchestration.settings import Settings
from orchestration.settings.temporal import TemporalSettings
from perdure.stores.postgres.retention import retire
from tests.chaos.papers import write_documents
from tests.integration.audited_run import harm
from tests.integration.held_documents import HeldDocuments
from tests.integration.shared_run import place, script
from tests.integration.stepwise_run import begin_stepwise, run_stepwise


@pytest.fixture(scope="module")
def settings(
    session_dir: Path, postgres_server: EmbeddedPostgres, _template: str, temporal_server: TemporalSettings
) -> Iterator[Settings]:
    with place(session_dir, postgres_server, _template, temporal_server) as shared:
        yield shared


@pytest.fixture
async def run(orchestrator: PipelineOrchestrator, settings: Settings) -> str:
    """A completed run with some checkpoints."""
    workflow_id = f"pruned-{uuid.uuid4().hex[:8]}"
    papers = write_documents(settings.data_dir / workflow_id, 6)
    await run_stepwise(orchestrator, workflow_id, sorted(papers.iterdir()))
    return workflow_id


async def sequences(orchestrator: PipelineOrchestrator, workflow_id: str) -> list[int]:
    return [int(checkpoint.metadata["sequence"]) for checkpoint in await orchestrator.list_checkpoints(workflow_id)]


def in_file(settings: Settings, workflow_id: str) -> list[int]:
    path = settings.data_dir / "checkpoints" / f"{workflow_id}_checkpoints.json"
    return [checkpoint["metadata"]["sequence"] for checkpoint in json.loads(path.read_text())]


async def test_prune_by_count_keeps_the_newest_and_a_verifiable_chain(
    orchestrator: PipelineOrchestrator, settings: Settings, run: str
) -> None:
    before = await sequences(orchestrator, run)
    dry = await script(settings, "prune", "--workflow-id", run, "--keep", "2", "--dry-run", "--json")
    assert dry.json["dry_run"]
    assert await sequences(orchestrator, run) == before == in_file(settings, run)
    done = await script(settings, "prune", "--workflow-id", run, "--keep", "2", "--json")
    assert (done.code, done.json["pruned"][0]["checkpoints"]) == (0, len(before) - 2)
    assert await sequences(orchestrator, run) == before[-2:] == in_file(settings, run)
    verification = await verify(orchestrator.client, orchestrator.stores, run)
    assert verification.differences == []
    assert any("they were pruned" in note for note in verification.notes)
    again = await script(settings, "prune", "--workflow-id", run, "--keep", "2", "--json")
    assert (again.code, again.json["pruned"]) == (0, [])


async def test_prune_by_age_keeps_newer_checkpoints_and_the_latest(
    orchestrator: PipelineOrchestrator, settings: Settings, run: str
) -> None:
    before = await orchestrator.list_checkpoints(run)
    assert (await script(settings, "prune", "--workflow-id", run, "--older-than", "1h", "--json")).json["pruned"] == []
    gone = await retire(orchestrator.stores.pool, run, keep=1, older_than=before[2].timestamp)
    assert (gone.checkpoints, gone.up_to_sequence) == (2, 2)
    assert await orchestrator.list_checkpoints(run) == before[2:]
    await script(settings, "prune", "--workflow-id", run, "--older-than", "0s")
    assert await sequences(orchestrator, run) == [len(before)] == in_file(settings, run)
    assert (await verify(orchestrator.client, orchestrator.stores, run)).ok


async def test_damage_to_a_pruned_chain_is_still_found(
    orchestrator: PipelineOrchestrator, settings: Settings, run: str
) -> None:
    assert (await script(settings, "prune", "--workflow-id", run, "--keep", "3")).code == 0
    first, second, _ = await sequences(orchestrator, run)
    where = f"WHERE workflow_id = '{run}' AND sequence"
    await harm(orchestrator, f"UPDATE workflow_checkpoints SET processed_documents = 77 {where} = {second}")
    kinds = {
        difference.kind for difference in (await verify(orchestrator.client, orchestrator.stores, run)).differences
    }
    assert kinds == {"edited_checkpoint"}
    assert (await script(settings, "rebuild-mirror", "--workflow-id", run)).code == 0
    assert (await verify(orchestrator.client, orchestrator.stores, run)).ok
    await harm(orchestrator, f"DELETE FROM workflow_checkpoints {where} = {first}")
    kinds = {
        difference.kind for difference in (await verify(orchestrator.client, orchestrator.stores, run)).differences
    }
    assert kinds == {"missing_checkpoint"}


async def test_only_the_retention_role_may_delete_only_the_oldest(orchestrator: PipelineOrchestrator, run: str) -> None:
    delete = "DELETE FROM workflow_checkpoints WHERE workflow_id = $1"
    async with orchestrator.stores.pool.connection() as conn:
        with pytest.raises(asyncpg.PostgresError):
            await conn.execute(f"{delete} AND sequence = 1", run)
    for condition in ("", " AND sequence = 2"):
        async with orchestrator.stores.pool.connection() as conn, conn.transaction():
            await conn.execute("SET LOCAL ROLE perdure_retention")
            with pytest.raises(asyncpg.PostgresError):
                await conn.execute(delete + condition, run)
            await conn.execute("ROLLBACK")
            await conn.execute("BEGIN")
    async with orchestrator.stores.pool.connection() as conn:
        for table in ("documents", "runs", "chunks", "retired_checkpoints"):
            assert not await conn.fetchval(f"SELECT has_table_privilege('perdure_retention', '{table}', 'DELETE')")
        assert not await conn.fetchval(
            "SELECT has_table_privilege('perdure_retention', 'workflow_checkpoints', 'UPDATE, INSERT')"
        )


async def test_a_pruned_and_terminated_run_resumes(orchestrator: PipelineOrchestrator, settings: Settings) -> None:
    workflow_id = f"pruned-{uuid.uuid4().hex[:8]}"
    papers = write_documents(settings.data_dir / workflow_id, 20)
    await begin_stepwise(orchestrator, workflow_id, sorted(papers.iterdir())[:4])
    async with HeldDocuments(settings.database_url, 4):
        await orchestrator.add_documents(workflow_id, [str(papers)])
        await orchestrator.client.get_workflow_handle(workflow_id).terminate("in the middle")
    old = (await orchestrator.list_checkpoints(workflow_id))[0]
    assert (await script(settings, "prune", "--workflow-id", workflow_id, "--keep", "1")).code == 0
    refused = await script(settings, "fork", "--checkpoint-id", old.checkpoint_id)
    assert (refused.code, "may have been pruned" in refused.stderr) == (2, True)
    done = await script(settings, "--workflow-id", workflow_id, name="resume_workflow.py")
    assert done.code == 0, done.stderr
    assert (await verify(orchestrator.client, orchestrator.stores, workflow_id)).differences == []
    assert (await script(settings, "prune", "--all", "--keep", "2")).code == 0
    assert len(await sequences(orchestrator, workflow_id)) == 2
    assert (await verify(orchestrator.client, orchestrator.stores, workflow_id)).differences == []


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--all",),
        ("--workflow-id", "unknown", "--keep", "1"),
        ("--all", "--keep", "0"),
        ("--all", "--older-than", "soon"),
        ("--all", "--workflow-id", "x", "--keep", "1"),
    ],
)
async def test_wrong_arguments_of_prune_delete_nothing(settings: Settings, arguments: tuple[str, ...]) -> None:
    done = await script(settings, "prune", *arguments)
    assert (done.code, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
