"""Fixtures that run `DocumentPipeline` with scripted activities, inside the SDK's sandbox."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any, TypeAlias

import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from orchestration.connection import connect_to
from orchestration.settings.temporal import TemporalSettings
from tests.workflow.world import World
from workflows.document_pipeline import DocumentPipeline
from workflows.messages import PipelineInput, PipelineOptions, Progress, ResumePoint

Handle: TypeAlias = WorkflowHandle[DocumentPipeline, Progress]
Begin: TypeAlias = Callable[..., Awaitable[Handle]]
PASSED_THROUGH = ("activities", "perdure", "pydantic", "numpy", "workflows.messages", "workflows.state")


def worker_for(client: Client, world: World, task_queue: str, *, cached: bool = True) -> Worker:
    """Return a worker for one world.

    Without a cache, every workflow task replays the history, which shows nondeterminism.
    """
    return Worker(
        client,
        task_queue=task_queue,
        workflows=[DocumentPipeline],
        activities=world.activities,
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


async def scheduled_batches(run: Handle) -> int:
    """Return the number of batches that the history shows as scheduled."""
    events = (await run.fetch_history()).events
    scheduled = (event.activity_task_scheduled_event_attributes.activity_type.name for event in events)
    return sum(name == "process_batch" for name in scheduled)


@pytest.fixture
async def begin(temporal_server: TemporalSettings) -> AsyncIterator[Begin]:
    """Return a function that starts a run in a world: `begin(world, concurrency=…, open=…)`.

    The runs use the real server: the time-skipping one refuses to cancel an activity that has just ended, and stalls.
    """
    client = await connect_to(temporal_server)
    async with AsyncExitStack() as stack:

        async def begin(
            world: World, *, resume: ResumePoint | None = None, cached: bool = True, **options: Any
        ) -> Handle:
            queue = f"workflow-{uuid.uuid4().hex[:8]}"
            await stack.enter_async_context(worker_for(client, world, queue, cached=cached))
            return await client.start_workflow(
                DocumentPipeline.run,
                PipelineInput(sources=["file:///papers"], options=PipelineOptions(**options), resume=resume),
                id=f"run-{queue}",
                task_queue=queue,
            )

        yield begin
