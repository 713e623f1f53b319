"""An open run accepts documents until it is closed, and answers when they are saved."""

import asyncio

import pytest
from temporalio.client import WorkflowUpdateFailedError, WorkflowUpdateStage

from tests.workflow.chains import check_chain
from tests.workflow.conftest import Begin, Handle, pass_workflow_task, scheduled
from tests.workflow.world import World, until
from workflows.document_pipeline import DocumentPipeline
from workflows.messages import AddDocuments, AddedDocuments


async def add(run: Handle, *sources: str, wait: bool = True) -> AddedDocuments:
    return await run.execute_update(DocumentPipeline.add_documents, AddDocuments(sources=list(sources), wait=wait))


async def close(run: Handle) -> None:
    progress = await run.execute_update(DocumentPipeline.close)
    assert not progress.open


async def test_waiting_addition_answers_when_a_checkpoint_covers_it(begin: Begin) -> None:
    world = World()
    run = await begin(world, open=True)
    for number in (1, 2):
        added = await add(run, f"{number}.txt")
        assert added.saved
        assert world.mirror[-1].processed_documents == number
        assert added.progress.latest_checkpoint
        assert added.progress.latest_checkpoint.sequence == number
    await close(run)
    await run.result()
    assert len(check_chain(world, run.id, status="completed")) == 3


async def test_waiting_addition_waits_for_its_own_documents_only(begin: Begin) -> None:
    world = World(2)
    world.hold(0, 1)
    run = await begin(world, open=True, concurrency=4)
    assert (await add(run, "quick.txt")).saved
    assert world.done == {2: "processed"}
    world.release()
    await close(run)
    await run.result()
    check_chain(world, run.id, status="completed")


async def test_addition_without_wait_answers_at_once(begin: Begin) -> None:
    world = World()
    world.hold("process_batch")
    run = await begin(world, open=True)
    added = await add(run, "a.txt", "b.txt", wait=False)
    assert (added.first_ordinal, added.end_ordinal, added.saved) == (0, 2, False)
    assert added.progress.documents.total == 2
    world.release()
    await close(run)
    await run.result()
    check_chain(world, run.id, status="completed")


async def test_addition_of_finished_documents_answers_at_once(begin: Begin) -> None:
    world = World()
    run = await begin(world, open=True)
    first = await add(run, "a.txt")
    again = await add(run, "a.txt")
    assert (again.first_ordinal, again.end_ordinal, again.saved) == (first.first_ordinal, first.end_ordinal, True)
    assert len(world.requests_of("process_batch")) == 1
    await close(run)
    await run.result()
    check_chain(world, run.id, status="completed")


async def test_addition_of_an_earlier_runs_documents_waits_for_a_checkpoint(begin: Begin) -> None:
    world = World(1)
    world.done = {0: "processed"}
    run = await begin(world, open=True)
    added = await add(run, "00000.txt")
    assert (added.first_ordinal, added.end_ordinal, added.saved) == (0, 0, True)
    assert world.mirror[-1].processed_documents == 1
    await close(run)
    await run.result()


async def test_concurrent_additions_all_succeed(begin: Begin) -> None:
    world = World()
    run = await begin(world, open=True, concurrency=3)
    answers = await asyncio.gather(*[add(run, f"{number}.txt") for number in range(12)])
    assert all(answer.saved for answer in answers)
    assert sorted(answer.first_ordinal for answer in answers) == list(range(12))
    await close(run)
    final = await run.result()
    assert final.documents.processed == 12
    check_chain(world, run.id, status="completed")


async def test_closed_run_ends_after_additions_in_flight_have_finished(begin: Begin) -> None:
    world = World()
    world.hold("add_documents")
    run = await begin(world, open=True)
    late = await run.start_update(
        DocumentPipeline.add_documents,
        AddDocuments(sources=["late.txt"], wait=True),
        wait_for_stage=WorkflowUpdateStage.ACCEPTED,
    )
    await world.until_held("add_documents")
    await close(run)
    await pass_workflow_task(run)
    assert await scheduled(run, "resolve_identities") == []
    world.release()
    assert (await late.result()).saved
    assert (await run.result()).documents.processed == 1
    check_chain(world, run.id, status="completed")


@pytest.mark.parametrize("opened", [True, False])
async def test_closed_run_refuses_additions(begin: Begin, opened: bool) -> None:
    world = World(1)
    world.hold(0)
    run = await begin(world, open=opened)
    await world.until_held(0)
    if opened:
        await close(run)
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await add(run, "late.txt")
    assert str(refused.value.cause).startswith("This run takes no more documents")
    world.release()
    await run.result()
    assert world.requests_of("add_documents") == []


async def test_empty_addition_is_refused(begin: Begin) -> None:
    world = World()
    run = await begin(world, open=True)
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await add(run)
    assert str(refused.value.cause) == "There is nothing to add."
    await close(run)
    await run.result()


async def test_open_run_waits_for_additions_when_all_documents_are_finished(begin: Begin) -> None:
    world = World(1)
    run = await begin(world, open=True)
    await until(lambda: bool(world.mirror), "a checkpoint covers the document")
    progress = await run.query(DocumentPipeline.progress)
    assert (progress.workflow_status, progress.open, progress.documents.remaining) == ("in_progress", True, 0)
    await until(lambda: world.mirror[-1].state_data.options["open"] is True, "a resumption would be open too")
    await close(run)
    await run.result()
    assert world.mirror[-1].state_data.options["open"] is False


async def test_refused_addition_gives_the_reason_and_the_run_continues(begin: Begin) -> None:
    world = World(1)
    world.refuse["add_documents"] = "The source is a socket."
    world.refuse_as = "InvalidSource"
    run = await begin(world, open=True)
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await add(run, "socket")
    assert "The source is a socket." in str(refused.value.cause.__cause__ or refused.value.cause)
    await close(run)
    await run.result()
    check_chain(world, run.id, status="completed")
