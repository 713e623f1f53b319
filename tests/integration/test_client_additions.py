"""`add_documents` with `wait` returns when a checkpoint covers the documents.

The promise also holds when the run continues as new.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.settings import Settings
from orchestration.worker.slot import take_slot
from tests.workflow.conftest import worker_for
from tests.workflow.world import World
from workflows.document_pipeline import DocumentPipeline
from workflows.messages import PipelineInput, PipelineOptions


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def orchestrator(settings: Settings, world: World) -> AsyncIterator[PipelineOrchestrator]:
    """A client of a data folder with a living worker, whose activities are scripted."""
    slot = take_slot(settings.data_dir)
    async with (
        PipelineOrchestrator(settings, own_worker=False) as orchestrator,
        worker_for(orchestrator.client, world, settings.task_queue),
    ):
        yield orchestrator
    slot.release()


async def test_waiting_addition_across_continue_as_new_returns_when_it_is_saved(
    orchestrator: PipelineOrchestrator, world: World, tmp_path: Path
) -> None:
    """The execution that takes the addition continues as new before the checkpoint is stored."""
    paper = tmp_path / "paper.txt"
    paper.write_text("Ada Lovelace met Charles Babbage.")
    world.hold("mirror_checkpoint")
    options = PipelineOptions(open=True, concurrency=1, history_events=1, search_attributes=False)
    run = await orchestrator.client.start_workflow(
        DocumentPipeline.run,
        PipelineInput(sources=[], options=options),
        id=f"added-{uuid.uuid4().hex[:8]}",
        task_queue=orchestrator.settings.task_queue,
    )
    addition = asyncio.create_task(orchestrator.add_documents(run.id, [str(paper)], wait=True))
    await world.until_held("mirror_checkpoint")
    while len(world.requests_of("add_documents")) < 2 and not addition.done():
        await orchestrator.set_concurrency(run.id, 1)  # each update makes the history longer
    assert not addition.done(), "no checkpoint is stored yet"
    world.release()
    added = await addition
    assert added.saved
    assert world.mirror[-1].processed_documents == 1
    await orchestrator.close_intake(run.id)
    assert (await run.result()).documents.processed == 1
