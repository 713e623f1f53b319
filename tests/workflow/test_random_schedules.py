"""Random schedules of delays, outages, pauses, widths and additions, replayed at every task."""

import asyncio
import os
import random

import pytest

from tests.workflow.chains import check_chain
from tests.workflow.conftest import Begin
from tests.workflow.world import World
from workflows.document_pipeline import DocumentPipeline
from workflows.messages import AddDocuments

SEEDS = 4
MOVES = 14
AWAY = ("process_batch", "mirror_checkpoint", "capture_service_states", "add_documents")


def seeds() -> list[int]:
    """Return the seeds; PERDURE_TEST_SEED repeats one schedule."""
    given = os.environ.get("PERDURE_TEST_SEED")
    return [int(given)] if given else [random.SystemRandom().randrange(2**32) for _ in range(SEEDS)]


@pytest.mark.parametrize("number", range(SEEDS))
async def test_random_schedule_ends_with_a_gapless_chain_and_no_open_document(begin: Begin, number: int) -> None:
    seed = seeds()[number % len(seeds())]
    print(f"PERDURE_TEST_SEED={seed}")
    chance = random.Random(seed)
    world = World(chance.randint(0, 8))
    world.bad = {position for position in range(40) if chance.random() < 0.2}
    world.delay = lambda: chance.random() * 0.03
    run = await begin(world, open=True, cached=False, concurrency=chance.randint(1, 4))
    added = 0
    for _ in range(MOVES):
        match chance.choice(["add", "add", "pause", "unpause", "width", "away", "back", "wait"]):
            case "add":
                sources = [f"added-{added + one}.txt" for one in range(chance.randint(1, 3))]
                added += len(sources)
                world.away.discard("add_documents")
                await run.execute_update(DocumentPipeline.add_documents, AddDocuments(sources=sources))
            case "pause":
                await run.execute_update(DocumentPipeline.pause)
            case "unpause":
                await run.execute_update(DocumentPipeline.unpause)
            case "width":
                await run.execute_update(DocumentPipeline.set_concurrency, chance.randint(1, 6))
            case "away":
                world.away.add(chance.choice(AWAY))
            case "back":
                world.away.clear()
            case "wait":
                await asyncio.sleep(chance.random() * 0.2)
    world.away.clear()
    cancelled = chance.random() < 0.25
    if cancelled:
        await run.cancel()
        with pytest.raises(Exception, match="Workflow execution failed"):
            await run.result()
        chain = check_chain(world, run.id, status="cancelled")
        assert len(world.done) + chain[-1].state_data.documents_cancelled == len(world.documents)
        return
    await run.execute_update(DocumentPipeline.unpause)
    await run.execute_update(DocumentPipeline.close)
    await run.result()
    assert len(world.done) == len(world.documents)
    check_chain(world, run.id, status="completed_with_failures" if world.bad & world.done.keys() else "completed")
