"""`diff` names every kind of output in which two runs differ, and nothing else."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.embedded.postgres import EmbeddedPostgres
from orchestration.settings import Settings
from orchestration.settings.temporal import TemporalSettings
from perdure.stores.postgres.comparison import OUTPUTS
from perdure.stores.postgres.differences import compare_runs
from tests.chaos.papers import write_documents
from tests.integration.audited_run import harm
from tests.integration.shared_run import place, script

LIMIT = 5
CHANGES = {
    "documents": "UPDATE documents SET title = 'Another' WHERE workflow_id = 'two' AND position = 1",
    "texts": "UPDATE document_texts SET text = text || ' ' WHERE workflow_id = 'two' AND position = 2",
    "sections": "INSERT INTO document_sections (workflow_id, position, start_offset, ordinal, level, heading) "
    "VALUES ('two', 3, 5, 99, 1, 'Another')",
    "document_tables": "INSERT INTO document_tables (workflow_id, position, ordinal, start_offset, end_offset, cells, "
    "cut) VALUES ('two', 3, 99, 5, 9, '[[\"a\"]]', false)",
    "chunks": "DELETE FROM chunks WHERE workflow_id = 'two' AND position = 1",
    "mentions": "UPDATE mentions SET kind = 'place' WHERE workflow_id = 'two' AND position = 1 AND ordinal = 0",
    "identities": "UPDATE identities SET mention_count = mention_count + 1 WHERE workflow_id = 'two'",
    "members": "UPDATE identity_members SET score = 0.11 WHERE workflow_id = 'two'",
    "aliases": "DELETE FROM identity_aliases WHERE workflow_id = 'two'",
    "nodes": "UPDATE graph_nodes SET degree = degree + 1 WHERE workflow_id = 'two'",
    "graph": "UPDATE graph_edges SET weight = weight + 1 WHERE workflow_id = 'two'",
    "tables": "UPDATE document_statistics SET characters = characters + 1 WHERE workflow_id = 'two'",
    "vectors": "DELETE FROM document_vectors WHERE workflow_id = 'two' AND position = 3",
}


@pytest.fixture(scope="module")
def settings(
    session_dir: Path, postgres_server: EmbeddedPostgres, _template: str, temporal_server: TemporalSettings
) -> Iterator[Settings]:
    """Yield settings of a place where the runs "one" and "two" over the same files have ended."""
    with place(session_dir, postgres_server, _template, temporal_server) as shared:
        papers = write_documents(shared.data_dir / "papers", 5)

        async def run() -> None:
            async with PipelineOrchestrator(shared, own_worker=False) as orchestrator:
                for workflow_id in ("one", "two"):
                    await orchestrator.start([str(papers)], workflow_id=workflow_id)
                    await orchestrator.wait(workflow_id)

        asyncio.run(run())
        yield shared


async def test_runs_over_the_same_documents_do_not_differ(settings: Settings) -> None:
    done = await script(settings, "diff", "one", "two")
    assert (done.code, done.stdout) == (0, "'one' and 'two' produced the same.\n")
    assert (await script(settings, "diff", "one", "two", "--json")).json == {"identical": True, "differences": []}


async def test_unknown_run_is_refused(settings: Settings) -> None:
    done = await script(settings, "diff", "one", "three")
    assert (done.code, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1


async def test_every_kind_of_output_that_differs_is_named(
    orchestrator: PipelineOrchestrator, settings: Settings
) -> None:
    assert set(CHANGES) == set(OUTPUTS)
    changed: set[str] = set()
    for kind, change in CHANGES.items():  # each change is added to those before it
        await harm(orchestrator, change)
        changed.add(kind)
        kinds = await compare_runs(orchestrator.stores.pool, "one", "two", LIMIT)
        assert {differing.kind for differing in kinds} == changed
        assert all(1 <= len(differing.first) <= min(differing.count, LIMIT) for differing in kinds)
        assert all(difference.subject for differing in kinds for difference in differing.first)
    done = await script(settings, "diff", "one", "two")
    assert done.code == 1
    assert "documents: 'file:///" in done.stdout
    assert "differs between 'one' and 'two'" in done.stdout
    answer = (await script(settings, "diff", "one", "two", "--json")).json
    assert not answer["identical"]
    assert {difference["kind"] for difference in answer["differences"]} == changed
