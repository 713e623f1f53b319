"""Each kind of damage to a run's rows, mirror or file makes the checker fail."""

import json
import shutil
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.embedded.postgres import EmbeddedPostgres
from orchestration.settings import Settings
from tests.chaos.checker import check, committed

RUN = "undisturbed"
Outputs = dict[str, tuple[int, str]]

IN_POSTGRES = {
    "a text is gone": "DELETE FROM document_texts WHERE position = 3",
    "a text is edited": "UPDATE document_texts SET text = text || ' ' WHERE position = 3",
    "a mention is moved": "UPDATE mentions SET start_offset = start_offset + 1 WHERE position = 2 AND ordinal = 0",
    "an identity is renamed": "UPDATE identities SET name = name || 'x'",
    "an edge is gone": "DELETE FROM graph_edges WHERE ctid = (SELECT min(ctid) FROM graph_edges)",
    "a node is moved": "UPDATE graph_nodes SET community = community + 1",
    "a vector is turned": "UPDATE document_vectors SET embedding = embedding * embedding WHERE position = 1",
    "a document is pending": "UPDATE documents SET status = 'pending' WHERE position = 4",
    "a document was committed again": "UPDATE documents SET committed_at = now() WHERE position = 5",
    "a document is lost": "DELETE FROM documents WHERE position = 9",
}
IN_MIRROR = {
    "a checkpoint is gone": "DELETE FROM workflow_checkpoints WHERE sequence = 2",
    "the last checkpoint is gone": """DELETE FROM workflow_checkpoints
        WHERE sequence = (SELECT max(sequence) FROM workflow_checkpoints)""",
    "a checkpoint is edited": """UPDATE workflow_checkpoints SET state_data = state_data || '{"documents_total": 11}'
        WHERE sequence = 2""",
}


def _shorten(stored: list[Any]) -> list[Any]:
    return stored[:-1]


def _edit(stored: list[Any]) -> list[Any]:
    stored[1]["processed_documents"] += 1
    return stored


IN_FILE: dict[str, Callable[[list[Any]], list[Any]]] = {
    "the last checkpoint is gone": _shorten,
    "a checkpoint is edited": _edit,
}


@pytest.fixture
async def copy(
    undisturbed: Outputs, undisturbed_settings: Settings, postgres_server: EmbeddedPostgres, tmp_path: Path
) -> AsyncIterator[PipelineOrchestrator]:
    """The undisturbed run in a copy of its database and files, which a test may damage."""
    assert undisturbed
    name = f"copy_{uuid.uuid4().hex[:12]}"
    postgres_server.create_database(name, template=RUN)
    assert undisturbed_settings.checkpoint_dir
    shutil.copytree(undisturbed_settings.checkpoint_dir, tmp_path / "checkpoints")
    settings = replace(
        undisturbed_settings, database_url=postgres_server.dsn(name), checkpoint_dir=tmp_path / "checkpoints"
    )
    async with PipelineOrchestrator(settings, own_worker=False) as orchestrator:
        yield orchestrator
    postgres_server.drop_database(name)


async def damage(orchestrator: PipelineOrchestrator, statement: str) -> None:
    """Execute a statement, and assert that it changed at least one row."""
    async with orchestrator.stores.pool.connection() as conn:
        assert (await conn.execute(statement)).split()[-1] != "0", "the statement changed no row"


async def test_check_passes_for_undamaged_run(copy: PipelineOrchestrator, undisturbed: Outputs) -> None:
    await check(copy, RUN, expected=undisturbed, before=await committed(copy, RUN))


@pytest.mark.parametrize("statement", IN_POSTGRES.values(), ids=IN_POSTGRES.keys())
async def test_check_fails_on_damaged_outputs(copy: PipelineOrchestrator, undisturbed: Outputs, statement: str) -> None:
    before = await committed(copy, RUN)
    await damage(copy, statement)
    with pytest.raises((AssertionError, KeyError, IndexError)):
        await check(copy, RUN, expected=undisturbed, before=before)


@pytest.mark.parametrize("statement", IN_MIRROR.values(), ids=IN_MIRROR.keys())
async def test_check_fails_if_mirror_differs_from_history(copy: PipelineOrchestrator, statement: str) -> None:
    async with copy.stores.pool.connection() as conn:
        await conn.execute("ALTER TABLE workflow_checkpoints DISABLE TRIGGER ALL")
    await damage(copy, statement)
    with pytest.raises(AssertionError):
        await check(copy, RUN)


@pytest.mark.parametrize("change", IN_FILE.values(), ids=IN_FILE.keys())
async def test_check_fails_if_file_differs_from_mirror(
    copy: PipelineOrchestrator, change: Callable[[list[Any]], list[Any]]
) -> None:
    assert copy.settings.checkpoint_dir
    (path,) = copy.settings.checkpoint_dir.glob("*_checkpoints.json")
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(AssertionError):
        await check(copy, RUN)


async def test_check_fails_on_unexpected_final_status(copy: PipelineOrchestrator) -> None:
    with pytest.raises(AssertionError):
        await check(copy, RUN, status="completed_with_failures")
