"""P5: what a dead worker held is tried again at once, and what a living or stopped one holds is never taken."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from temporalio.api.workflow.v1 import PendingActivityInfo

from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.settings import Settings
from tests.chaos.checker import check
from tests.chaos.outputs import outputs
from tests.chaos.workers import ChaosWorker
from workflows.messages import PipelineOptions

pytestmark = pytest.mark.slow

HEARTBEAT_SECONDS = 30.0
"""The default, long enough that nothing below can be the doing of a timeout."""


async def pending(orchestrator: PipelineOrchestrator, workflow_id: str) -> list[PendingActivityInfo]:
    """Batches that a worker has in hand."""
    described = await orchestrator.client.get_workflow_handle(workflow_id).describe()
    return [
        one
        for one in described.raw_description.pending_activities
        if one.activity_type.name == "process_batch" and one.last_worker_identity
    ]


async def until_in_hand(orchestrator: PipelineOrchestrator, workflow_id: str, count: int) -> list[PendingActivityInfo]:
    async with asyncio.timeout(90):
        while len(found := await pending(orchestrator, workflow_id)) < count:
            await asyncio.sleep(0.02)
    return found


async def failures_before_success(orchestrator: PipelineOrchestrator, workflow_id: str) -> list[str]:
    """Types of the failures after which activities were tried again, from history."""
    found = []
    async for event in orchestrator.client.get_workflow_handle(workflow_id).fetch_history_events():
        started = event.activity_task_started_event_attributes
        if started.HasField("last_failure"):
            failure = started.last_failure
            found.append(failure.application_failure_info.type or failure.message)
    return found


@pytest.mark.parametrize("back", ["restarted", "by its neighbour"])
async def test_the_work_of_a_killed_worker_is_taken_up_long_before_its_heartbeat_times_out(
    back: str,
    documents: Path,
    undisturbed: dict[str, tuple[int, str]],
    orchestrator: PipelineOrchestrator,
    workflow_id: str,
    start_worker: Callable[..., ChaosWorker],
) -> None:
    await orchestrator.start([str(documents)], workflow_id=workflow_id, options=PipelineOptions(concurrency=2))
    slow = start_worker("K2-slow")
    await until_in_hand(orchestrator, workflow_id, 1)
    if back == "by its neighbour":
        start_worker("K2-slow").wait_until_alive()
    slow.kill()
    killed = time.monotonic()
    if back == "restarted":
        start_worker()
    await orchestrator.wait(workflow_id)
    assert time.monotonic() - killed < HEARTBEAT_SECONDS
    assert set(await failures_before_success(orchestrator, workflow_id)) <= {"WorkerDied"}
    await check(orchestrator, workflow_id, expected=undisturbed)


async def test_neither_a_starting_nor_a_dying_worker_takes_anything_from_a_living_one(
    documents: Path,
    undisturbed: dict[str, tuple[int, str]],
    orchestrator: PipelineOrchestrator,
    workflow_id: str,
    start_worker: Callable[..., ChaosWorker],
) -> None:
    await orchestrator.start([str(documents)], workflow_id=workflow_id, options=PipelineOptions(concurrency=1))
    busy = start_worker("K2-slow")
    (held,) = await until_in_hand(orchestrator, workflow_id, 1)
    mine = held.last_worker_identity
    os.kill(busy.process.pid, signal.SIGSTOP)  # alive, but so slow that everybody has time to make the mistake
    for _ in range(2):
        other = start_worker()
        other.wait_until_alive()
        await asyncio.sleep(2.0)  # it looks for the dead all the time
        other.kill()
    start_worker().wait_until_alive()
    await asyncio.sleep(2.0)
    still = [one for one in await pending(orchestrator, workflow_id) if one.activity_id == held.activity_id]
    assert [(one.attempt, one.last_worker_identity) for one in still] == [(1, mine)]
    os.kill(busy.process.pid, signal.SIGCONT)
    await orchestrator.wait(workflow_id)
    await check(orchestrator, workflow_id, expected=undisturbed)


async def test_workers_of_several_hosts_share_a_run_and_leave_each_other_alone(
    documents: Path,
    undisturbed: dict[str, tuple[int, str]],
    settings: Settings,
    orchestrator: PipelineOrchestrator,
    workflow_id: str,
    start_worker: Callable[..., ChaosWorker],
    tmp_path: Path,
) -> None:
    """Another data folder stands for another host: no lock there says anything about a worker here."""
    there = tmp_path / "elsewhere"
    there.mkdir()
    elsewhere = ChaosWorker.armed(replace(settings, data_dir=there), "K2-slow")
    try:
        options = PipelineOptions(concurrency=2, heartbeat_timeout_seconds=3)
        await orchestrator.start([str(documents)], workflow_id=workflow_id, options=options)
        here = start_worker("K2-slow")
        await until_in_hand(orchestrator, workflow_id, 2)
        here.kill()  # nobody of its folder is left: the other host's worker gets its work by the timeout
        await orchestrator.wait(workflow_id)
        assert not {"WorkerDied"} & set(await failures_before_success(orchestrator, workflow_id))
    finally:
        elsewhere.close()
    assert await outputs(orchestrator.stores.pool, workflow_id) == undisturbed
