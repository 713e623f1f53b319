"""P6: a run whose history Temporal has deleted resumes from the mirror alone."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest

from orchestration.audit import verify
from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.client.run_status import find_execution
from orchestration.connection import connect_to
from orchestration.embedded.stack import EmbeddedStack
from orchestration.embedded.temporal import DYNAMIC_CONFIG
from orchestration.settings import Settings
from orchestration.settings.temporal import TemporalSettings
from perdure.errors import ServerUnreachable
from tests.chaos.outputs import document_rows
from tests.chaos.papers import write_documents
from tests.chaos.workers import ChaosWorker
from tests.integration.shared_run import script
from workflows.messages import PipelineOptions

NAMESPACE = "forgetful"
SHORTEST = timedelta(seconds=1)
FORGET_SECONDS = 150.0


@pytest.fixture
async def forgetful(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Settings]:
    """Return settings of a server with a namespace that keeps closed runs for a second.

    By default the server accepts no retention below an hour. The fixture creates a namespace with a retention of a
    second. A change of an existing namespace's retention would reach the server's cache only after some seconds, and a
    run that ends earlier would keep the retention of a day.
    """
    monkeypatch.setitem(DYNAMIC_CONFIG, "system.namespaceMinRetentionLocal", "1s")
    monkeypatch.setitem(DYNAMIC_CONFIG, "history.retentionTimerJitterDuration", "1s")
    stack = EmbeddedStack(tmp_path / "forgetful", postgres=False, default_ports=False)
    record = (await stack.up()).temporal
    assert record
    try:
        client = await connect_to(TemporalSettings(record.address))
        retention = Duration()
        retention.FromTimedelta(SHORTEST)
        await client.workflow_service.register_namespace(
            RegisterNamespaceRequest(namespace=NAMESPACE, workflow_execution_retention_period=retention)
        )
        temporal = TemporalSettings(record.address, namespace=NAMESPACE)
        await until_known(temporal)
        yield replace(settings, temporal=temporal)
    finally:
        await stack.down()


async def until_known(temporal: TemporalSettings) -> None:
    """Wait until the server's cache has the new namespace."""
    async with asyncio.timeout(90):
        while True:
            try:
                await connect_to(temporal)
            except ServerUnreachable:
                await asyncio.sleep(0.1)
            else:
                return


async def until_forgotten(orchestrator: PipelineOrchestrator, workflow_id: str) -> None:
    async with asyncio.timeout(FORGET_SECONDS):
        while await find_execution(orchestrator.client, workflow_id):
            await asyncio.sleep(0.2)


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_run_with_expired_history_resumes_from_the_mirror(forgetful: Settings, tmp_path: Path) -> None:
    first, later = (write_documents(tmp_path / name, count) for name, count in (("first", 6), ("later", 14)))
    worker = ChaosWorker(forgetful)
    try:
        async with PipelineOrchestrator(forgetful, own_worker=False) as orchestrator:
            await orchestrator.start([str(first)], workflow_id="expired", options=PipelineOptions(open=True))
            async with asyncio.timeout(FORGET_SECONDS):
                while (await orchestrator.status("expired")).documents.processed < 6:
                    await asyncio.sleep(0.05)
            await orchestrator.pause("expired")  # the later documents stay unprocessed until the run is terminated
            await orchestrator.add_documents("expired", [str(later)])
            await orchestrator.client.get_workflow_handle("expired").terminate("in the middle")
            await until_forgotten(orchestrator, "expired")
            pool = orchestrator.stores.pool
            before = {row.position: row.committed_at for row in await document_rows(pool, "expired")}
            chain = await orchestrator.list_checkpoints("expired")
            done = await script(forgetful, "--workflow-id", "expired", name="resume_workflow.py")
            assert done.code == 0, done.stderr
            assert "Temporal reports 'expired' as unknown. A new run continues under the same id." in done.stderr
            after = {row.position: row.committed_at for row in await document_rows(pool, "expired")}
            assert len(after) == 20
            assert all(after.values())
            assert all(after[position] == time for position, time in before.items() if time)
            grown = await orchestrator.list_checkpoints("expired")
            assert [checkpoint.digest for checkpoint in grown[: len(chain)]] == [
                checkpoint.digest for checkpoint in chain
            ]
            verification = await verify(orchestrator.client, orchestrator.stores, "expired")
            assert verification.differences == []
            await until_forgotten(orchestrator, "expired")
            verification = await verify(orchestrator.client, orchestrator.stores, "expired")
            assert verification.differences == []
            assert any("Temporal does not know the run" in note for note in verification.notes)
            again = await script(forgetful, "--workflow-id", "expired", name="resume_workflow.py")
            assert (again.code, "Nothing is left to do" in again.stderr) == (0, True)
    finally:
        worker.close()
