"""`verify` finds each kind of damage and nothing else; `rebuild-mirror` repairs chains."""

import asyncio
import json
import shutil
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestration.audit import Verification, rebuild_mirror, verify
from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.embedded.postgres import EmbeddedPostgres
from orchestration.settings import Settings
from orchestration.settings.temporal import TemporalSettings
from perdure.checkpoint import seal
from perdure.errors import RefusedCommand, UnknownWorkflow
from tests.chaos.papers import write_documents
from tests.chaos.workers import ChaosWorker
from tests.integration.audited_run import (
    FILE_BYTES,
    FILE_CONTENTS,
    IN_DOCUMENTS,
    IN_MIRROR,
    RUN,
    Damage,
    checkpoint_file,
    harm,
    rewrite,
)
from tests.integration.stepwise_run import run_stepwise


@pytest.fixture(scope="module")
def original(
    session_dir: Path, postgres_server: EmbeddedPostgres, _template: str, temporal_server: TemporalSettings
) -> Settings:
    """The settings of a finished run with one quarantined document.

    Tests change only copies of its stores.
    """
    name = f"{RUN}_{uuid.uuid4().hex[:8]}"
    postgres_server.create_database(name, template=_template)
    folder = session_dir / name
    folder.mkdir()
    settings = Settings(
        data_dir=folder,
        database_url=postgres_server.dsn(name),
        temporal=temporal_server,
        task_queue=name,
        checkpoint_dir=folder / "checkpoints",
        pool_workers=1,
    )
    documents = write_documents(folder / "documents", 6)
    (documents / "nothing.txt").touch()

    async def run() -> None:
        worker = ChaosWorker(settings)
        try:
            async with PipelineOrchestrator(settings, own_worker=False) as orchestrator:
                worker.wait_until_alive()
                await run_stepwise(orchestrator, RUN, sorted(documents.iterdir()))
        finally:
            worker.close()

    asyncio.run(run())
    return settings


@contextmanager
def copied(original: Settings, postgres_server: EmbeddedPostgres, folder: Path) -> Iterator[Settings]:
    name = f"copy_{uuid.uuid4().hex[:12]}"
    postgres_server.create_database(name, template=original.database_url.rpartition("/")[2].partition("?")[0])
    assert original.checkpoint_dir
    shutil.copytree(original.checkpoint_dir, folder / "checkpoints")
    yield replace(original, database_url=postgres_server.dsn(name), checkpoint_dir=folder / "checkpoints")
    postgres_server.drop_database(name)


@pytest.fixture
async def copy(
    original: Settings, postgres_server: EmbeddedPostgres, tmp_path: Path
) -> AsyncIterator[PipelineOrchestrator]:
    """The run in a copied database and copied files."""
    with copied(original, postgres_server, tmp_path) as settings:
        async with PipelineOrchestrator(settings, own_worker=False) as orchestrator:
            yield orchestrator


@pytest.fixture(scope="module")
def lasting_copy(
    original: Settings, postgres_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    with copied(original, postgres_server, tmp_path_factory.mktemp("lasting")) as settings:
        yield settings


@pytest.fixture
async def repairable(lasting_copy: Settings) -> AsyncIterator[PipelineOrchestrator]:
    """A copy that each test damages and repairs, so that the next test can use it too."""
    async with PipelineOrchestrator(lasting_copy, own_worker=False) as orchestrator:
        assert (await audit(orchestrator)).differences == []
        yield orchestrator


async def audit(orchestrator: PipelineOrchestrator) -> Verification:
    return await verify(orchestrator.client, orchestrator.stores, RUN)


async def rebuild(orchestrator: PipelineOrchestrator) -> bool:
    return (await rebuild_mirror(orchestrator.client, orchestrator.stores, RUN)).changed


async def test_an_undamaged_run_has_no_difference_and_counts_everything(copy: PipelineOrchestrator) -> None:
    verification = await audit(copy)
    assert verification.differences == []
    assert verification.notes == []
    assert min(verification.counts.values()) > 0, verification.counts
    assert verification.counts["history_checkpoints"] == verification.counts["mirror_checkpoints"] >= 6
    assert await rebuild(copy) is False


@pytest.mark.parametrize("change", IN_MIRROR, ids=str)
async def test_damaged_rows_are_found_and_repaired(repairable: PipelineOrchestrator, change: Damage) -> None:
    await harm(repairable, change.statements)
    verification = await audit(repairable)
    assert {difference.kind for difference in verification.differences} & change.kinds, verification.differences
    sentences = [difference.sentence for difference in verification.differences]
    assert any(change.sentence_part in sentence for sentence in sentences), sentences
    assert await rebuild(repairable) is True
    assert (await audit(repairable)).differences == []
    assert await rebuild(repairable) is False


@pytest.mark.parametrize("change", IN_DOCUMENTS, ids=str)
async def test_damaged_documents_and_outputs_are_found(copy: PipelineOrchestrator, change: Damage) -> None:
    await harm(copy, change.statements)
    verification = await audit(copy)
    assert {difference.kind for difference in verification.differences} & change.kinds, verification.differences
    sentences = [difference.sentence for difference in verification.differences]
    assert any(change.sentence_part in sentence for sentence in sentences), sentences
    if change is IN_DOCUMENTS[0]:
        assert await rebuild(copy) is False, "only checkpoints are rebuilt"


@pytest.mark.parametrize(("change", "kind"), FILE_CONTENTS.values(), ids=FILE_CONTENTS.keys())
async def test_damaged_elements_of_the_file_are_found_and_repaired(
    repairable: PipelineOrchestrator, change: Callable[[list[Any]], Any], kind: str
) -> None:
    path = checkpoint_file(repairable)
    rewrite(path, change)
    await _assert_found_and_repaired(repairable, path, kind)


@pytest.mark.parametrize(("change", "kind"), FILE_BYTES.values(), ids=FILE_BYTES.keys())
async def test_a_torn_file_is_found_and_repaired(
    repairable: PipelineOrchestrator, change: Callable[[bytes], bytes], kind: str
) -> None:
    path = checkpoint_file(repairable)
    path.write_bytes(change(path.read_bytes()))
    await _assert_found_and_repaired(repairable, path, kind)


async def _assert_found_and_repaired(repairable: PipelineOrchestrator, path: Path, kind: str) -> None:
    damaged = path.read_bytes()
    verification = await audit(repairable)
    assert kind in {difference.kind for difference in verification.differences}, verification.differences
    assert all(path.name in difference.sentence for difference in verification.differences), verification.differences
    assert path.read_bytes() == damaged, "an audit changes nothing"
    assert await rebuild(repairable) is True
    assert (await audit(repairable)).differences == []
    stored = [checkpoint.model_dump(mode="json") for checkpoint in await repairable.stores.leader.list(RUN)]
    assert json.loads(path.read_text()) == stored
    if kind != "missing_checkpoint":
        assert [file for file in path.parent.glob(f"{path.name}.damaged-*") if file.read_bytes() == damaged]


async def test_edited_deleted_and_added_rows_are_all_named(copy: PipelineOrchestrator) -> None:
    for number in (0, 4, 9):
        await harm(copy, IN_MIRROR[number].statements)
    verification = await audit(copy)
    assert {difference.subject for difference in verification.differences} >= {"checkpoint 1", "checkpoint 2"}
    assert any("chk_added" in difference.sentence for difference in verification.differences)
    assert await rebuild(copy) is True
    assert (await audit(copy)).differences == []


async def test_a_rebuild_without_files_uses_history_alone(copy: PipelineOrchestrator) -> None:
    settings = replace(copy.settings, checkpoint_dir=None)
    await harm(copy, "DELETE FROM workflow_checkpoints WHERE sequence > 2")
    async with PipelineOrchestrator(settings, own_worker=False) as without_files:
        assert [difference.kind for difference in (await audit(without_files)).differences] == ["missing_checkpoint"]
        assert await rebuild(without_files) is True
        assert (await audit(without_files)).differences == []


@pytest.mark.parametrize("file_too", [True, False])
async def test_pruned_checkpoints_are_no_difference_and_stay_pruned(
    copy: PipelineOrchestrator, *, file_too: bool
) -> None:
    async with copy.stores.pool.transaction() as conn:
        await conn.execute("SET LOCAL ROLE perdure_retention")
        await conn.execute("DELETE FROM workflow_checkpoints WHERE sequence <= 2")
        await conn.execute("RESET ROLE")
        await conn.execute(
            """INSERT INTO retired_checkpoints (workflow_id, up_to_sequence, last_digest, checkpoints)
               SELECT workflow_id, 2, previous_digest, 2 FROM workflow_checkpoints WHERE sequence = 3"""
        )
    if file_too:
        rewrite(checkpoint_file(copy), lambda stored: stored[2:])
    verification = await audit(copy)
    assert verification.differences == []
    assert any("they were pruned" in note for note in verification.notes)
    assert await rebuild(copy) is False
    await harm(copy, "DELETE FROM workflow_checkpoints WHERE sequence = 3")
    assert [difference.subject for difference in (await audit(copy)).differences] == ["checkpoint 3"]
    assert await rebuild(copy) is True
    assert (await audit(copy)).differences == []
    assert (await copy.stores.leader.list(RUN))[0].sequence == 3


async def test_only_the_rebuild_role_may_replace_checkpoints(copy: PipelineOrchestrator) -> None:
    async with copy.stores.pool.connection() as conn:
        for role in ("perdure_inspector", "perdure_retention"):
            await conn.execute(f"SET ROLE {role}")
            with pytest.raises(Exception, match="permission denied"):
                await conn.fetchval("SELECT rebuild_checkpoints($1, 1, '[]')", RUN)
            await conn.execute("RESET ROLE")
        for role in ("perdure_rebuild", "NONE"):
            await conn.execute(f"SET ROLE {role}")
            await conn.execute("SELECT set_config('perdure.rebuilding', 'another', false)")
            with pytest.raises(Exception, match=r"append-only|replaces the end of one chain"):
                await conn.execute("DELETE FROM workflow_checkpoints WHERE sequence > 2")
        await conn.execute("SELECT set_config('perdure.rebuilding', '', false)")
    assert (await audit(copy)).differences == []


async def test_a_rebuild_is_refused_when_two_stores_contradict_history(copy: PipelineOrchestrator) -> None:
    """Both stores hold the same intact checkpoint, and no run took it."""
    await harm(copy, "DELETE FROM workflow_checkpoints WHERE sequence > 2")
    rows = list(await copy.stores.leader.list(RUN))
    elements = await copy.stores.followers[0].list(RUN)
    forged = seal(elements[2].model_copy(update={"processed_documents": 5}))
    path = checkpoint_file(copy)
    path.write_text(json.dumps([checkpoint.model_dump(mode="json") for checkpoint in [*rows, forged]]))
    await copy.stores.leader.restore([forged])
    assert {difference.kind for difference in (await audit(copy)).differences} >= {"edited_checkpoint"}
    with pytest.raises(RefusedCommand, match="cannot be decided"):
        await rebuild(copy)
    assert list(await copy.stores.leader.list(RUN)) == [*rows, forged]


async def test_an_unknown_run_is_refused(copy: PipelineOrchestrator) -> None:
    for ask in (verify, rebuild_mirror):
        with pytest.raises(UnknownWorkflow):
            await ask(copy.client, copy.stores, "unknown-run")
