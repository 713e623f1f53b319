"""P8 and more: whatever the run depends on may go away and come back; nothing is lost, nothing is quarantined."""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from temporalio.service import RPCError

from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.embedded.postgres import EmbeddedPostgres
from orchestration.settings import Settings
from tests.chaos.checker import check, committed
from tests.chaos.short_histories import ShortHistories
from tests.chaos.workers import ChaosWorker
from workflows.document_pipeline import DocumentPipeline
from workflows.messages import PipelineOptions, Progress

pytestmark = pytest.mark.slow

NEVER = 10**6
SECONDS = 30.0

Outputs = dict[str, tuple[int, str]]


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not await condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        await asyncio.sleep(0.05)


async def until_committed(orchestrator: PipelineOrchestrator, workflow_id: str, count: int) -> None:
    async def enough() -> bool:
        return len(await committed(orchestrator, workflow_id)) >= count

    await until(enough, f"{count} documents are committed")


@pytest.mark.timeout(400)
async def test_postgres_away_in_the_middle_makes_the_run_wait_and_say_so(
    documents: Path,
    undisturbed: Outputs,
    orchestrator: PipelineOrchestrator,
    workflow_id: str,
    start_worker: Callable[..., ChaosWorker],
    two_at_a_time: PipelineOptions,
    postgres_server: EmbeddedPostgres,
) -> None:
    await orchestrator.start([str(documents)], workflow_id=workflow_id, options=two_at_a_time)
    start_worker("K2-slow", NEVER)
    await until_committed(orchestrator, workflow_id, 3)
    handle = orchestrator.client.get_workflow_handle_for(DocumentPipeline.run, workflow_id)

    async def progress() -> Progress:
        return await handle.query(DocumentPipeline.progress)

    async def says_so() -> bool:
        return "Postgres is unavailable" in ((await progress()).waiting_for or "")

    port = postgres_server.port
    await asyncio.to_thread(postgres_server.stop)
    try:
        await until(says_so, "the run says that Postgres is away")
        before = (await handle.describe()).history_length
        await asyncio.sleep(4.0)
        # A call that had not been noticed yet may still turn patient: a few events, and only once for each.
        grown = (await handle.describe()).history_length - before
        shown = (await handle.describe()).typed_search_attributes
        assert grown <= 24
        assert [pair.value for pair in shown if pair.key.name == "PipelineStatus"] == ["waiting"]
    finally:
        await asyncio.to_thread(postgres_server.start, preferred_port=port)
    await orchestrator.wait(workflow_id)
    assert (await progress()).waiting_for is None
    await check(orchestrator, workflow_id, expected=undisturbed)


async def test_a_worker_asked_to_stop_finishes_what_it_has_and_leaves_cleanly(
    documents: Path,
    undisturbed: Outputs,
    orchestrator: PipelineOrchestrator,
    workflow_id: str,
    start_worker: Callable[..., ChaosWorker],
    two_at_a_time: PipelineOptions,
) -> None:
    await orchestrator.start([str(documents)], workflow_id=workflow_id, options=two_at_a_time)
    worker = start_worker("K2-slow", NEVER)
    await until_committed(orchestrator, workflow_id, 2)
    assert worker.stop() == 0
    worker.assert_no_orphans()
    description = await orchestrator.client.get_workflow_handle(workflow_id).describe()
    pending = description.raw_description.pending_activities
    assert all(activity.attempt == 1 for activity in pending), "what was in flight was finished, not thrown away"
    start_worker()
    await orchestrator.wait(workflow_id)
    await check(orchestrator, workflow_id, expected=undisturbed)


@pytest.mark.timeout(400)
async def test_workers_killed_again_and_again_at_random_moments_change_nothing(
    documents: Path,
    undisturbed: Outputs,
    orchestrator: PipelineOrchestrator,
    workflow_id: str,
    start_worker: Callable[..., ChaosWorker],
    two_at_a_time: PipelineOptions,
) -> None:
    seed = int(os.environ.get("PERDURE_TEST_SEED") or random.SystemRandom().randrange(2**32))
    print(f"PERDURE_TEST_SEED={seed}")
    chance = random.Random(seed)
    await orchestrator.start([str(documents)], workflow_id=workflow_id, options=two_at_a_time)
    kills = 3
    before: dict[int, datetime] = {}
    for kill in range(kills):
        worker = start_worker("K2-slow", NEVER)
        # From where it stands, one to three documents further and some part of the next.
        await until_committed(orchestrator, workflow_id, len(before) + chance.randint(0 if kill else 1, 2))
        await asyncio.sleep(chance.uniform(0.0, 0.5))
        assert (await orchestrator.status(workflow_id)).running, "it ended before every kill had landed"
        worker.kill()
        worker.assert_no_orphans()
        now = await committed(orchestrator, workflow_id)
        assert {position: now[position] for position in before} == before
        before = now
    start_worker()
    await orchestrator.wait(workflow_id)
    await check(orchestrator, workflow_id, expected=undisturbed, before=before)


@pytest.fixture
async def on_short_histories(settings: Settings, short_histories: ShortHistories) -> AsyncIterator[Settings]:
    yield replace(settings, temporal=await short_histories.up())


@pytest.mark.timeout(400)
async def test_a_run_killed_at_continue_as_new_ends_like_one_that_was_not(
    documents: Path, undisturbed: Outputs, on_short_histories: Settings, workflow_id: str
) -> None:
    """K10."""
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
            found = await check(orchestrator, workflow_id, expected=undisturbed, before=before)
        finally:
            armed.close()
            if worker:
                worker.close()
    assert ended.run_id != first
    assert len({one.metadata["run_id"] for one in found.checkpoints}) > 1
    assert {one.epoch for one in found.checkpoints} == {1}


@pytest.mark.timeout(400)
async def test_a_temporal_server_killed_and_restarted_goes_on_where_it_stood(
    documents: Path,
    undisturbed: Outputs,
    on_short_histories: Settings,
    short_histories: ShortHistories,
    workflow_id: str,
) -> None:
    settings = on_short_histories
    worker = ChaosWorker.armed(settings, "K2-slow", NEVER)
    try:
        async with PipelineOrchestrator(settings, own_worker=False) as orchestrator:
            await orchestrator.start([str(documents)], workflow_id=workflow_id)
            await until_committed(orchestrator, workflow_id, 3)
            before = await committed(orchestrator, workflow_id)
            short_histories.kill()
            with pytest.raises(RPCError):
                await orchestrator.status(workflow_id)
            await asyncio.sleep(1.0)
            assert (await short_histories.up()).address == settings.temporal.address
        async with PipelineOrchestrator(settings, own_worker=False) as orchestrator:
            await orchestrator.wait(workflow_id)
            await check(orchestrator, workflow_id, expected=undisturbed, before=before)
        assert worker.process.poll() is None, "the worker outlived the outage"
    finally:
        worker.close()
