"""A run's search attributes are current while it is idle, and few while it is fast."""

import itertools
import json
from datetime import timedelta
from typing import Any

from tests.workflow.conftest import Begin, Handle, until_saved
from tests.workflow.world import World
from workflows.document_pipeline import DocumentPipeline

LEAST = timedelta(seconds=1)
"""Least time between two upserts that no change of the status explains."""


async def shown(run: Handle) -> dict[str, Any]:
    """Return the search attributes that the server has, by name."""
    return {pair.key.name: pair.value for pair in (await run.describe()).typed_search_attributes}


async def upserts(run: Handle) -> list[tuple[Any, dict[str, Any]]]:
    """Return the workflow's time and the values of each upsert, in order."""
    events = {event.event_id: event for event in (await run.fetch_history()).events}
    result = []
    for event in events.values():
        if not event.HasField("upsert_workflow_search_attributes_event_attributes"):
            continue
        attributes = event.upsert_workflow_search_attributes_event_attributes
        task = events[attributes.workflow_task_completed_event_id].workflow_task_completed_event_attributes
        fields = attributes.search_attributes.indexed_fields
        values = {name: json.loads(payload.data) for name, payload in fields.items()}
        result.append((events[task.started_event_id].event_time.ToDatetime(), values))
    return result


async def test_idle_run_shows_its_final_counts(begin: Begin) -> None:
    world = World(5)
    world.bad = {4}
    world.hold(4)
    run = await begin(world, open=True, concurrency=1)
    await world.until_held(4)
    world.release()
    await until_saved(run, 1)
    while (await run.query(DocumentPipeline.progress)).documents.remaining:
        assert world.in_flight <= 1
    values = await shown(run)
    assert (values["DocumentsTotal"], values["DocumentsProcessed"], values["DocumentsFailed"]) == (5, 4, 1)
    await run.execute_update(DocumentPipeline.close)
    await run.result()
    assert (await shown(run))["PipelineStatus"] == "completed_with_failures"


async def test_fast_run_upserts_at_most_once_a_second(begin: Begin) -> None:
    """An upsert is an event: one for each document would double a fast run's events."""
    world = World(40)
    run = await begin(world, concurrency=2)
    await run.result()
    made = await upserts(run)
    for (before, earlier), (time, later) in itertools.pairwise(made):
        finished = later["DocumentsProcessed"] + later["DocumentsFailed"]
        if earlier["PipelineStatus"] == later["PipelineStatus"] and finished < later["DocumentsTotal"]:
            assert time - before >= LEAST
    assert len(made) < 40
