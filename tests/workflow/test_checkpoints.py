"""P3 and the content of checkpoints: one chain without a gap, own and shared checkpoints."""

import asyncio
import json

from temporalio.client import WorkflowUpdateStage

from perdure.checkpoint import checkpoint_id
from tests.workflow.chains import check_chain
from tests.workflow.conftest import Begin, completed_activities, pass_workflow_task, scheduled, until_saved
from tests.workflow.world import QUALITY, SECONDS, World, until
from workflows.document_pipeline import DocumentPipeline
from workflows.messages import AddDocuments, ResumePoint


async def test_documents_that_finish_one_at_a_time_get_one_checkpoint_each(begin: Begin) -> None:
    world = World(4)
    world.hold(0, 1, 2, 3)
    run = await begin(world, concurrency=1)
    for ordinal in range(4):
        await world.until_held(ordinal)
        world.release(ordinal)
        await until(lambda done=ordinal: len(world.mirror) == done + 1, "its checkpoint is written")  # type: ignore[misc]  # bound now
    await run.result()
    chain = check_chain(world, run.id, status="completed")
    assert [checkpoint.processed_documents for checkpoint in chain] == [1, 2, 3, 4, 4]


async def test_documents_that_finish_together_share_checkpoints(begin: Begin) -> None:
    world = World(30)
    world.hold("mirror_checkpoint")
    run = await begin(world, concurrency=30)
    await world.until_held("mirror_checkpoint")
    await until(lambda: len(world.done) == 30, "no document waits for a checkpoint")
    world.release()
    await run.result()
    chain = check_chain(world, run.id, status="completed")
    assert len(chain) <= 3
    assert chain[-2].processed_documents == 30


async def test_pause_while_a_checkpoint_is_written_is_recorded_by_the_next(begin: Begin) -> None:
    """The first checkpoint's status is decided before the pause; then no document finishes."""
    world = World(2)
    world.hold("mirror_checkpoint", 1)
    run = await begin(world, concurrency=1)
    await world.until_held("mirror_checkpoint")
    await run.execute_update(DocumentPipeline.pause)
    world.release("mirror_checkpoint")
    await until_saved(run, 1)
    assert len(await scheduled(run, "capture_service_states")) == 2, "the next checkpoint begins at once"
    await until(lambda: len(world.mirror) == 2, "the next checkpoint is written")
    assert [checkpoint.workflow_status for checkpoint in world.mirror] == ["in_progress", "paused"]
    await run.execute_update(DocumentPipeline.unpause)
    world.release()
    await run.result()
    check_chain(world, run.id, status="completed")


async def test_checkpoint_counts_only_when_every_store_has_it(begin: Begin) -> None:
    """A waiting addition and the queries answer from the stores, not from the next write."""
    world = World(1)
    world.hold("mirror_checkpoint")
    run = await begin(world, open=True)
    await world.until_held("mirror_checkpoint")
    request = AddDocuments(sources=["00000.txt"], wait=True)
    adding = await run.start_update(
        DocumentPipeline.add_documents, request, wait_for_stage=WorkflowUpdateStage.ACCEPTED
    )
    async with asyncio.timeout(SECONDS):
        while await completed_activities(run, "add_documents") < 1:
            await asyncio.sleep(0.02)
    await pass_workflow_task(run)
    assert await run.query(DocumentPipeline.latest_checkpoint) is None
    assert (await run.query(DocumentPipeline.progress)).documents.processed == 1
    history = await run.fetch_history()
    answered = [
        event for event in history.events if event.HasField("workflow_execution_update_completed_event_attributes")
    ]
    assert len(answered) == 1, "only the update of `pass_workflow_task` has an answer"
    world.release()
    assert (await adding.result()).saved
    await run.execute_update(DocumentPipeline.close)
    await run.result()
    check_chain(world, run.id, status="completed")


async def test_checkpoint_records_counts_position_and_services(begin: Begin) -> None:
    world = World(3)
    world.bad = {1}
    run = await begin(world, concurrency=1)
    await run.result()
    chain = check_chain(world, run.id, status="completed_with_failures")
    last = chain[-1]
    data = last.state_data
    assert (data.documents_total, data.documents_remaining, data.documents_quarantined) == (3, 0, 1)
    assert data.current_quality_score == QUALITY
    assert data.watermark == 3
    assert data.sources == ["file:///papers"]
    assert last.metadata["run_id"] == run.result_run_id
    events = [checkpoint.metadata["event_id"] for checkpoint in chain]
    assert events == sorted(set(events))
    assert last.service_states["IdentityService"].status == "healthy"


async def test_resumed_run_continues_the_chain(begin: Begin) -> None:
    world = World(2)
    resume = ResumePoint(checkpoint_id="chk_x", sequence=7, digest="d7", epoch=3)
    run = await begin(world, resume=resume)
    await run.result()
    chain = check_chain(world, run.id, status="completed", first=8)
    assert chain[0].previous_digest == "d7"
    assert chain[0].checkpoint_id == checkpoint_id(run.id, 8)
    assert {checkpoint.epoch for checkpoint in chain} == {4}


async def test_resumed_run_covers_documents_committed_after_the_last_checkpoint(begin: Begin) -> None:
    """An earlier run committed two documents, and the second run has no checkpoint yet."""
    world = World(2)
    run = await begin(world, open=True)
    await until(
        lambda: len(world.mirror) > 0 and world.mirror[-1].processed_documents == 2,
        "the checkpoint covers both",
    )
    await run.execute_update(DocumentPipeline.close)
    await run.result()

    again = World(0)
    again.documents = world.documents
    again.done = world.done
    resumed = await begin(again, open=True)
    await until(lambda: len(again.mirror) == 1, "the resumed run writes a checkpoint")
    assert again.mirror[0].processed_documents == 2
    await resumed.execute_update(DocumentPipeline.close)
    await resumed.result()


async def test_size_of_a_checkpoint_does_not_depend_on_the_number_of_documents(begin: Begin) -> None:
    sizes = []
    for documents in (20, 2000):
        world = World(documents)
        run = await begin(world, batch_size=documents // 10)
        await run.result()
        chain = check_chain(world, run.id, status="completed")
        sizes.append(max(len(json.dumps(checkpoint.model_dump(mode="json"))) for checkpoint in chain))
    assert abs(sizes[1] - sizes[0]) < 100


async def test_queries_return_the_checkpoint_that_the_stores_have(begin: Begin) -> None:
    world = World(2)
    world.hold(1)
    run = await begin(world, concurrency=1)
    await world.until_held(1)
    await until(lambda: len(world.mirror) == 1, "the first checkpoint is written")
    progress = await run.query(DocumentPipeline.progress)
    assert (progress.documents.processed, progress.documents.remaining) == (1, 1)
    assert (progress.workflow_status, progress.open, progress.concurrency) == ("in_progress", False, 1)
    world.release()
    final = await run.result()
    assert final.workflow_status == "completed"
    assert await run.query(DocumentPipeline.latest_checkpoint) == world.mirror[-1]
    assert final.latest_checkpoint
    assert final.latest_checkpoint.sequence == world.mirror[-1].sequence
