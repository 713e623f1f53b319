"""Whole runs with real servers, real workers and real documents."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import uuid
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.settings import Settings
from tests.chaos.checker import check, committed
from tests.chaos.papers import write_documents
from tests.chaos.workers import ROOT, ChaosWorker
from workflows.messages import PipelineOptions

CLIENT = Path(__file__).with_name("open_run_client.py")


@pytest.fixture
def papers(tmp_path: Path) -> Path:
    return write_documents(tmp_path / "papers", 5)


@pytest.fixture
def workflow_id() -> str:
    return f"pipeline-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def start_worker() -> Iterator[Callable[[Settings], ChaosWorker]]:
    started: list[ChaosWorker] = []

    def start(settings: Settings) -> ChaosWorker:
        started.append(ChaosWorker(settings))
        started[-1].wait_until_alive()
        return started[-1]

    yield start
    for worker in started:
        worker.close()


async def test_open_run_survives_death_of_its_client_and_worker(
    settings: Settings, papers: Path, workflow_id: str
) -> None:
    first, second = sorted(papers.iterdir())[:2]
    client = subprocess.Popen(
        [sys.executable, str(CLIENT), workflow_id, str(first), str(second)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, **settings.environment(), "PYTHONPATH": str(ROOT)},
    )
    assert client.stdout
    with client.stdout:
        seen = [client.stdout.readline().split() for _ in range(3)]
    psutil.Process(int(seen[2][1])).kill()  # first: a worker ends by itself when its client has ended
    client.kill()
    assert client.wait() == -signal.SIGKILL
    assert [line[1] for line in seen[:2]] == ["1", "2"], "one checkpoint for each document"
    assert int(seen[0][0]) < int(seen[1][0])

    async with PipelineOrchestrator(settings) as orchestrator:
        checkpoint = await orchestrator.get_latest_checkpoint(workflow_id)
        assert checkpoint
        assert checkpoint.processed_documents == 2
        assert (await orchestrator.status(workflow_id)).running
        before = await committed(orchestrator, workflow_id)
        result = await orchestrator.resume_workflow_from_checkpoint(workflow_id)
        assert result.status == "completed"
        await check(orchestrator, workflow_id, before=before)


async def test_run_over_a_folder_stores_all_results(
    settings: Settings,
    orchestrator: PipelineOrchestrator,
    papers: Path,
    workflow_id: str,
    start_worker: Callable[[Settings], ChaosWorker],
) -> None:
    start_worker(settings)
    await orchestrator.start([str(papers)], workflow_id=workflow_id)
    ended = await orchestrator.wait(workflow_id)
    result = await check(orchestrator, workflow_id)
    assert (ended.documents.total, ended.documents.processed, ended.documents.remaining) == (5, 5, 0)
    assert 0 < ended.quality_score <= 1
    assert result.outputs["documents"][0] == result.outputs["texts"][0] == result.outputs["vectors"][0] == 5
    assert result.outputs["identities"][0] > 0


async def test_documents_added_singly_get_one_checkpoint_each(
    settings: Settings,
    orchestrator: PipelineOrchestrator,
    papers: Path,
    workflow_id: str,
    start_worker: Callable[[Settings], ChaosWorker],
) -> None:
    start_worker(settings)
    await orchestrator.start([], workflow_id=workflow_id, options=PipelineOptions(open=True))
    for number, paper in enumerate(sorted(papers.iterdir()), start=1):
        checkpoint = await orchestrator.process_document(workflow_id, str(paper))
        assert (checkpoint.sequence, checkpoint.processed_documents) == (number, number)
    await orchestrator.close_intake(workflow_id)
    await orchestrator.wait(workflow_id)
    result = await check(orchestrator, workflow_id)
    assert len(result.checkpoints) == 6


async def test_process_document_returns_how_each_document_ended(
    settings: Settings,
    orchestrator: PipelineOrchestrator,
    papers: Path,
    workflow_id: str,
    tmp_path: Path,
    start_worker: Callable[[Settings], ChaosWorker],
) -> None:
    start_worker(settings)
    await orchestrator.start([], workflow_id=workflow_id, options=PipelineOptions(open=True))
    good = min(papers.iterdir())
    broken = tmp_path / "broken.pdf"
    broken.write_bytes(b"%PDF-1.7 and nothing else")
    archive = tmp_path / "archive.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.txt", "Ada Lovelace wrote to London.")
        file.write(broken, "broken.pdf")
    result = {}
    for source in (good, broken, archive, good):
        checkpoint = await orchestrator.process_document(workflow_id, str(source))
        assert checkpoint == await orchestrator.get_latest_checkpoint(workflow_id)
        assert "outcomes" not in checkpoint.model_dump()
        result[source] = [outcome.status for outcome in checkpoint.outcomes]
        assert all(bool(outcome.reason) == (outcome.status == "quarantined") for outcome in checkpoint.outcomes)
    assert result == {good: ["processed"], broken: ["quarantined"], archive: ["processed", "quarantined"]}
    await orchestrator.close_intake(workflow_id)
    await orchestrator.wait(workflow_id)


async def test_broken_document_is_quarantined_and_retried_alone(
    settings: Settings,
    orchestrator: PipelineOrchestrator,
    papers: Path,
    workflow_id: str,
    start_worker: Callable[[Settings], ChaosWorker],
) -> None:
    """P7 and P8: the document does not stop the run, and a retry processes no other document."""
    bad = papers / "bad.txt"
    bad.write_bytes(b"")
    start_worker(settings)
    await orchestrator.start([str(papers)], workflow_id=workflow_id)
    ended = await orchestrator.wait(workflow_id)
    assert (ended.documents.processed, ended.documents.quarantined) == (5, 1)
    await check(orchestrator, workflow_id, status="completed_with_failures")
    (failure,) = await orchestrator.failures(workflow_id)
    assert failure.error_type == "EmptyDocument"
    assert failure.reason.endswith(".")

    before = await committed(orchestrator, workflow_id)
    bad.write_text("Ada Lovelace mended it.")
    await orchestrator.start([str(papers)], workflow_id=workflow_id, retry_quarantined=True, rediscover=False)
    await orchestrator.wait(workflow_id)
    del before[failure.position]
    assert len(before) == 5
    await check(orchestrator, workflow_id, before=before)


async def test_stopped_service_is_recorded_and_the_run_continues(
    settings: Settings, papers: Path, workflow_id: str, start_worker: Callable[[Settings], ChaosWorker]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # no server listens on this port
        ports = (listening.getsockname()[1], closed.getsockname()[1])
        services = {"Archive": f"tcp://127.0.0.1:{ports[0]}", "Courier": f"tcp://127.0.0.1:{ports[1]}"}
        settings = replace(settings, external_services=services)
        start_worker(settings)
        async with PipelineOrchestrator(settings, own_worker=False) as orchestrator:
            await orchestrator.start([str(papers)], workflow_id=workflow_id)
            await orchestrator.wait(workflow_id)
            result = await check(orchestrator, workflow_id)
    for checkpoint in result.checkpoints:
        states = checkpoint.service_states
        assert set(states) == {"IdentityService", "AnalyticsService", "Archive", "Courier"}
        assert states["Courier"].status == "unhealthy"
        assert str(ports[1]) in states["Courier"].metadata["why"]
        assert {states[name].status for name in ("IdentityService", "AnalyticsService", "Archive")} == {"healthy"}
        assert all(state.metadata["round_trip_ms"] >= 0 for state in states.values())
    last = result.checkpoints[-1].service_states
    assert last["IdentityService"].metadata["processed_entities"] == result.outputs["mentions"][0]
    assert last["IdentityService"].metadata["resolution_rate"] == 1.0
    assert last["AnalyticsService"].metadata["graphs_generated"] == 1
    assert last["AnalyticsService"].metadata["analysis_modes"] == ["graph", "table", "vector"]


async def test_progress_is_readable_without_a_living_worker(
    settings: Settings,
    orchestrator: PipelineOrchestrator,
    papers: Path,
    workflow_id: str,
    start_worker: Callable[[Settings], ChaosWorker],
) -> None:
    worker = start_worker(settings)
    await orchestrator.start([], workflow_id=workflow_id, options=PipelineOptions(open=True))
    for paper in sorted(papers.iterdir())[:2]:
        await orchestrator.process_document(workflow_id, str(paper))
    worker.kill()
    description = await orchestrator.client.get_workflow_handle(workflow_id).describe()
    shown = {pair.key.name: pair.value for pair in description.typed_search_attributes}
    expected = {"DocumentsTotal": 2, "DocumentsProcessed": 2, "DocumentsFailed": 0, "PipelineStatus": "in_progress"}
    assert {name: shown.get(name) for name in expected} == expected
    assert shown["QualityScore"] > 0
    query = f"WorkflowId='{workflow_id}' AND PipelineStatus='in_progress' AND DocumentsProcessed=2"
    async with asyncio.timeout(240):
        while not (result := [run.id async for run in orchestrator.client.list_workflows(query)]):
            await asyncio.sleep(0.1)  # the list of runs lags behind
    assert result == [workflow_id]
    await orchestrator.client.get_workflow_handle(workflow_id).terminate("the test is over")
