"""An audit finds no difference while its run works, and finds damage without Temporal too."""

import asyncio
import json
import os
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest

from orchestration.audit import Verification, rebuild_mirror, verify
from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.settings import Settings
from perdure.errors import RefusedCommand, ServerUnreachable
from tests.chaos.papers import write_documents
from tests.chaos.workers import ROOT, ChaosWorker
from tests.integration.audited_run import checkpoint_file, harm, rewrite
from tests.integration.held_documents import HeldDocuments
from tests.integration.stepwise_run import run_stepwise
from workflows.messages import PipelineOptions

RUN = "busy"
DOCUMENTS = 80


@pytest.fixture
def worker(settings: Settings) -> Iterator[ChaosWorker]:
    started = ChaosWorker(settings)
    started.wait_until_alive()
    yield started
    started.close()


async def audit(orchestrator: PipelineOrchestrator, workflow_id: str = RUN) -> Verification:
    return await verify(orchestrator.client, orchestrator.stores, workflow_id)


def command(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "starter.py", *arguments],
        cwd=ROOT,
        env={**os.environ, **settings.environment()},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.usefixtures("worker")
async def test_repeated_audits_of_a_running_run_find_no_difference(settings: Settings, tmp_path: Path) -> None:
    documents = write_documents(tmp_path / "papers", DOCUMENTS)
    async with PipelineOrchestrator(settings, own_worker=False) as orchestrator:
        first, *others = sorted(str(path) for path in documents.iterdir())
        await orchestrator.start([first], workflow_id=RUN, options=PipelineOptions(open=True, concurrency=4))
        async with HeldDocuments(settings.database_url, 0) as held:
            await orchestrator.add_documents(RUN, others)
            for end in (20, 40, 60):  # the run cannot end before these audits
                await held.hold_from(end)
                while (await orchestrator.status(RUN)).documents.processed < end:
                    assert (await audit(orchestrator)).differences == []
                assert (await audit(orchestrator)).differences == []
        while (await orchestrator.status(RUN)).documents.remaining:
            assert (await audit(orchestrator)).differences == []

        await orchestrator.pause(RUN)
        verification = await audit(orchestrator)
        assert verification.differences == []
        await harm(
            orchestrator,
            f"""INSERT INTO documents (workflow_id, position, uri, name, source, size_bytes, version, status, epoch,
                       ordinal, media_type, sha256, quality_score, characters, chunk_count, mention_count, committed_at)
                SELECT workflow_id, {DOCUMENTS}, 'file:///forged', 'forged', source, 1, 'v', 'processed', epoch,
                       {DOCUMENTS}, media_type, sha256, 1, 0, 0, 0, now() FROM documents WHERE position = 1""",
        )
        kinds = {difference.kind for difference in (await audit(orchestrator)).differences}
        assert kinds >= {"uncovered_document", "missing_text", "wrong_processed_count"}
        await harm(orchestrator, f"DELETE FROM documents WHERE position = {DOCUMENTS}")

        await harm(orchestrator, "DELETE FROM workflow_checkpoints WHERE sequence = 2")
        assert [difference.subject for difference in (await audit(orchestrator)).differences] == ["checkpoint 2"]
        await rebuild_mirror(orchestrator.client, orchestrator.stores, RUN)
        await orchestrator.unpause(RUN)
        await orchestrator.close_intake(RUN)
        assert (await orchestrator.wait(RUN)).workflow_status == "completed"
        assert (await audit(orchestrator)).differences == []


@pytest.fixture
async def empty_temporal(settings: Settings) -> AsyncIterator[Settings]:
    """Settings with the same stores and an empty namespace of Temporal."""
    name = f"empty-{uuid.uuid4().hex[:8]}"
    async with PipelineOrchestrator(settings, own_worker=False) as orchestrator:
        retention = Duration()
        retention.FromTimedelta(timedelta(days=1))
        await orchestrator.client.workflow_service.register_namespace(
            RegisterNamespaceRequest(namespace=name, workflow_execution_retention_period=retention)
        )
    empty = replace(settings, temporal=replace(settings.temporal, namespace=name))
    async with asyncio.timeout(240):
        while True:
            try:
                async with PipelineOrchestrator(empty, own_worker=False):
                    break
            except ServerUnreachable:
                await asyncio.sleep(0.2)
    yield empty


async def test_digests_confirm_a_run_whose_temporal_was_lost(
    settings: Settings, worker: ChaosWorker, empty_temporal: Settings, tmp_path: Path
) -> None:
    papers = write_documents(tmp_path / "papers", 4)
    async with PipelineOrchestrator(settings, own_worker=False) as orchestrator:
        await run_stepwise(orchestrator, RUN, sorted(papers.iterdir()))
    worker.close()

    async with PipelineOrchestrator(empty_temporal, own_worker=False) as orchestrator:
        verification = await audit(orchestrator)
        assert verification.differences == []
        assert any("Temporal does not know the run" in note for note in verification.notes)
        await harm(orchestrator, "UPDATE workflow_checkpoints SET processed_documents = 9 WHERE sequence = 2")
        assert [difference.kind for difference in (await audit(orchestrator)).differences] == ["edited_checkpoint"]
        await rebuild_mirror(orchestrator.client, orchestrator.stores, RUN)
        assert (await audit(orchestrator)).differences == []

        (papers / "late.txt").write_text("Ada Lovelace met Mary Somerville in Turin.")
        other = ChaosWorker(empty_temporal)
        try:
            await orchestrator.start([str(papers)], workflow_id=RUN)
            assert (await orchestrator.wait(RUN)).documents.processed == 5
        finally:
            other.close()
        verification = await audit(orchestrator)
        assert verification.differences == []
        assert any("confirms each" in note for note in verification.notes)
        assert verification.counts["history_checkpoints"] < verification.counts["mirror_checkpoints"]

        await harm(orchestrator, "DELETE FROM workflow_checkpoints WHERE sequence = 3")
        rewrite(checkpoint_file(orchestrator), lambda stored: [*stored[:1], *stored[2:]])
        assert {difference.subject for difference in (await audit(orchestrator)).differences} == {
            "checkpoint 2",
            "checkpoint 3",
        }
        await rebuild_mirror(orchestrator.client, orchestrator.stores, RUN)
        assert (await audit(orchestrator)).differences == []

        await harm(orchestrator, "DELETE FROM workflow_checkpoints WHERE sequence = 3")
        rewrite(checkpoint_file(orchestrator), lambda stored: [*stored[:2], *stored[3:]])
        with pytest.raises(RefusedCommand, match="No store and no history has an intact copy of checkpoint 3"):
            await rebuild_mirror(orchestrator.client, orchestrator.stores, RUN)


async def test_verify_and_rebuild_report_by_exit_code_and_json(
    settings: Settings, worker: ChaosWorker, tmp_path: Path
) -> None:
    assert worker.process.poll() is None
    run = ("--workflow-id", RUN)
    async with PipelineOrchestrator(settings, own_worker=False) as orchestrator:
        await orchestrator.start([str(write_documents(tmp_path / "papers", 2))], workflow_id=RUN)
        await orchestrator.wait(RUN)
        whole = command(settings, "verify", *run, "--json")
        assert whole.returncode == 0, whole
        answer = json.loads(whole.stdout)
        assert answer.keys() == {"ok", "checked", "differences"}
        assert (answer["ok"], answer["differences"], answer["checked"]["documents"]) == (True, [], 2)

        await harm(orchestrator, "DELETE FROM workflow_checkpoints WHERE sequence = 1")
        broken = command(settings, "verify", *run, "--json")
        assert broken.returncode == 1, broken
        (difference,) = json.loads(broken.stdout)["differences"]
        assert difference.keys() == {"kind", "subject", "sentence"}
        ended = command(settings, "verify", *run)
        assert (ended.returncode, ended.stdout.strip()) == (1, difference["sentence"])
        assert "1 difference" in ended.stderr

    repaired = command(settings, "rebuild-mirror", *run, "--json")
    assert repaired.returncode == 0, repaired
    assert json.loads(repaired.stdout)["changed"] is True
    assert command(settings, "verify", *run).returncode == 0
    for name in ("verify", "rebuild-mirror"):
        refused = command(settings, name, "--workflow-id", "unknown-run", "--json")
        assert (refused.returncode, refused.stdout) == (2, ""), refused
        assert "unknown-run" in refused.stderr
        away = command(replace(settings, database_url="postgresql://nobody@127.0.0.1:9/none"), name, *run, "--json")
        assert (away.returncode, away.stdout) == (2, ""), away
        assert "Postgres" in away.stderr
