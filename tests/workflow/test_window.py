"""The window: its width, its changes and pauses during a run, and completion in any order."""

import asyncio

import pytest
from temporalio.client import WorkflowFailureError, WorkflowUpdateFailedError

from tests.workflow.chains import check_chain
from tests.workflow.conftest import (
    Begin,
    failed_activities,
    pass_workflow_task,
    scheduled,
    scheduled_batches,
    until_saved,
)
from tests.workflow.world import SECONDS, World, until
from workflows.document_pipeline import DocumentPipeline
from workflows.messages import MAX_CONCURRENCY


@pytest.mark.parametrize("concurrency", [1, 3, 7])
async def test_window_never_exceeds_the_requested_concurrency(begin: Begin, concurrency: int) -> None:
    world = World(10)
    world.hold("process_batch")
    run = await begin(world, concurrency=concurrency)
    await until(lambda: world.in_flight == concurrency, "the window is full")
    world.release()
    await run.result()
    assert world.widest == concurrency
    check_chain(world, run.id, status="completed")


async def test_window_width_changes_while_the_run_works(begin: Begin) -> None:
    world = World(12)
    world.hold(*range(12))
    run = await begin(world, concurrency=2)
    await until(lambda: world.in_flight == 2, "two in flight")
    progress = await run.execute_update(DocumentPipeline.set_concurrency, 5)
    assert progress.concurrency == 5
    await until(lambda: world.in_flight == 5, "five in flight")
    await run.execute_update(DocumentPipeline.set_concurrency, 1)
    world.release(0, 1, 2, 3)
    await until(lambda: len(world.done) == 4, "four documents are finished")
    world.release(4)
    await until(lambda: world.in_flight == 1 and len(world.done) == 5, "one in flight")
    world.widest = 0
    world.release()
    await run.result()
    assert world.widest == 1
    chain = check_chain(world, run.id, status="completed")
    assert chain[-1].state_data.options["concurrency"] == 1, "a resumption keeps the width"


@pytest.mark.parametrize("wrong", [0, -1, MAX_CONCURRENCY + 1])
async def test_impossible_concurrency_is_refused_with_one_sentence(begin: Begin, wrong: int) -> None:
    world = World(1)
    world.hold(0)
    run = await begin(world)
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await run.execute_update(DocumentPipeline.set_concurrency, wrong)
    assert str(refused.value.cause) == f"Concurrency must be from 1 to {MAX_CONCURRENCY}, not {wrong}."
    world.release()
    await run.result()


async def test_completion_out_of_order_gives_a_watermark_and_ranges(begin: Begin) -> None:
    world = World(6)
    world.hold(0, 2)
    run = await begin(world, concurrency=6)
    await until(lambda: bool(world.mirror) and world.mirror[-1].processed_documents == 4, "the checkpoint covers four")
    data = world.mirror[-1].state_data
    assert (data.watermark, data.beyond_watermark) == (0, [[1, 2], [3, 6]])
    world.release(0)
    await until(lambda: world.mirror[-1].processed_documents == 5, "the checkpoint covers five")
    data = world.mirror[-1].state_data
    assert (data.watermark, data.beyond_watermark) == (2, [[3, 6]])
    world.release()
    await run.result()
    chain = check_chain(world, run.id, status="completed")
    assert (chain[-1].state_data.watermark, chain[-1].state_data.beyond_watermark) == (6, [])


async def test_paused_run_hands_out_no_batch_and_records_the_pause(begin: Begin) -> None:
    world = World(6)
    world.hold(0, 1)
    run = await begin(world, concurrency=2)
    await until(lambda: world.in_flight == 2, "two in flight")
    assert (await run.execute_update(DocumentPipeline.pause)).workflow_status == "paused"
    await until(lambda: bool(world.mirror), "the pause is recorded")
    assert world.mirror[-1].workflow_status == "paused"
    world.release()
    await until(lambda: world.mirror[-1].processed_documents >= 2, "a checkpoint covers the batches in flight")
    await pass_workflow_task(run)
    assert await scheduled_batches(run) == 2
    assert (await run.execute_update(DocumentPipeline.unpause)).workflow_status == "in_progress"
    await run.result()
    chain = check_chain(world, run.id, status="completed")
    assert [checkpoint.workflow_status for checkpoint in chain][:2] == ["paused", "paused"]


async def test_paused_run_does_not_end_when_its_last_document_finishes(begin: Begin) -> None:
    world = World(1)
    world.hold(0)
    run = await begin(world)
    await world.until_held(0)
    await run.execute_update(DocumentPipeline.pause)
    await until_saved(run, 1)
    world.release()
    await until_saved(run, 2)
    await pass_workflow_task(run)
    assert await scheduled(run, "resolve_identities") == []
    assert world.mirror[-1].workflow_status == "paused"
    await run.execute_update(DocumentPipeline.unpause)
    await run.result()
    check_chain(world, run.id, status="completed")


async def test_run_hands_out_no_batch_after_one_failed_for_good(begin: Begin) -> None:
    world = World(6)
    world.hold(0, 1)
    world.refuse = {0: "The batch is impossible."}
    world.refuse_as = "InvalidRequest"
    run = await begin(world, concurrency=2)
    await until(lambda: world.in_flight == 2, "two in flight")
    world.release(0)
    async with asyncio.timeout(SECONDS):
        while not await failed_activities(run):
            await asyncio.sleep(0.02)
    await pass_workflow_task(run)
    assert await scheduled_batches(run) == 2
    world.release()
    with pytest.raises(WorkflowFailureError) as failed:
        await run.result()
    assert str(failed.value.cause).endswith("The batch is impossible.")
    assert await scheduled_batches(run) == 2
    check_chain(world, run.id, status="failed")


async def test_run_whose_last_batch_failed_for_good_does_not_complete(begin: Begin) -> None:
    world = World(1)
    world.refuse = {0: "The batch is impossible."}
    world.refuse_as = "InvalidRequest"
    run = await begin(world)
    with pytest.raises(WorkflowFailureError) as failed:
        await run.result()
    assert str(failed.value.cause).endswith("The batch is impossible.")
    check_chain(world, run.id, status="failed")


async def test_repeated_pause_equals_one_pause(begin: Begin) -> None:
    world = World(2)
    world.hold(0)
    run = await begin(world, concurrency=1)
    await world.until_held(0)
    for _ in range(3):
        await run.execute_update(DocumentPipeline.pause)
    await until(lambda: len(world.mirror) == 1, "one checkpoint")
    for _ in range(3):
        await run.execute_update(DocumentPipeline.unpause)
    world.release()
    await run.result()
    chain = check_chain(world, run.id, status="completed")
    assert [checkpoint.workflow_status for checkpoint in chain].count("paused") == 1


async def test_batches_of_a_requested_size_cover_the_queue(begin: Begin) -> None:
    world = World(10)
    run = await begin(world, batch_size=4)
    await run.result()
    batches = sorted((request.first, request.end) for request in world.requests_of("process_batch"))
    assert batches == [(0, 4), (4, 8), (8, 10)]
    check_chain(world, run.id, status="completed")


async def test_each_batch_has_its_own_dispatch(begin: Begin) -> None:
    world = World(10)
    run = await begin(world, concurrency=3)
    await run.result()
    dispatches = [request.dispatch for request in world.requests_of("process_batch")]
    assert sorted(dispatches) == list(range(1, 11))


async def test_run_over_an_empty_manifest_completes(begin: Begin) -> None:
    world = World(0)
    run = await begin(world)
    final = await run.result()
    assert (final.workflow_status, final.documents.total) == ("completed", 0)
    assert len(check_chain(world, run.id, status="completed")) == 1
