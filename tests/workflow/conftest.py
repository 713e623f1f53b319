"""Fixtures that run `DocumentPipeline` with scripted activities, inside the SDK's sandbox."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any, TypeAlias

import pytest
from temporalio.api.history.v1 import ActivityTaskScheduledEventAttributes, HistoryEvent
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from orchestration.connection import connect_to
from orchestration.settings.temporal import TemporalSettings
from tests.workflow.world import SECONDS, World
from workflows.document_pipeline import DocumentPipeline
from workflows.messages import PipelineInput, PipelineOptions, Progress, ResumePoint

Handle: TypeAlias = WorkflowHandle[DocumentPipeline, Progress]
Begin: TypeAlias = Callable[..., Awaitable[Handle]]
PASSED_THROUGH = ("activities", "perdure", "pydantic", "numpy", "workflows.messages", "workflows.state")


def worker_for(
    client: Client,
    world: World,
    task_queue: str,
    *,
    cached: bool = True,
    workflows: bool = True,
    activities: bool = True,
) -> Worker:
    """Return a worker for one world.

    Args:
        client: a client of the server.
        world: the world whose activities the worker executes.
        task_queue: the task queue that the worker polls.
        cached: without a cache every task replays the history and shows nondeterminism.
        workflows: whether the worker executes workflows.
        activities: whether the worker executes activities.
    """
    return Worker(
        client,
        task_queue=task_queue,
        workflows=[DocumentPipeline] if workflows else [],
        activities=world.activities if activities else [],
        workflow_runner=SandboxedWorkflowRunner(SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH)),
        max_cached_workflows=100 if cached else 0,
        max_concurrent_activities=100,
        max_heartbeat_throttle_interval=timedelta(milliseconds=50),
        default_heartbeat_throttle_interval=timedelta(milliseconds=50),
    )


async def pass_workflow_task(run: Handle) -> None:
    """Wait for a workflow task in which the workflow sees every earlier request.

    The function sends an update that changes nothing.
    """
    concurrency = (await run.query(DocumentPipeline.progress)).concurrency
    await run.execute_update(DocumentPipeline.set_concurrency, concurrency)


async def until_saved(run: Handle, sequence: int) -> None:
    """Wait until the workflow knows that every store has the checkpoint of this sequence."""
    async with asyncio.timeout(SECONDS):
        while not (latest := await run.query(DocumentPipeline.latest_checkpoint)) or latest.sequence < sequence:
            await asyncio.sleep(0.02)


async def scheduled_batches(run: Handle) -> int:
    """Return how many batches the workflow has handed out so far, as its history says."""
    return len(await scheduled(run, "process_batch"))


async def scheduled(run: Handle, *names: str) -> list[ActivityTaskScheduledEventAttributes]:
    """Return the scheduled activities with these names, in order; without names, all of them."""
    attributes = [
        event.activity_task_scheduled_event_attributes
        for event in (await run.fetch_history()).events
        if event.HasField("activity_task_scheduled_event_attributes")
    ]
    return [activity for activity in attributes if not names or activity.activity_type.name in names]


async def unfinished_batches(run: Handle) -> int:
    """Return how many batches of the present execution are scheduled and have not completed."""
    events = (await run.fetch_history()).events
    return len(_scheduled_ids(events, "process_batch")) - _count_completed(events, "process_batch")


async def failed_activities(run: Handle) -> int:
    """Return how many activities have failed in the workflow's eyes, after their last attempt."""
    events = (await run.fetch_history()).events
    return sum(event.HasField("activity_task_failed_event_attributes") for event in events)


async def completed_activities(run: Handle, name: str) -> int:
    """Return how many activities of this name have completed, as the workflow's history says."""
    return _count_completed((await run.fetch_history()).events, name)


def _count_completed(events: Sequence[HistoryEvent], name: str) -> int:
    ids = _scheduled_ids(events, name)
    return sum(event.activity_task_completed_event_attributes.scheduled_event_id in ids for event in events)


def _scheduled_ids(events: Sequence[HistoryEvent], name: str) -> set[int]:
    """Return the ids of the events that schedule an activity of this name."""
    return {
        event.event_id
        for event in events
        if event.HasField("activity_task_scheduled_event_attributes")
        and event.activity_task_scheduled_event_attributes.activity_type.name == name
    }


async def cancellation_requests(run: Handle) -> list[str]:
    """Return the name of each activity whose cancellation the workflow has requested, in order."""
    names = {}
    requested = []
    for event in (await run.fetch_history()).events:
        if event.HasField("activity_task_scheduled_event_attributes"):
            names[event.event_id] = event.activity_task_scheduled_event_attributes.activity_type.name
        elif event.HasField("activity_task_cancel_requested_event_attributes"):
            requested.append(names[event.activity_task_cancel_requested_event_attributes.scheduled_event_id])
    return requested


@pytest.fixture
async def begin(temporal_server: TemporalSettings) -> AsyncIterator[Begin]:
    """Return a function that starts a run in a world: `begin(world, concurrency=…, open=…)`.

    The runs use the real server: the time-skipping one refuses to cancel an activity that has just ended, and stalls.
    """
    client = await connect_to(temporal_server)
    async with AsyncExitStack() as stack:

        async def begin(
            world: World,
            *,
            resume: ResumePoint | None = None,
            retry_quarantined: bool = False,
            cached: bool = True,
            **options: Any,
        ) -> Handle:
            queue = f"workflow-{uuid.uuid4().hex[:8]}"
            await stack.enter_async_context(worker_for(client, world, queue, cached=cached))
            return await client.start_workflow(
                DocumentPipeline.run,
                PipelineInput(
                    sources=["file:///papers"],
                    options=PipelineOptions(**options),
                    resume=resume,
                    retry_quarantined=retry_quarantined,
                    rediscover=not retry_quarantined,
                ),
                id=f"run-{queue}",
                task_queue=queue,
            )

        yield begin
