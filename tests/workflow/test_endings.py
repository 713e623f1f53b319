"""The last checkpoint of every run records its final status, and no checkpoint follows.

The file is longer than 300 lines because it holds the endings in every phase of a run.
"""

import asyncio
import uuid

import pytest
from temporalio.client import WorkflowFailureError, WorkflowUpdateFailedError, WorkflowUpdateStage
from temporalio.exceptions import ApplicationError, CancelledError

from orchestration.connection import connect_to
from orchestration.settings.temporal import TemporalSettings
from tests.replay.test_replay import replayer
from tests.workflow.chains import check_chain
from tests.workflow.conftest import (
    Begin,
    Handle,
    cancellation_requests,
    completed_activities,
    pass_workflow_task,
    scheduled,
    scheduled_batches,
    until_saved,
    worker_for,
)
from tests.workflow.world import MIRRORED, SECONDS, World, until
from workflows.document_pipeline import DocumentPipeline
from workflows.messages import AddDocuments, PipelineInput, PipelineOptions

PHASES = {
    "discover": "discover",
    "names": "name_documents",
    "in-flight": "process_batch",
    "asking-the-services": "capture_service_states",
    "mirroring": "mirror_checkpoint",
    "identities": "resolve_identities",
    "analytics": "build_analytics",
}


async def outcome(run: Handle) -> BaseException | None:
    try:
        async with asyncio.timeout(SECONDS):
            await run.result()
    except WorkflowFailureError as failure:
        return failure.cause
    return None


@pytest.mark.parametrize("heeded", [True, False], ids=["activity-stops", "activity-ignores-the-cancellation"])
@pytest.mark.parametrize("held", PHASES.values(), ids=PHASES.keys())
async def test_run_cancelled_in_any_phase_records_one_cancelled_checkpoint(
    begin: Begin, held: str, heeded: bool
) -> None:
    world = World(101 if held == "name_documents" else 6)  # names come in pages of 100
    world.stubborn = not heeded
    world.hold(held)
    run = await begin(world, concurrency=40 if held == "name_documents" else 2)
    await world.until_held(held)
    await run.cancel()
    await pass_workflow_task(run)
    dispatched = await scheduled_batches(run)
    world.release()
    assert isinstance(await outcome(run), CancelledError)
    chain = check_chain(world, run.id, status="cancelled")
    assert [checkpoint.workflow_status for checkpoint in chain].count("cancelled") == 1
    assert await scheduled_batches(run) == dispatched, "no further batch is handed out"
    data = chain[-1].state_data
    assert chain[-1].processed_documents + data.documents_cancelled == (data.documents_total or 0)


@pytest.mark.parametrize("held", ["close_run", "capture_service_states", "mirror_checkpoint", MIRRORED])
async def test_cancellation_during_the_last_checkpoint_has_no_effect(begin: Begin, held: str) -> None:
    world = World(1)
    world.hold("build_analytics")
    run = await begin(world)
    await world.until_held("build_analytics")
    world.hold(held)
    world.release("build_analytics")
    await world.until_held(held)
    await run.cancel()
    await pass_workflow_task(run)
    assert await cancellation_requests(run) == []
    world.release()
    assert await outcome(run) is None
    check_chain(world, run.id, status="completed")


@pytest.mark.parametrize("held", ["capture_service_states", "mirror_checkpoint", MIRRORED])
async def test_checkpoint_that_is_written_at_a_cancellation_is_kept(begin: Begin, held: str) -> None:
    """An aborted mirroring may have reached a store, which then refuses another checkpoint."""
    world = World(3)
    world.hold(held, 2)
    run = await begin(world, concurrency=3)
    await until(lambda: len(world.done) == 2, "two documents are finished")
    await world.until_held(held)
    await run.execute_update(DocumentPipeline.pause)
    world.release(2)
    await until(lambda: world.in_flight == 0, "nothing is in flight")
    await run.execute_update(DocumentPipeline.unpause)  # the window closes and waits for the checkpoint
    await run.cancel()
    await pass_workflow_task(run)
    assert await cancellation_requests(run) == []
    world.release()
    assert isinstance(await outcome(run), CancelledError)
    check_chain(world, run.id, status="cancelled")


async def test_result_that_arrives_together_with_a_cancellation_is_counted(temporal_server: TemporalSettings) -> None:
    """While no worker runs, result and cancellation arrive, so one workflow task has both."""
    world = World(3)
    world.hold(1)
    client = await connect_to(temporal_server)
    queue = f"workflow-{uuid.uuid4().hex[:8]}"
    async with worker_for(client, world, queue, workflows=False):
        async with worker_for(client, world, queue, cached=False, activities=False):
            run: Handle = await client.start_workflow(
                DocumentPipeline.run,
                PipelineInput(sources=["file:///papers"], options=PipelineOptions(concurrency=1)),
                id=f"run-{queue}",
                task_queue=queue,
            )
            await world.until_held(1)
            await until_saved(run, 1)
        world.release(1)
        async with asyncio.timeout(SECONDS):
            while await completed_activities(run, "process_batch") < 2:
                await asyncio.sleep(0.02)
        await run.cancel()
        async with worker_for(client, world, queue, cached=False, activities=False):
            assert isinstance(await outcome(run), CancelledError)
    chain = check_chain(world, run.id, status="cancelled")
    assert chain[-1].state_data.watermark == 2


async def test_batch_that_fails_after_its_cancellation_is_not_repeated(begin: Begin) -> None:
    """The activity fails with an outage, and a further attempt would commit its document."""
    world = World(2)
    world.stubborn = True
    world.hold("process_batch")
    run = await begin(world, concurrency=1)
    await world.until_held(0)
    await run.cancel()
    await pass_workflow_task(run)
    assert await cancellation_requests(run) == ["process_batch"]
    world.away = {"process_batch"}
    world.release()
    await until(lambda: world.in_flight == 0, "the attempt has failed")
    world.away.clear()
    assert isinstance(await outcome(run), CancelledError)
    assert await scheduled_batches(run) == 1
    chain = check_chain(world, run.id, status="cancelled")
    assert chain[-1].state_data.documents_cancelled == 2


async def test_cancelled_run_with_a_wide_window_replays(begin: Begin) -> None:
    """The batches must be cancelled in an order that a replay repeats."""
    world = World(12)
    world.hold("process_batch")
    run = await begin(world, concurrency=12)
    await until(lambda: world.in_flight == 12, "the window is full")
    await run.cancel()
    assert isinstance(await outcome(run), CancelledError)
    check_chain(world, run.id, status="cancelled")
    await replayer(DocumentPipeline).replay_workflow(await run.fetch_history())


async def test_run_cancelled_during_discovery_starts_no_further_work(begin: Begin) -> None:
    """The cancelled discovery still answers, and finds no document for the window."""
    world = World(0)
    world.stubborn = True
    world.hold("discover")
    run = await begin(world)
    await world.until_held("discover")
    await run.cancel()
    await pass_workflow_task(run)
    world.release()
    assert isinstance(await outcome(run), CancelledError)
    assert await scheduled(run, "resolve_identities") == []
    check_chain(world, run.id, status="cancelled")


async def test_last_steps_run_one_after_another(begin: Begin) -> None:
    """The analytics need the identities, and the last checkpoint needs the closed run."""
    steps = ["resolve_identities", "build_analytics", "close_run", "capture_service_states", "mirror_checkpoint"]
    world = World(0)
    world.hold(*steps)
    run = await begin(world)
    for number, step in enumerate(steps, start=1):
        await world.until_held(step)
        await pass_workflow_task(run)
        names = [activity.activity_type.name for activity in await scheduled(run)]
        assert names == ["discover", *steps[:number]]
        world.release(step)
    assert await outcome(run) is None
    check_chain(world, run.id, status="completed")


async def test_retry_of_a_cancelled_run_stays_cancelled(begin: Begin) -> None:
    """The retry processes the quarantined document, and not the document that was cancelled."""
    world = World(3)
    world.done = {0: "processed", 1: "quarantined"}
    world.cancelled = 1
    run = await begin(world, retry_quarantined=True)
    final = await run.result()
    assert (final.workflow_status, final.documents.remaining) == ("cancelled", 1)
    assert world.done == {0: "processed", 1: "processed"}
    check_chain(world, run.id, status="cancelled")


async def test_paused_run_can_be_cancelled(begin: Begin) -> None:
    world = World(3)
    world.hold(0)
    run = await begin(world, concurrency=1)
    await world.until_held(0)
    await run.execute_update(DocumentPipeline.pause)
    world.release()
    await until(lambda: len(world.done) == 1, "the batch in flight has finished")
    await run.cancel()
    assert isinstance(await outcome(run), CancelledError)
    chain = check_chain(world, run.id, status="cancelled")
    assert chain[-1].state_data.documents_cancelled == 2


async def test_addition_in_flight_at_a_cancellation_gets_an_answer(begin: Begin) -> None:
    world = World()
    world.hold("process_batch")
    run = await begin(world, open=True)
    waiting = await run.start_update(
        DocumentPipeline.add_documents,
        AddDocuments(sources=["a.txt"], wait=True),
        wait_for_stage=WorkflowUpdateStage.ACCEPTED,
    )
    await world.until_held(0)
    world.hold("add_documents")
    adding = await run.start_update(
        DocumentPipeline.add_documents,
        AddDocuments(sources=["b.txt"], wait=True),
        wait_for_stage=WorkflowUpdateStage.ACCEPTED,
    )
    await world.until_held("add_documents")
    await run.cancel()
    await pass_workflow_task(run)
    refused = AddDocuments(sources=["c.txt"])
    with pytest.raises(WorkflowUpdateFailedError):
        async with asyncio.timeout(SECONDS):
            await run.execute_update(DocumentPipeline.add_documents, refused)
    # A batch that is released before its cancellation arrives would finish its document.
    await until(lambda: world.waiting["process_batch"] == 0, "the batch in flight is cancelled")
    world.release()
    assert not (await waiting.result()).saved
    assert not (await adding.result()).saved
    assert isinstance(await outcome(run), CancelledError)
    chain = check_chain(world, run.id, status="cancelled")
    assert chain[-1].state_data.documents_total == 2
    assert chain[-1].state_data.documents_cancelled == 2, "the documents added during the cancellation are counted"


async def test_run_with_unusable_sources_fails_with_the_reason(begin: Begin) -> None:
    world = World(2)
    world.refuse["discover"] = "The source /papers is a socket."
    run = await begin(world)

    async def mend_once_asked_again() -> None:
        await until(lambda: len(world.requests_of("discover")) == 1, "the first request was refused")
        world.refuse.clear()

    mending = asyncio.create_task(mend_once_asked_again())
    failure = await outcome(run)
    await mending
    assert isinstance(failure, ApplicationError)
    assert failure.message == "The source /papers is a socket."
    chain = check_chain(world, run.id, status="failed")
    assert len(chain) == 1
    first, again = world.requests_of("discover")
    assert (first.sources, again.sources) == (["file:///papers"], []), "the second request only claims the epoch"


@pytest.mark.parametrize("refused", ["mirror_checkpoint", "process_batch", "close_run", "build_analytics"])
async def test_replaced_run_ends_with_the_reason_and_writes_nothing(begin: Begin, refused: str) -> None:
    """The stores refuse every write of a replaced run; the run must neither hang nor write."""
    world = World(3)
    world.refuse = {
        name: "The run was taken over by a later one."
        for name in ("mirror_checkpoint", "process_batch", "close_run", "build_analytics", "recover")
        if name == "recover" or refused in ("process_batch", name) or name in ("close_run", "mirror_checkpoint")
    }
    run = await begin(world)
    failure = await outcome(run)
    assert isinstance(failure, ApplicationError)
    assert failure.message == "The run was taken over by a later one."
    assert failure.type == "StaleWriter"
    assert world.mirror == []


async def test_run_with_quarantined_documents_completes_with_failures(begin: Begin) -> None:
    world = World(4)
    world.bad = {0, 3}
    run = await begin(world)
    final = await run.result()
    assert final.workflow_status == "completed_with_failures"
    assert (final.documents.processed, final.documents.quarantined) == (2, 2)
    check_chain(world, run.id, status="completed_with_failures")
