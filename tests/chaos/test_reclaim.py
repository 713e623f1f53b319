"""P5: live workers reclaim the activities of dead workers, and of no others."""

import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from temporalio.api.workflow.v1 import PendingActivityInfo

from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.settings import Settings
from orchestration.worker.slot import take_slot
from tests.chaos.checker import check
from tests.chaos.gate import Gate
from tests.chaos.outputs import outputs
from tests.chaos.workers import ChaosWorker
from workflows.messages import PipelineOptions

pytestmark = pytest.mark.slow

NEVER_SECONDS = 3600.0
"""A heartbeat timeout longer than the time limit of a test: a run that ends was not helped by it."""
LOOKS = 3


async def list_started_batches(orchestrator: PipelineOrchestrator, workflow_id: str) -> list[PendingActivityInfo]:
    """Return the pending batch activities that a worker has started."""
    described = await orchestrator.client.get_workflow_handle(workflow_id).describe()
    return [
        activity
        for activity in described.raw_description.pending_activities
        if activity.activity_type.name == "process_batch" and activity.last_worker_identity
    ]


async def wait_for_batches(
    orchestrator: PipelineOrchestrator, workflow_id: str, count: int
) -> list[PendingActivityInfo]:
    """Wait until at least `count` batch activities have started, and return them."""
    async with asyncio.timeout(90):
        while len(batches := await list_started_batches(orchestrator, workflow_id)) < count:
            await asyncio.sleep(0.02)
    return batches


async def until_looked_for_dead_workers(settings: Settings) -> None:
    """Wait until a live worker of the data folder has looked for dead workers `LOOKS` times.

    A slot that this process takes and leaves without giving it back is that of a dead worker. The worker that looks
    next clears the file of that slot, after it has looked at every slot of the folder.
    """
    async with asyncio.timeout(90):
        for _ in range(LOOKS):
            dead = take_slot(settings.data_dir)
            dead._lock.close()
            while dead.lock_file.stat().st_size:
                await asyncio.sleep(0.02)


async def failures_before_success(orchestrator: PipelineOrchestrator, workflow_id: str) -> list[str]:
    """Return the types of the failures after which batches were retried, from history."""
    batches = set()
    failures = []
    async for event in orchestrator.client.get_workflow_handle(workflow_id).fetch_history_events():
        if event.activity_task_scheduled_event_attributes.activity_type.name == "process_batch":
            batches.add(event.event_id)
        started = event.activity_task_started_event_attributes
        if started.scheduled_event_id in batches and started.HasField("last_failure"):
            failure = started.last_failure
            failures.append(failure.application_failure_info.type or failure.message)
    return failures


@pytest.mark.parametrize("successor", ["a worker started later", "a second live worker"])
async def test_batch_of_killed_worker_is_retried_before_heartbeat_timeout(
    successor: str,
    documents: Path,
    undisturbed: dict[str, tuple[int, str]],
    settings: Settings,
    orchestrator: PipelineOrchestrator,
    workflow_id: str,
    start_worker: Callable[..., ChaosWorker],
) -> None:
    options = PipelineOptions(concurrency=2, heartbeat_timeout_seconds=NEVER_SECONDS)
    await orchestrator.start([str(documents)], workflow_id=workflow_id, options=options)
    gate = Gate(settings.data_dir)
    gate.close()
    held = start_worker("gate")
    await wait_for_batches(orchestrator, workflow_id, 2)
    if successor == "a second live worker":
        start_worker("gate").wait_until_alive()
    held.kill()
    gate.open()
    if successor == "a worker started later":
        start_worker()
    await orchestrator.wait(workflow_id)
    assert set(await failures_before_success(orchestrator, workflow_id)) <= {"WorkerDied"}
    await check(orchestrator, workflow_id, expected=undisturbed)


async def test_stopped_worker_keeps_its_batch_while_workers_start_and_die(
    documents: Path,
    undisturbed: dict[str, tuple[int, str]],
    settings: Settings,
    orchestrator: PipelineOrchestrator,
    workflow_id: str,
    start_worker: Callable[..., ChaosWorker],
) -> None:
    options = PipelineOptions(concurrency=1, heartbeat_timeout_seconds=NEVER_SECONDS)
    await orchestrator.start([str(documents)], workflow_id=workflow_id, options=options)
    gate = Gate(settings.data_dir)
    gate.close()
    busy = start_worker("gate")
    (held,) = await wait_for_batches(orchestrator, workflow_id, 1)
    holder = held.last_worker_identity
    os.kill(busy.process.pid, signal.SIGSTOP)  # a stopped worker is alive: it still holds the lock of its slot
    for _ in range(2):
        other = start_worker()
        other.wait_until_alive()
        await until_looked_for_dead_workers(settings)
        other.kill()
    start_worker().wait_until_alive()
    await until_looked_for_dead_workers(settings)
    batches = await list_started_batches(orchestrator, workflow_id)
    still_held = [batch for batch in batches if batch.activity_id == held.activity_id]
    assert [(batch.attempt, batch.last_worker_identity) for batch in still_held] == [(1, holder)]
    os.kill(busy.process.pid, signal.SIGCONT)
    gate.open()
    await orchestrator.wait(workflow_id)
    await check(orchestrator, workflow_id, expected=undisturbed)


async def test_worker_on_another_host_gets_the_batches_by_timeout(
    documents: Path,
    undisturbed: dict[str, tuple[int, str]],
    settings: Settings,
    orchestrator: PipelineOrchestrator,
    workflow_id: str,
    start_worker: Callable[..., ChaosWorker],
    tmp_path: Path,
) -> None:
    """A second data folder stands for a second host.

    Workers of the second host cannot see the locks of the first host.
    """
    there = tmp_path / "elsewhere"
    there.mkdir()
    here_gate = Gate(settings.data_dir)
    here_gate.close()
    there_gate = Gate(there)
    there_gate.close()
    here = start_worker("gate")
    elsewhere = None
    try:
        options = PipelineOptions(concurrency=2, heartbeat_timeout_seconds=3)
        await orchestrator.start([str(documents)], workflow_id=workflow_id, options=options)
        await wait_for_batches(orchestrator, workflow_id, 2)
        elsewhere = ChaosWorker.gated(replace(settings, data_dir=there))
        elsewhere.wait_until_alive()
        here.kill()  # the data folder has no live worker, so the server retries the batches after the timeout
        there_gate.open()
        await orchestrator.wait(workflow_id)
        assert not {"WorkerDied"} & set(await failures_before_success(orchestrator, workflow_id))
    finally:
        here_gate.open()
        there_gate.open()
        if elsewhere:
            elsewhere.close()
    assert await outputs(orchestrator.stores.pool, workflow_id) == undisturbed
