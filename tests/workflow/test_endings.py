"""The last checkpoint of every run records its final status, and no checkpoint follows."""

import asyncio

import pytest
from temporalio.client import WorkflowFailureError, WorkflowUpdateFailedError, WorkflowUpdateStage
from temporalio.exceptions import ApplicationError, CancelledError

from tests.workflow.chains import check_chain
from tests.workflow.conftest import Begin, Handle, pass_workflow_task, scheduled_batches
from tests.workflow.world import SECONDS, World, until
from workflows.document_pipeline import DocumentPipeline
from workflows.messages import AddDocuments

PHASES = {
    "discover": "discover",
    "names": "name_documents",
    "in flight": "process_batch",
    "asking the services": "capture_service_states",
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


@pytest.mark.parametrize("heeded", [True, False], ids=["activity stops", "activity ignores the cancellation"])
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


async def test_cancellation_during_the_last_checkpoint_has_no_effect(begin: Begin) -> None:
    for held in ("close_run", "capture_service_states", "mirror_checkpoint"):
        world = World(1)
        world.hold("build_analytics")
        run = await begin(world)
        await world.until_held("build_analytics")
        world.hold(held)
        world.release("build_analytics")
        await world.until_held(held)
        await run.cancel()
        await pass_workflow_task(run)
        world.release()
        assert await outcome(run) is None
        check_chain(world, run.id, status="completed")


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
    with pytest.raises(WorkflowUpdateFailedError):
        await run.execute_update(DocumentPipeline.add_documents, AddDocuments(sources=["c.txt"]))
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
