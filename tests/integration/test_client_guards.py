"""How a client starts, resumes, forks and steers runs that no worker executes."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus

from orchestration.client import resume, updates
from orchestration.client.connected import Connected
from orchestration.client.following import read_original_input
from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.client.run_status import find_execution
from orchestration.client.starting import start_workflow
from orchestration.client.updates import NoWorkerAnswered
from orchestration.worker.slot import take_slot
from perdure.checkpoint import WorkflowCheckpoint
from perdure.errors import WorkflowAlreadyRunning, WorkflowNotRunning
from tests.conformance.chains import following
from tests.integration.audited_run import checkpoint_file, harm
from tests.integration.committed_run import committed, document
from tests.integration.workerless_runs import open_run, store_chain, terminate
from workflows.messages import PipelineInput, PipelineOptions

LENGTH = 4
SECONDS = 30.0


@pytest.fixture
def run() -> str:
    return f"guarded-{uuid.uuid4().hex[:8]}"


@pytest.fixture
async def chain(orchestrator: PipelineOrchestrator, run: str) -> list[WorkflowCheckpoint]:
    """The checkpoints of an earlier run, in every store."""
    return await store_chain(orchestrator, run, LENGTH)


async def input_of(orchestrator: PipelineOrchestrator, workflow_id: str) -> PipelineInput:
    """Return the input of the latest execution."""
    execution = await find_execution(orchestrator.client, workflow_id)
    assert execution
    return await read_original_input(orchestrator.connected, workflow_id, execution.run_id)


async def is_running(orchestrator: PipelineOrchestrator, workflow_id: str) -> bool:
    execution = await find_execution(orchestrator.client, workflow_id)
    return execution is not None and execution.status == WorkflowExecutionStatus.RUNNING


@asynccontextmanager
async def resuming(orchestrator: PipelineOrchestrator, workflow_id: str) -> AsyncIterator[list[str]]:
    """Resume an ended run, and enter the block when it is running again.

    The block gets the list to which the client's sentences are added.
    """
    sentences: list[str] = []
    task = asyncio.create_task(orchestrator.resume_workflow_from_checkpoint(workflow_id, say=sentences.append))
    try:
        async with asyncio.timeout(SECONDS):
            while not task.done() and not await is_running(orchestrator, workflow_id):
                await asyncio.sleep(0.02)
        yield sentences
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_start_continues_the_chain_after_the_recorded_end_of_the_former_run(
    orchestrator: PipelineOrchestrator, run: str, chain: list[WorkflowCheckpoint], tmp_path: Path
) -> None:
    await open_run(orchestrator, run, after=chain[-1])
    await terminate(orchestrator, run)
    (tmp_path / "new.txt").write_text("Ada Lovelace met Charles Babbage.")
    await orchestrator.start([str(tmp_path / "new.txt")], workflow_id=run)
    *former, end = await orchestrator.list_checkpoints(run)
    assert former == chain
    started = await input_of(orchestrator, run)
    assert started.resume
    assert (started.resume.sequence, started.resume.digest) == (end.sequence, end.digest)
    assert started.sources == [(tmp_path / "new.txt").as_uri()]


async def test_start_aligns_the_stores_before_it_continues_the_chain(
    orchestrator: PipelineOrchestrator, run: str, chain: list[WorkflowCheckpoint]
) -> None:
    """Otherwise the run would append behind a gap in the store that lags behind."""
    await harm(orchestrator, "DELETE FROM workflow_checkpoints WHERE sequence > 2")
    await orchestrator.start([], workflow_id=run, options=PipelineOptions(open=True))
    for store in orchestrator.stores.checkpoints:
        assert list(await store.list(run)) == chain
    started = await input_of(orchestrator, run)
    assert started.resume
    assert started.resume.sequence == LENGTH


async def test_second_start_of_a_running_run_is_refused(orchestrator: PipelineOrchestrator, run: str) -> None:
    first = await orchestrator.start([], workflow_id=run, options=PipelineOptions(open=True))
    with pytest.raises(WorkflowAlreadyRunning):
        await orchestrator.start([], workflow_id=run, options=PipelineOptions(open=True))
    assert (await orchestrator.status(run)).run_id == first.run_id


async def make_fork(orchestrator: PipelineOrchestrator, run: str, **options: Any) -> tuple[WorkflowCheckpoint, str]:
    """Fork a run of two documents; returns the checkpoint and the fork's workflow id."""
    pool = orchestrator.stores.pool
    await committed(pool, run, [document([("person", "Ada Lovelace")]), document([("person", "Grace Hopper")])])
    (checkpoint,) = await store_chain(orchestrator, run, 1)
    changes = {"documents_total": 2, "options": PipelineOptions(**options).model_dump()}
    checkpoint = following(checkpoint, **changes)
    for store in orchestrator.stores.checkpoints:
        await store.append(checkpoint)
    return checkpoint, (await orchestrator.fork(checkpoint.checkpoint_id, f"{run}-fork")).workflow_id


async def test_resumed_fork_keeps_its_origin(orchestrator: PipelineOrchestrator, run: str) -> None:
    checkpoint, fork = await make_fork(orchestrator, run)
    expected = {"workflow_id": run, "checkpoint_id": checkpoint.checkpoint_id, "digest": checkpoint.digest}
    for lives in (1, 2):
        await terminate(orchestrator, fork)
        await orchestrator.status(fork)
        recorded = await orchestrator.list_checkpoints(fork)
        assert [entry.metadata["forked_from"] for entry in recorded] == [expected] * lives
        if lives == 1:
            async with resuming(orchestrator, fork):
                pass


async def test_fork_of_an_open_run_is_closed(orchestrator: PipelineOrchestrator, run: str) -> None:
    """No client feeds the fork, so an open fork would never end."""
    _, fork = await make_fork(orchestrator, run, open=True, concurrency=7)
    options = (await input_of(orchestrator, fork)).options
    assert (options.open, options.concurrency) == (False, 7)


async def test_resume_takes_options_sources_and_place_from_the_latest_checkpoint(
    orchestrator: PipelineOrchestrator, run: str, chain: list[WorkflowCheckpoint]
) -> None:
    changed = PipelineOptions(concurrency=7, open=True).model_dump()
    latest = following(chain[-1], sources=["file:///papers"], options=changed)
    await orchestrator.stores.leader.append(latest)
    async with resuming(orchestrator, run):
        resumed = await input_of(orchestrator, run)
    assert resumed.sources == ["file:///papers"]
    assert (resumed.options.concurrency, resumed.options.open) == (7, False), "an open run has no end"
    assert resumed.resume
    assert (resumed.resume.sequence, resumed.resume.digest) == (latest.sequence, latest.digest)
    assert list(await orchestrator.stores.followers[0].list(run)) == [*chain, latest]


async def test_completed_run_is_left_alone_unless_the_database_lost_results(
    orchestrator: PipelineOrchestrator, run: str
) -> None:
    documents = [document([("person", "Ada Lovelace")]), document([("person", "Grace Hopper")])]
    await committed(orchestrator.stores.pool, run, documents)
    first, _ = await store_chain(orchestrator, run, 2)
    await harm(orchestrator, "DELETE FROM workflow_checkpoints")
    checkpoint_file(orchestrator).unlink()
    completed = following(first, status="completed", documents_total=2)
    for store in orchestrator.stores.checkpoints:
        await store.restore([first, completed])

    sentences: list[str] = []
    async with asyncio.timeout(SECONDS):
        ended = await orchestrator.resume_workflow_from_checkpoint(run, say=sentences.append)
    assert (ended.workflow_status, ended.running) == ("completed", False)
    assert sentences == [f"The run '{run}' has ended: completed. Nothing is left to do."]
    assert await find_execution(orchestrator.client, run) is None

    await harm(orchestrator, "UPDATE documents SET status = 'pending' WHERE position = 1")
    await harm(orchestrator, "DELETE FROM workflow_checkpoints WHERE sequence = 2")
    async with resuming(orchestrator, run) as sentences:
        assert sentences[0] == (
            "The database was set back: 1 of 2 finished documents have lost their results and are processed again, and "
            "1 checkpoints came back."
        )
        assert (await input_of(orchestrator, run)).recovered == sentences[0]


async def test_resume_that_another_process_overtakes_follows_its_run(
    orchestrator: PipelineOrchestrator, run: str, chain: list[WorkflowCheckpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    first: list[str | None] = []

    async def start_after_another_process(connected: Connected, workflow_id: str, pipeline: PipelineInput) -> None:
        await open_run(orchestrator, run, after=chain[-1])
        first.append((await orchestrator.status(run)).run_id)
        await start_workflow(connected, workflow_id, pipeline)

    monkeypatch.setattr(resume, "start_workflow", start_after_another_process)
    async with resuming(orchestrator, run) as sentences, asyncio.timeout(SECONDS):
        while f"Another process has just resumed '{run}': following that run." not in sentences:
            await asyncio.sleep(0.02)
        assert [(await orchestrator.status(run)).run_id] == first


async def test_update_is_refused_at_once_when_no_worker_is_alive(orchestrator: PipelineOrchestrator, run: str) -> None:
    await open_run(orchestrator, run)
    with pytest.raises(NoWorkerAnswered, match="No worker is alive to answer"):
        await orchestrator.pause(run)


async def test_update_that_no_worker_accepts_is_refused_after_its_time_limit(
    orchestrator: PipelineOrchestrator, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The living worker holds its slot and answers no more."""
    monkeypatch.setattr(updates, "ANSWER_SECONDS", 0.2)
    await open_run(orchestrator, run)
    slot = take_slot(orchestrator.settings.data_dir)
    try:
        with pytest.raises(NoWorkerAnswered, match="No worker answered"):
            async with asyncio.timeout(SECONDS):
                await orchestrator.pause(run)
    finally:
        slot.release()


async def test_cancelled_update_is_not_reported_as_unanswered(orchestrator: PipelineOrchestrator, run: str) -> None:
    await open_run(orchestrator, run)
    slot = take_slot(orchestrator.settings.data_dir)
    sent = asyncio.create_task(orchestrator.pause(run))
    try:
        async with asyncio.timeout(SECONDS):
            while not (await orchestrator.client.get_workflow_handle(run).fetch_history()).events:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0)
        sent.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sent
    finally:
        slot.release()


async def test_update_of_an_ended_run_says_that_it_is_not_running(orchestrator: PipelineOrchestrator, run: str) -> None:
    await open_run(orchestrator, run)
    await terminate(orchestrator, run)
    with pytest.raises(WorkflowNotRunning, match="is not running"):
        await orchestrator.pause(run)
