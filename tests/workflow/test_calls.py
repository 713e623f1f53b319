"""How long an activity may take, how soon a lost attempt is repeated, and how often."""

from datetime import timedelta

from tests.workflow.conftest import Begin, scheduled
from tests.workflow.world import World
from workflows.document_pipeline import DocumentPipeline
from workflows.messages import AddDocuments, PipelineOptions

LONG = {"discover", "add_documents", "process_batch", "recover", "resolve_identities", "build_analytics"}
SHORT = {"name_documents", "capture_service_states", "mirror_checkpoint", "close_run"}
HEARTBEAT_SECONDS = 600.0
"""Much longer than a batch takes on a busy machine: the batches of these tests send no heartbeats."""
LONGEST_LOSS = timedelta(seconds=15)
"""Longest time for which a short attempt whose worker is gone may hold up a run; a long attempt has twice the time."""
LONGEST_PAUSE = timedelta(seconds=10)
"""Longest time between two attempts, and so between the end of an outage and the next attempt."""


async def test_attempt_whose_worker_is_gone_is_repeated_within_seconds(begin: Begin) -> None:
    """The server learns of the loss by a missed heartbeat, or by the limit of a short activity."""
    world = World(101)  # names come in pages of 100
    world.refuse = {"resolve_identities": "The database was set back."}
    world.hold("recover")
    run = await begin(world, open=True, concurrency=50, batch_size=1, heartbeat_timeout_seconds=HEARTBEAT_SECONDS)
    await run.execute_update(DocumentPipeline.add_documents, AddDocuments(sources=["a.txt"], wait=True))
    await run.execute_update(DocumentPipeline.close)
    await world.until_held("recover")
    world.refuse.clear()
    world.release()
    await run.result()
    activities = await scheduled(run)
    assert {activity.activity_type.name for activity in activities} == LONG | SHORT
    for activity in activities:
        name = activity.activity_type.name
        limit = activity.start_to_close_timeout.ToTimedelta()
        if name in LONG:
            assert activity.heartbeat_timeout.ToTimedelta() == timedelta(seconds=HEARTBEAT_SECONDS), name
            assert limit >= timedelta(hours=1), name
        else:
            assert timedelta() < limit <= LONGEST_LOSS, name
    assert timedelta(seconds=PipelineOptions().heartbeat_timeout_seconds) <= 2 * LONGEST_LOSS


async def test_attempts_have_no_limit_and_follow_within_seconds(begin: Begin) -> None:
    world = World(1)
    world.away = {"process_batch"}
    run = await begin(world)
    while not (await run.query(DocumentPipeline.progress)).waiting_for:
        assert len(world.requests_of("process_batch")) < 10, "the reason for the outage is not shown"
    world.away.clear()
    await run.result()
    first, second = [activity.retry_policy for activity in await scheduled(run, "process_batch")]
    assert 0 < first.maximum_attempts < 10
    assert second.maximum_attempts == 0
    assert timedelta() < second.maximum_interval.ToTimedelta() <= LONGEST_PAUSE
