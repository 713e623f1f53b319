"""Continue-as-new loses and repeats no document, and the state that it hands over is small."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from temporalio.client import Client, WorkflowUpdateHandle, WorkflowUpdateStage

from orchestration.connection import connect_to
from perdure import __version__
from tests.chaos.short_histories import ShortHistories
from tests.workflow.chains import check_chain
from tests.workflow.conftest import (
    Begin,
    Handle,
    failed_activities,
    pass_workflow_task,
    scheduled,
    scheduled_batches,
    unfinished_batches,
    until_saved,
    worker_for,
)
from tests.workflow.world import SECONDS, World, until
from workflows.document_pipeline import DocumentPipeline
from workflows.messages import AddDocuments, AddedDocuments, PipelineInput, PipelineOptions


@pytest.fixture(scope="module")
def server(session_dir: Path) -> Iterator[ShortHistories]:
    server = ShortHistories(session_dir / "continue-as-new")
    yield server
    asyncio.run(server.down())


@pytest.fixture
async def client(server: ShortHistories) -> AsyncIterator[Client]:
    yield await connect_to(await server.up())


async def start(client: Client, queue: str, **options: float) -> Handle:
    return await client.start_workflow(
        DocumentPipeline.run,
        PipelineInput(sources=["file:///papers"], options=PipelineOptions(search_attributes=False, **options)),
        id=f"run-{queue}",
        task_queue=queue,
    )


async def carried(client: Client, workflow_id: str, world: World) -> list[tuple[int, PipelineInput]]:
    """Return size in bytes and content of the input of each execution but the first, in order."""
    inputs = []
    for run_id in dict.fromkeys(str(checkpoint.metadata["run_id"]) for checkpoint in world.mirror):
        async for event in client.get_workflow_handle(workflow_id, run_id=run_id).fetch_history_events(page_size=1):
            payloads = event.workflow_execution_started_event_attributes.input.payloads
            (pipeline,) = await client.data_converter.decode(payloads, [PipelineInput])
            if pipeline.state:
                inputs.append((len(payloads[0].data), pipeline))
            break
    return inputs


@pytest.mark.timeout(400)
@pytest.mark.slow
async def test_state_at_continue_as_new_does_not_grow_with_documents(client: Client) -> None:
    largest = []
    for documents, batch_size in ((100, 1), (5000, 50)):
        world = World(documents)
        queue = uuid.uuid4().hex[:8]
        async with worker_for(client, world, queue):
            run = await start(client, queue, batch_size=batch_size, concurrency=8)
            final = await run.result()
        assert final.documents.processed == documents
        check_chain(world, run.id, status="completed")
        inputs = await carried(client, run.id, world)
        assert len(inputs) >= 3, "several executions are needed for this test"
        largest.append(max(size for size, _ in inputs))
    assert largest[1] - largest[0] < 200, largest


async def test_run_continues_as_new_with_nothing_in_flight_or_uncovered(client: Client) -> None:
    world = World(60)
    queue = uuid.uuid4().hex[:8]
    async with worker_for(client, world, queue):
        run = await start(client, queue, concurrency=4)
        await run.result()
    inputs = await carried(client, run.id, world)
    assert len(inputs) >= 2, "the history changed at least twice"
    for generation, (_, pipeline) in enumerate(inputs, start=1):
        state = pipeline.state
        assert state
        assert state.generation == generation
        assert pipeline.release == __version__, "a later release may have taken the run over"
        assert (state.unsaved, state.beyond) == ([], [])
        assert state.watermark == state.next_ordinal
        assert state.latest
        assert state.latest.processed_documents == state.processed
    dispatches = [request.dispatch for request in world.requests_of("process_batch")]
    assert len(dispatches) == len(set(dispatches)), "a dispatch number is never used twice"


async def test_open_run_accepts_documents_across_continue_as_new(client: Client) -> None:
    """A waiting `add_documents` answers `saved` false; its repetition adds no document twice."""
    world = World()
    queue = uuid.uuid4().hex[:8]
    async with worker_for(client, world, queue):
        run = await start(client, queue, open=True)
        handle = client.get_workflow_handle_for(DocumentPipeline.run, run.id)  # the current execution

        async def add(name: str) -> None:
            request = AddDocuments(sources=[name], wait=True)
            while not (await handle.execute_update(DocumentPipeline.add_documents, request)).saved:
                await asyncio.sleep(0.02)

        for page in range(8):
            await asyncio.gather(*[add(f"{page}-{number}.txt") for number in range(5)])
        await handle.execute_update(DocumentPipeline.close)
        final = await run.result()
    assert final.documents.processed == 40
    check_chain(world, run.id, status="completed")
    assert len(await carried(client, run.id, world)) >= 2


async def closing_with_an_addition(begin: Begin, world: World) -> tuple[Handle, WorkflowUpdateHandle[AddedDocuments]]:
    """Return a run that awaits one held addition before it continues as new, and the addition."""
    world.hold("mirror_checkpoint", "late.txt")
    run = await begin(world, open=True, concurrency=1, history_events=1)
    await world.until_held("mirror_checkpoint")
    await until(lambda: world.in_flight == 0, "nothing is in flight")
    for _ in range(3):  # the events of these updates make the history long enough in any case
        await pass_workflow_task(run)
    handed_out = await scheduled_batches(run)
    request = AddDocuments(sources=["late.txt"], wait=True)
    late = await run.start_update(DocumentPipeline.add_documents, request, wait_for_stage=WorkflowUpdateStage.ACCEPTED)
    await world.until_held("late.txt")
    world.release("mirror_checkpoint")
    await until_saved(run, len(world.mirror))
    await pass_workflow_task(run)
    assert await scheduled_batches(run) == handed_out
    return run, late


async def until_continued(run: Handle) -> None:
    """Wait until the run has continued as new."""
    async with asyncio.timeout(SECONDS):
        while (await run.describe()).run_id == run.first_execution_run_id:
            await asyncio.sleep(0.02)


async def test_pause_at_the_end_of_an_execution_is_recorded_by_the_next(begin: Begin) -> None:
    """The last checkpoint is written, and no document finishes in the next execution."""
    world = World(2)
    run, late = await closing_with_an_addition(begin, world)
    await run.execute_update(DocumentPipeline.pause)
    world.release()
    async with asyncio.timeout(SECONDS):
        assert not (await late.result()).saved
    await until_continued(run)
    await pass_workflow_task(run)
    assert len(await scheduled(run, "capture_service_states")) == 1, "a checkpoint begins at once"
    await until(lambda: world.mirror[-1].workflow_status == "paused", "a checkpoint records the pause")
    await run.execute_update(DocumentPipeline.unpause)
    await run.execute_update(DocumentPipeline.close)
    await run.result()
    check_chain(world, run.id, status="completed")


async def test_set_back_found_by_the_last_addition_of_an_execution_is_repaired(begin: Begin) -> None:
    """To continue as new, the run awaits the addition, and the addition awaits the recovery."""
    world = World(2)
    run, late = await closing_with_an_addition(begin, world)
    world.set_back(documents=0, checkpoints=0)
    world.hold("recover")
    world.release("late.txt")
    async with asyncio.timeout(SECONDS):
        while not await failed_activities(run):
            await asyncio.sleep(0.02)
    await pass_workflow_task(run)
    assert len(await scheduled(run, "recover")) == 1
    world.release()
    await late.result()
    await run.execute_update(DocumentPipeline.close)
    final = await run.result()
    assert (final.workflow_status, final.documents.processed) == ("completed", 3)
    assert world.mirror[-1].processed_documents == 3


async def test_long_history_stops_the_hand_out_of_batches(begin: Begin) -> None:
    """One slow document would keep the run in one execution, whose history grows."""
    world = World(30)
    world.hold(0)
    run = await begin(world, concurrency=2, history_events=40)
    seen = -1
    while (count := await scheduled_batches(run)) != seen or await unfinished_batches(run) != 1:
        seen = count
        await pass_workflow_task(run)
    assert count < 30
    world.release()
    await run.result()
    assert (await run.describe()).run_id != run.first_execution_run_id
    check_chain(world, run.id, status="completed")


async def test_wide_window_stays_in_one_execution_until_batches_finish(begin: Begin) -> None:
    """The limit alone would let a run with a wide window continue before a batch ends."""
    world = World(110)
    run = await begin(world, concurrency=100, history_events=20)
    await run.result()
    assert (await run.describe()).run_id == run.first_execution_run_id
    check_chain(world, run.id, status="completed")


async def test_pause_survives_continue_as_new(client: Client) -> None:
    world = World(40)
    queue = uuid.uuid4().hex[:8]
    stops = (8, 16, 24, 32)
    world.hold(*stops)
    async with worker_for(client, world, queue):
        run = await start(client, queue, concurrency=3)
        handle = client.get_workflow_handle_for(DocumentPipeline.run, run.id)
        for stop in stops:
            await world.until_held(stop)
            await handle.execute_update(DocumentPipeline.pause)
            world.release(stop)
            await until(lambda: world.in_flight == 0, "batches in flight have finished")
            await until(lambda: world.mirror[-1].workflow_status == "paused", "a checkpoint records the pause")
            finished = len(world.done)
            await pass_workflow_task(handle)
            assert await unfinished_batches(handle) == 0
            assert len(world.done) == finished
            await handle.execute_update(DocumentPipeline.unpause)
        await run.result()
    check_chain(world, run.id, status="completed")
    assert len(await carried(client, run.id, world)) >= 1, "the history changed at least once"


@pytest.mark.timeout(400)
async def test_long_outage_of_a_service_does_not_lengthen_the_history(client: Client) -> None:
    """The breaker stays tripped over several executions, each with a short history."""
    world = World(30)
    queue = uuid.uuid4().hex[:8]
    world.unwell = {"Letters": "Connection refused."}
    world.delay = lambda: 0.1
    async with worker_for(client, world, queue):
        run = await start(client, queue, concurrency=1, breaker_seconds=0.5)
        first = (await run.describe()).run_id
        async with asyncio.timeout(60):
            while not (world.mirror and world.mirror[-1].workflow_status == "paused" and world.in_flight == 0):
                await asyncio.sleep(0.05)
            while world.mirror[-1].processed_documents < len(world.done):
                await asyncio.sleep(0.05)
            held = len(world.mirror)
            while (await run.describe()).run_id == first:
                await asyncio.sleep(0.2)
        progress = await run.query(DocumentPipeline.progress)
        assert progress.workflow_status == "paused"
        assert len(world.mirror) == held, "no checkpoint follows while the run is paused"
        world.unwell.clear()
        world.delay = lambda: 0.0
        final = await run.result()
    assert final.workflow_status == "completed"
    check_chain(world, run.id, status="completed")
