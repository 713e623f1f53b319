"""A service that stays unhealthy pauses the run, independently of a user's pause."""

import pytest

from tests.replay.test_replay import replayer
from tests.workflow.chains import check_chain
from tests.workflow.conftest import Begin, Handle, pass_workflow_task, scheduled_batches
from tests.workflow.test_waiting import until_waiting
from tests.workflow.world import World, until
from workflows.document_pipeline import DocumentPipeline

WHY = "Connection refused."
SICK = {"Letters": WHY}


async def tripped(begin: Begin, world: World, *, seconds: float = 0.5) -> Handle:
    """Start a run and wait until the breaker has paused it, with documents left."""
    world.unwell = dict(SICK)
    world.delay = lambda: 0.1
    run = await begin(world, concurrency=1, breaker_seconds=seconds)
    await until_waiting(run)
    await until(lambda: bool(world.mirror) and world.mirror[-1].workflow_status == "paused", "the pause is recorded")
    return run


async def until_captured(world: World, times: int) -> None:
    """Wait until the run has asked for the services' states `times` more times."""
    captures = len(world.requests_of("capture_service_states")) + times
    await until(lambda: len(world.requests_of("capture_service_states")) >= captures, "services are asked again")


async def until_repeated(world: World, ordinal: int, times: int) -> None:
    """Wait until `times` more attempts of a batch have begun."""

    def count_attempts() -> int:
        return sum(request.first == ordinal for request in world.requests_of("process_batch"))

    attempts = count_attempts() + times
    await until(lambda: count_attempts() >= attempts, "further attempts follow")


async def until_mirrored(world: World, checkpoints: int) -> None:
    """Wait until so many checkpoints are mirrored."""
    await until(lambda: len(world.mirror) >= checkpoints, "a checkpoint is mirrored")


async def test_unhealthy_service_pauses_the_run_until_it_is_healthy(begin: Begin) -> None:
    world = World(60)
    run = await tripped(begin, world)
    await until(lambda: world.in_flight == 0, "the batches in flight have finished")
    progress = await run.query(DocumentPipeline.progress)
    assert progress.workflow_status == "paused"
    assert progress.waiting_for
    assert progress.waiting_for.startswith("Letters has been unhealthy since 20")
    assert "UTC (Connection refused); the run is paused" in progress.waiting_for
    shown = (await run.describe()).typed_search_attributes
    assert [pair.value for pair in shown if pair.key.name == "PipelineStatus"] == ["paused"]
    breaker = world.mirror[-1].state_data.breaker
    assert breaker is not None
    assert list(breaker.services) == ["Letters"]
    handed_out = await scheduled_batches(run)
    assert handed_out == len(world.done) < 60
    await until_captured(world, 2)
    await pass_workflow_task(run)
    assert await scheduled_batches(run) == handed_out
    world.unwell.clear()
    world.delay = lambda: 0.0
    final = await run.result()
    assert (final.workflow_status, final.waiting_for, final.documents.quarantined) == ("completed", None, 0)
    chain = check_chain(world, run.id, status="completed")
    statuses = [checkpoint.workflow_status for checkpoint in chain]
    assert "paused" in statuses
    assert "in_progress" in statuses[statuses.index("paused") :]
    assert all((c.state_data.breaker is not None) == (c.workflow_status == "paused") for c in chain)


async def test_breaker_trips_and_closes_while_no_document_finishes(begin: Begin) -> None:
    world = World(6)
    world.unwell = dict(SICK)
    world.hold(1, 2)
    run = await begin(world, concurrency=2, breaker_seconds=1.5)
    await until(lambda: world.waiting[2] > 0, "two documents are in flight")
    await until_waiting(run)
    await until(lambda: world.mirror[-1].workflow_status == "paused", "a checkpoint records the pause")
    assert len(world.done) == 1
    world.unwell.clear()
    await until_waiting(run, waiting=False)
    await until(lambda: world.mirror[-1].workflow_status == "in_progress", "a checkpoint records the end of the pause")
    assert len(world.done) == 1
    world.release()
    await run.result()
    check_chain(world, run.id, status="completed")


async def test_short_outage_of_a_service_does_not_pause_the_run(begin: Begin) -> None:
    world = World(30)
    world.unwell = dict(SICK)
    world.delay = lambda: 0.02
    run = await begin(world, concurrency=2, breaker_seconds=3600)
    await until(lambda: len(world.done) > 3, "further documents finish")
    world.unwell.clear()
    await run.result()
    chain = check_chain(world, run.id, status="completed")
    assert {checkpoint.workflow_status for checkpoint in chain} == {"in_progress", "completed"}


@pytest.mark.parametrize("service", ["Letters", "IdentityService"])
async def test_run_without_a_breaker_never_pauses_itself(begin: Begin, service: str) -> None:
    world = World(8)
    world.unwell = {service: WHY}
    world.delay = lambda: 0.05
    run = await begin(world, concurrency=2)
    await run.result()
    assert "paused" not in {checkpoint.workflow_status for checkpoint in check_chain(world, run.id, status="completed")}
    assert len(world.requests_of("capture_service_states")) == len(world.mirror)


async def test_closing_the_breaker_keeps_a_users_pause(begin: Begin) -> None:
    world = World(60)
    run = await tripped(begin, world)
    await run.execute_update(DocumentPipeline.pause)
    handed_out = await scheduled_batches(run)
    world.unwell.clear()
    await until_waiting(run, waiting=False)
    progress = await run.query(DocumentPipeline.progress)
    assert (progress.workflow_status, progress.waiting_for) == ("paused", None)
    await pass_workflow_task(run)
    assert await scheduled_batches(run) == handed_out
    world.delay = lambda: 0.0
    await run.execute_update(DocumentPipeline.unpause)
    await run.result()
    check_chain(world, run.id, status="completed")


async def test_users_unpause_does_not_close_the_breaker(begin: Begin) -> None:
    world = World(40)
    run = await tripped(begin, world)
    await until(lambda: world.in_flight == 0, "the batches in flight have finished")
    progress = await run.execute_update(DocumentPipeline.unpause)
    assert progress.waiting_for
    handed_out = await scheduled_batches(run)
    assert handed_out == len(world.done)
    await until_captured(world, 1)
    await pass_workflow_task(run)
    assert await scheduled_batches(run) == handed_out
    world.unwell.clear()
    world.delay = lambda: 0.0
    await run.result()


async def test_outage_of_a_dependency_does_not_trip_the_breaker(begin: Begin) -> None:
    """The run shows the outage, and captures during it find the database's services unhealthy."""
    world = World(4)
    world.away = {0}
    world.hold(2, 3)
    run = await begin(world, concurrency=2, breaker_seconds=0.3)
    await until_waiting(run)
    world.unwell = {"IdentityService": "Postgres is unavailable."}
    for ordinal in (2, 3):
        await world.until_held(ordinal)
        await until_repeated(world, 0, 2)  # the server makes further attempts only after more than the allowed time
        checkpoints = len(world.mirror)
        world.release(ordinal)
        await until_mirrored(world, checkpoints + 1)
    assert {checkpoint.workflow_status for checkpoint in world.mirror} == {"in_progress"}
    assert world.mirror[-1].service_states["IdentityService"].status == "unhealthy"
    assert "unhealthy" not in ((await run.query(DocumentPipeline.progress)).waiting_for or "")
    world.unwell.clear()
    world.away.clear()
    await run.result()
    assert "paused" not in {checkpoint.workflow_status for checkpoint in check_chain(world, run.id, status="completed")}


async def test_run_paused_by_the_breaker_can_be_cancelled(begin: Begin) -> None:
    world = World(60)
    run = await tripped(begin, world)
    await run.cancel()
    with pytest.raises(Exception, match="Workflow execution failed"):
        await run.result()
    check_chain(world, run.id, status="cancelled")


async def test_history_with_a_tripped_breaker_replays(begin: Begin) -> None:
    world = World(20)
    run = await tripped(begin, world)
    world.unwell.clear()
    world.delay = lambda: 0.0
    await run.result()
    await replayer(DocumentPipeline).replay_workflow(await run.fetch_history())
