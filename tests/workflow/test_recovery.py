"""A run with a restored database reports the loss, and repeats exactly the lost documents."""

import asyncio
from collections import Counter

import pytest

from perdure.checkpoint import WorkflowCheckpoint
from tests.workflow.chains import check_chain
from tests.workflow.conftest import Begin, Handle, failed_activities, pass_workflow_task, scheduled, until_saved
from tests.workflow.world import SECONDS, World, until
from workflows.document_pipeline import DocumentPipeline
from workflows.messages import AddDocuments

COUNT = 8


def times_processed(world: World) -> Counter[tuple[int, int]]:
    """Return how often each ordinal of each epoch was processed."""
    return Counter((request.epoch, request.first) for request in world.requests_of("process_batch"))


async def settled(world: World, run: Handle) -> list[WorkflowCheckpoint]:
    final = await run.result()
    assert final.workflow_status == "completed"
    assert final.recovered is not None
    assert final.recovered.startswith("The database was set back: ")
    assert len(world.done) == len(world.documents)
    chain = world.mirror
    assert [checkpoint.sequence for checkpoint in chain] == list(range(1, len(chain) + 1))
    assert chain[-1].processed_documents == len(world.documents)
    recorded = [checkpoint.metadata["recovered"] for checkpoint in chain if "recovered" in checkpoint.metadata]
    assert recorded == [final.recovered], "exactly one checkpoint marks the loss"
    return chain


@pytest.mark.parametrize("cached", [True, False], ids=["cached", "replayed-at-each-task"])
async def test_run_with_a_set_back_database_repeats_exactly_the_lost_documents(begin: Begin, cached: bool) -> None:
    world = World(COUNT)
    world.hold(5)
    run = await begin(world, cached=cached, concurrency=1)
    await until(lambda: bool(world.mirror) and world.mirror[-1].processed_documents == 5, "the checkpoint covers five")
    world.set_back(documents=3, checkpoints=1)
    world.release()
    await settled(world, run)
    assert [request.epoch for request in world.requests_of("recover")] == [1]
    again = [ordinal for epoch, ordinal in times_processed(world) if epoch == 2]
    assert sorted(again) == list(range(COUNT - 3)), "the five that have no result, each once"
    assert max(times_processed(world).values()) == 1
    assert world.mirror[0].epoch == 1
    assert world.mirror[-1].epoch == 2


async def test_batches_in_flight_at_a_set_back_are_refused_and_repeated(begin: Begin) -> None:
    world = World(COUNT)
    world.hold(4, 5, 6)
    run = await begin(world, concurrency=3)
    for ordinal in (4, 5, 6):
        await world.until_held(ordinal)
    await until(lambda: bool(world.mirror) and world.mirror[-1].processed_documents == 4, "the checkpoint covers four")
    world.set_back(documents=1, checkpoints=0)
    world.release()
    await settled(world, run)
    assert len(world.requests_of("recover")) == 1


async def test_recovery_begins_after_every_batch_of_the_former_epoch_has_ended(begin: Begin) -> None:
    """A later result would count for ordinals of the new epoch, which are other documents."""
    world = World(110)  # names come in pages of 100
    world.hold(0)
    world.refuse = {"name_documents": "The database was set back."}
    run = await begin(world, concurrency=110)
    async with asyncio.timeout(SECONDS):
        while not await failed_activities(run):
            await asyncio.sleep(0.02)
    await until(lambda: bool(world.mirror) and world.mirror[-1].processed_documents == 99, "the others are covered")
    await until_saved(run, len(world.mirror))
    await pass_workflow_task(run)
    assert await scheduled(run, "recover") == []
    world.refuse.clear()
    world.release()
    assert (await run.result()).documents.processed == 110
    assert len(world.requests_of("recover")) == 1


@pytest.mark.parametrize("at", ["resolve_identities", "build_analytics", "close_run", "mirror_checkpoint"])
async def test_set_back_during_the_last_steps_is_detected(begin: Begin, at: str) -> None:
    world = World(4)
    world.hold("resolve_identities")
    run = await begin(world)
    await world.until_held("resolve_identities")
    world.hold(at)
    if at != "resolve_identities":
        world.release("resolve_identities")
    await world.until_held(at)
    world.set_back(documents=2, checkpoints=1)
    world.release()
    chain = await settled(world, run)
    statuses = [checkpoint.workflow_status for checkpoint in chain if checkpoint.epoch == 2]
    assert len(statuses) > 1
    assert set(statuses[:-1]) == {"in_progress"}, "the run has not ended yet"


@pytest.mark.parametrize("bad", [set(), {0}], ids=["completed", "completed-with-failures"])
async def test_results_lost_before_the_run_is_closed_are_detected(begin: Begin, bad: set[int]) -> None:
    """The backup is of the present epoch: only the number of results shows the loss."""
    world = World(3)
    world.bad = bad
    world.hold("close_run")
    run = await begin(world)
    await world.until_held("close_run")
    world.done = {0: world.done[0]}
    world.release()
    final = await run.result()
    assert len(world.requests_of("recover")) == 1
    assert (final.documents.processed, final.documents.quarantined) == (3 - len(bad), len(bad))


async def test_cancelled_run_may_have_fewer_results_than_documents(begin: Begin) -> None:
    world = World(3)
    world.hold(1)
    run = await begin(world, concurrency=1)
    await world.until_held(1)
    await run.cancel()
    with pytest.raises(Exception, match="Workflow execution failed"):
        await run.result()
    assert world.requests_of("recover") == []
    check_chain(world, run.id, status="cancelled")


async def test_run_cancelled_after_a_recovery_of_its_end_records_it(begin: Begin) -> None:
    world = World(2)
    world.hold("close_run")
    run = await begin(world)
    await world.until_held("close_run")
    world.set_back(documents=1, checkpoints=1)
    world.hold("process_batch")
    world.release("close_run")
    await world.until_held("process_batch")
    await run.cancel()
    with pytest.raises(Exception, match="Workflow execution failed"):
        await run.result()
    assert world.closed_as == ["cancelled"]
    assert world.mirror[-1].workflow_status == "cancelled"


async def test_recovered_run_writes_checkpoints_as_before(begin: Begin) -> None:
    """A checkpoint records the recovery at once, and later checkpoints cover each document."""
    world = World(6)
    world.hold(3)
    run = await begin(world, concurrency=1)
    await world.until_held(3)
    await until_saved(run, 1)
    world.hold("recover")
    world.set_back(documents=2, checkpoints=1)
    world.release(3)
    await world.until_held("recover")
    world.hold(0, 1)
    world.release("recover")
    await world.until_held(0)
    names = [activity.activity_type.name for activity in await scheduled(run)]
    assert "capture_service_states" in names[names.index("recover") :], "a checkpoint records the recovery"
    await until(lambda: "recovered" in world.mirror[-1].metadata, "a checkpoint records the recovery")
    world.release(0)
    await world.until_held(1)
    names = [activity.activity_type.name for activity in await scheduled(run)]
    assert names[names.index("recover") :].count("capture_service_states") == 2, "a checkpoint covers the document"
    world.release()
    await settled(world, run)


async def test_run_survives_any_number_of_recoveries_between_which_documents_finish(begin: Begin) -> None:
    """Each recovery takes a new epoch, even if the claims of earlier recoveries are kept."""
    rounds = 5
    world = World(6 * rounds)
    world.refuse_as = "CheckpointGap"
    world.hold(3)
    run = await begin(world, concurrency=1)
    for _ in range(rounds):
        await world.until_held(3)
        world.refuse = {"mirror_checkpoint": "A checkpoint is missing."}
        world.hold("recover")
        world.release(3)
        await world.until_held("recover")
        world.refuse.clear()
        world.hold(3)
        world.release("recover")
    world.release()
    assert (await run.result()).workflow_status == "completed"
    assert [request.epoch for request in world.requests_of("recover")] == list(range(1, rounds + 1))
    assert world.mirror[-1].epoch == rounds + 1


@pytest.mark.parametrize(
    "refusal", ["StoreSetBack", "StaleWriter", "AlreadyCommitted", "CheckpointGap", "CheckpointConflict"]
)
async def test_refusal_that_a_set_back_can_cause_leads_to_a_recovery(begin: Begin, refusal: str) -> None:
    world = World(2)
    world.refuse = {"mirror_checkpoint": "The stores do not hold what the run wrote."}
    world.refuse_as = refusal
    world.hold("recover")
    run = await begin(world, concurrency=1)
    await until(lambda: world.waiting["recover"] > 0 or "failed" in world.closed_as, "the run recovers or fails")
    assert world.closed_as == []
    world.refuse.clear()
    world.release()
    assert (await run.result()).workflow_status == "completed"


async def test_run_whose_checkpoint_is_refused_hands_out_no_further_batch(begin: Begin) -> None:
    world = World(3)
    world.hold(1, "recover")
    world.refuse = {"mirror_checkpoint": "A checkpoint is missing."}
    run = await begin(world, concurrency=1)
    await world.until_held(1)
    async with asyncio.timeout(SECONDS):
        while not await failed_activities(run):
            await asyncio.sleep(0.02)
    await pass_workflow_task(run)
    world.release(1)
    await world.until_held("recover")
    assert len(await scheduled(run, "process_batch")) == 2
    world.refuse.clear()
    world.release()
    assert (await run.result()).documents.processed == 3


async def test_addition_of_a_former_epoch_causes_no_second_recovery(begin: Begin) -> None:
    """Two additions are refused for one set-back, the second one after the recovery."""
    world = World(1)
    world.hold("a.txt", "b.txt")
    run = await begin(world, open=True)
    await until_saved(run, 1)
    adding = [
        asyncio.create_task(run.execute_update(DocumentPipeline.add_documents, AddDocuments(sources=[name], wait=True)))
        for name in ("a.txt", "b.txt")
    ]
    await world.until_held("a.txt")
    await world.until_held("b.txt")
    world.set_back(documents=1, checkpoints=1)
    world.release("a.txt")
    assert (await adding[0]).saved
    world.release("b.txt")
    assert (await adding[1]).saved
    assert len(world.requests_of("recover")) == 1
    await run.execute_update(DocumentPipeline.close)
    await run.result()
    assert world.documents == ["00000.txt", "a.txt", "b.txt"]


async def test_addition_during_a_set_back_succeeds_after_the_recovery(begin: Begin) -> None:
    world = World(2)
    world.hold("add_documents")
    run = await begin(world, open=True)
    await until(lambda: bool(world.mirror) and world.mirror[-1].processed_documents == 2, "the checkpoint covers both")
    adding = asyncio.create_task(
        run.execute_update(DocumentPipeline.add_documents, AddDocuments(sources=["new"], wait=True))
    )
    await world.until_held("add_documents")
    world.set_back(documents=1, checkpoints=1)
    world.release()
    added = await adding
    assert added.saved
    await run.execute_update(DocumentPipeline.close)
    await settled(world, run)
    assert world.documents.count("new") == 1


async def test_run_fails_with_the_reason_after_three_recoveries_in_vain(begin: Begin) -> None:
    world = World(2)
    world.refuse = {"process_batch": "Something is wrong for good."}
    run = await begin(world)
    result = asyncio.create_task(run.result())
    await until(lambda: result.done() or len(world.requests_of("recover")) > 4, "the run ends")
    assert len(world.requests_of("recover")) <= 4
    with pytest.raises(Exception, match="Workflow execution failed") as failed:
        await result
    assert str(failed.value.__cause__).endswith("Something is wrong for good.")
    assert 1 <= len(world.requests_of("recover")) <= 4
    check_chain(world, run.id, status="failed")
