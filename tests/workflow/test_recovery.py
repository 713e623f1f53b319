"""A run with a restored database reports the loss, and repeats exactly the lost documents."""

import asyncio
from collections import Counter

import pytest

from perdure.checkpoint import WorkflowCheckpoint
from tests.workflow.chains import check_chain
from tests.workflow.conftest import Begin, Handle
from tests.workflow.world import World, until
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


@pytest.mark.parametrize("cached", [True, False], ids=["cached", "replayed at each task"])
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


@pytest.mark.parametrize("at", ["resolve_identities", "build_analytics", "close_run"])
async def test_set_back_during_the_last_steps_is_detected(begin: Begin, at: str) -> None:
    world = World(4)
    world.hold(at)
    run = await begin(world)
    await world.until_held(at)
    world.set_back(documents=2, checkpoints=1)
    world.release()
    await settled(world, run)


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
    async with asyncio.timeout(90):
        with pytest.raises(Exception, match="Workflow execution failed") as failed:
            await run.result()
    assert str(failed.value.__cause__).endswith("Something is wrong for good.")
    assert 1 <= len(world.requests_of("recover")) <= 4
    check_chain(world, run.id, status="failed")
