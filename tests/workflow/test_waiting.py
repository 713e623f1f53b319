"""P8: during an outage a run waits, shows the reason, and quarantines no document."""

import asyncio

import pytest

from tests.workflow.chains import check_chain
from tests.workflow.conftest import Begin, Handle
from tests.workflow.world import AWAY, World, until
from workflows.document_pipeline import DocumentPipeline


async def until_waiting(run: Handle, *, waiting: bool = True) -> None:
    async with asyncio.timeout(90):
        while ((await run.query(DocumentPipeline.progress)).waiting_for is not None) != waiting:
            await asyncio.sleep(0.05)


ACTIVITIES = [
    "discover",
    "process_batch",
    "capture_service_states",
    "mirror_checkpoint",
    "resolve_identities",
    "build_analytics",
    "close_run",
]


@pytest.mark.parametrize("away", ACTIVITIES)
async def test_run_waits_for_a_dependency_shows_the_reason_and_continues(begin: Begin, away: str) -> None:
    world = World(3)
    world.away = {away}
    run = await begin(world, concurrency=2)
    await until_waiting(run)
    progress = await run.query(DocumentPipeline.progress)
    assert progress.waiting_for == AWAY
    assert progress.documents.quarantined == 0
    shown = (await run.describe()).typed_search_attributes
    assert [pair.value for pair in shown if pair.key.name == "PipelineStatus"] == ["waiting"]
    world.away.clear()
    final = await run.result()
    assert (final.workflow_status, final.waiting_for, final.documents.quarantined) == ("completed", None, 0)
    check_chain(world, run.id, status="completed")


async def test_outage_of_any_length_costs_a_constant_number_of_events(begin: Begin) -> None:
    world = World(4)
    world.away = {"process_batch"}
    run = await begin(world, concurrency=2)
    await until(lambda: len(world.requests_of("process_batch")) >= 8, "the attempts without a limit have begun")
    await until_waiting(run)
    before = (await run.describe()).history_length
    tried = len(world.requests_of("process_batch"))
    await until(lambda: len(world.requests_of("process_batch")) >= tried + 4, "further attempts follow")
    assert (await run.describe()).history_length == before
    world.away.clear()
    await run.result()
    check_chain(world, run.id, status="completed")


async def test_reason_for_waiting_stays_while_other_documents_finish(begin: Begin) -> None:
    """The disk of one document is unavailable; finished documents do not hide the reason."""
    world = World(6)
    world.away = {0}
    run = await begin(world, concurrency=2)
    await until(lambda: len(world.done) == 5, "the other documents are finished")
    await until(lambda: world.mirror[-1].processed_documents == 5, "the checkpoint covers five")
    await until_waiting(run)
    assert (await run.query(DocumentPipeline.progress)).waiting_for == AWAY
    world.away.clear()
    await run.result()
    check_chain(world, run.id, status="completed")


async def test_batch_scheduled_again_has_a_later_dispatch(begin: Begin) -> None:
    world = World(1)
    world.away = {"process_batch"}
    run = await begin(world)
    await until_waiting(run)
    world.away.clear()
    await run.result()
    dispatches = [request.dispatch for request in world.requests_of("process_batch")]
    assert dispatches[0] == 1
    assert dispatches[-1] == 2
    assert dispatches == sorted(dispatches)


async def test_waiting_run_can_be_paused_and_cancelled(begin: Begin) -> None:
    world = World(2)
    world.away = {"process_batch"}
    run = await begin(world)
    await until_waiting(run)
    await run.execute_update(DocumentPipeline.pause)
    await run.cancel()
    with pytest.raises(Exception, match="Workflow execution failed"):
        await run.result()
    chain = check_chain(world, run.id, status="cancelled")
    assert chain[-1].state_data.documents_cancelled == 2
