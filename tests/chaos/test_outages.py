"""P8: an outage of Postgres, Temporal or a worker loses or quarantines no document."""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from temporalio.service import RPCError

from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.embedded.postgres import EmbeddedPostgres
from orchestration.settings import Settings
from tests.chaos.checker import check, committed
from tests.chaos.gate import Gate
from tests.chaos.short_histories import ShortHistories
from tests.chaos.workers import ChaosWorker
from workflows.document_pipeline import DocumentPipeline
from workflows.messages import PipelineOptions, Progress

pytestmark = pytest.mark.slow

SECONDS = 90.0
IN_FLIGHT = 2
LAST = 10
"""Number of documents in a run."""

Outputs = dict[str, tuple[int, str]]


async def wait_until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait until the condition holds; AssertionError with the text `what` after `SECONDS`."""
    deadline = time.monotonic() + SECONDS
    while not await condition():
        assert time.monotonic() < deadline, f"{what}: not true after {SECONDS:.0f} s"
        await asyncio.sleep(0.05)


@pytest.fixture
def gate(settings: Settings) -> Gate:
    """The closed gate of this test's gated workers."""
    gate = Gate(settings.data_dir)
    gate.close()
    return gate


@pytest.fixture
def start_gated_worker(settings: Settings, gate: Gate) -> Iterator[Callable[[], ChaosWorker]]:
    """A function that starts a worker behind the gate."""
    started: list[ChaosWorker] = []

    def start() -> ChaosWorker:
        started.append(ChaosWorker.gated(settings))
        return started[-1]

    yield start
    gate.open()
    for worker in started:
        worker.close()


async def wait_until_committed(orchestrator: PipelineOrchestrator, workflow_id: str, count: int) -> None:
    """Wait until at least `count` documents of the run are committed."""

    async def enough() -> bool:
        return len(await committed(orchestrator, workflow_id)) >= count

    await wait_until(enough, f"{count} documents are committed")


async def test_run_waits_and_names_postgres_during_its_outage(
    documents: Path,
    undisturbed: Outputs,
    orchestrator: PipelineOrchestrator,
    workflow_id: str,
    start_gated_worker: Callable[[], ChaosWorker],
    gate: Gate,
    two_at_a_time: PipelineOptions,
    postgres_server: EmbeddedPostgres,
) -> None:
    await orchestrator.start([str(documents)], workflow_id=workflow_id, options=two_at_a_time)
    start_gated_worker()
    gate.admit(3)
    await wait_until_committed(orchestrator, workflow_id, 3)
    handle = orchestrator.client.get_workflow_handle_for(DocumentPipeline.run, workflow_id)

    async def progress() -> Progress:
        return await handle.query(DocumentPipeline.progress)

    async def reports_outage() -> bool:
        return "Postgres is unavailable" in ((await progress()).waiting_for or "")

    port = postgres_server.port
    await asyncio.to_thread(postgres_server.stop)
    gate.open()
    try:
        await wait_until(reports_outage, "the run reports that Postgres is unavailable")
        before = (await handle.describe()).history_length
        await asyncio.sleep(4.0)
        # Each call in flight may still change to unlimited retries, which adds a few events once for each call.
        grown = (await handle.describe()).history_length - before
        shown = (await handle.describe()).typed_search_attributes
        assert grown <= 24
        assert [pair.value for pair in shown if pair.key.name == "PipelineStatus"] == ["waiting"]
    finally:
        await asyncio.to_thread(postgres_server.start, preferred_port=port)
    await orchestrator.wait(workflow_id)
    assert (await progress()).waiting_for is None
    await check(orchestrator, workflow_id, expected=undisturbed)


async def test_worker_finishes_its_activities_after_sigterm(
    documents: Path,
    undisturbed: Outputs,
    orchestrator: PipelineOrchestrator,
    workflow_id: str,
    start_worker: Callable[..., ChaosWorker],
    start_gated_worker: Callable[[], ChaosWorker],
    gate: Gate,
    two_at_a_time: PipelineOptions,
) -> None:
    await orchestrator.start([str(documents)], workflow_id=workflow_id, options=two_at_a_time)
    worker = start_gated_worker()
    gate.admit(2)
    await wait_until_committed(orchestrator, workflow_id, 2)
    await asyncio.to_thread(worker.begin_to_stop)
    gate.admit(2 + IN_FLIGHT)
    assert worker.stop() == 0
    worker.assert_no_orphans()
    description = await orchestrator.client.get_workflow_handle(workflow_id).describe()
    pending = description.raw_description.pending_activities
    assert all(activity.attempt == 1 for activity in pending), "the worker gave up an activity instead of finishing it"
    start_worker()
    await orchestrator.wait(workflow_id)
    await check(orchestrator, workflow_id, expected=undisturbed)


async def test_run_ends_as_undisturbed_after_kills_at_random_moments(
    documents: Path,
    undisturbed: Outputs,
    orchestrator: PipelineOrchestrator,
    workflow_id: str,
    start_worker: Callable[..., ChaosWorker],
    start_gated_worker: Callable[[], ChaosWorker],
    gate: Gate,
    two_at_a_time: PipelineOptions,
) -> None:
    seed = int(os.environ.get("PERDURE_TEST_SEED") or random.SystemRandom().randrange(2**32))
    print(f"PERDURE_TEST_SEED={seed}")
    chance = random.Random(seed)
    await orchestrator.start([str(documents)], workflow_id=workflow_id, options=two_at_a_time)
    kills = 3
    before: dict[int, datetime] = {}
    for kill in range(kills):
        worker = start_gated_worker()
        # Kill after up to 2 more commits, at a random moment of the next document. The gate holds the last document.
        awaited = min(len(before) + chance.randint(0 if kill else 1, 2), LAST - 1)
        gate.admit(min(awaited + 1, LAST - 1))
        await wait_until_committed(orchestrator, workflow_id, awaited)
        await asyncio.sleep(chance.uniform(0.0, 0.5))
        worker.kill()
        worker.assert_no_orphans()
        after = await committed(orchestrator, workflow_id)
        assert {position: after[position] for position in before} == before
        before = after
    gate.open()
    start_worker()
    await orchestrator.wait(workflow_id)
    await check(orchestrator, workflow_id, expected=undisturbed, before=before)


@pytest.fixture
async def on_short_histories(settings: Settings, short_histories: ShortHistories) -> AsyncIterator[Settings]:
    """Settings with the Temporal server that suggests continue-as-new after few events."""
    yield replace(settings, temporal=await short_histories.up())


async def test_run_killed_at_continue_as_new_ends_as_undisturbed(
    documents: Path, undisturbed: Outputs, on_short_histories: Settings, workflow_id: str
) -> None:
    """Kill point K10."""
    settings = on_short_histories
    async with PipelineOrchestrator(settings, own_worker=False) as orchestrator:
        await orchestrator.start([str(documents)], workflow_id=workflow_id, options=PipelineOptions(concurrency=1))
        first = (await orchestrator.status(workflow_id)).run_id
        armed = ChaosWorker.armed(settings, "K10")
        worker = None
        try:
            armed.wait_until_struck()
            before = await committed(orchestrator, workflow_id)
            assert 0 < len(before) < 10
            worker = ChaosWorker(settings)
            ended = await orchestrator.wait(workflow_id)
            finished = await check(orchestrator, workflow_id, expected=undisturbed, before=before)
        finally:
            armed.close()
            if worker:
                worker.close()
    assert ended.run_id != first
    assert len({checkpoint.metadata["run_id"] for checkpoint in finished.checkpoints}) > 1
    assert {checkpoint.epoch for checkpoint in finished.checkpoints} == {1}


async def test_run_continues_after_temporal_is_killed_and_restarted(
    documents: Path,
    undisturbed: Outputs,
    on_short_histories: Settings,
    short_histories: ShortHistories,
    workflow_id: str,
    gate: Gate,
) -> None:
    settings = on_short_histories
    gate.admit(3)
    worker = ChaosWorker.gated(settings)
    try:
        async with PipelineOrchestrator(settings, own_worker=False) as orchestrator:
            options = PipelineOptions(concurrency=IN_FLIGHT)
            await orchestrator.start([str(documents)], workflow_id=workflow_id, options=options)
            await wait_until_committed(orchestrator, workflow_id, 3)
            before = await committed(orchestrator, workflow_id)
            short_histories.kill()
            gate.admit(3 + IN_FLIGHT)  # the documents in flight complete while the server is away
            with pytest.raises(RPCError):
                await orchestrator.status(workflow_id)
            await asyncio.sleep(1.0)
            assert (await short_histories.up()).address == settings.temporal.address
        async with PipelineOrchestrator(settings, own_worker=False) as orchestrator:
            gate.open()
            await orchestrator.wait(workflow_id)
            await check(orchestrator, workflow_id, expected=undisturbed, before=before)
        assert worker.process.poll() is None, "the worker ended during the outage"
    finally:
        gate.open()
        worker.close()
