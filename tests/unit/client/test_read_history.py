"""Histories of a run: executions that the list lacks, and what an acknowledgement is."""

import pytest

from orchestration.client.history import read_history
from tests.conformance.chains import make_chain
from tests.unit.client.recorded_histories import Execution, RecordedHistories, Status

CHAIN = make_chain("run", 4)


async def continued() -> RecordedHistories:
    """Return a run that has continued as new twice; the first two executions have ended."""
    first = await Execution("first", 1, Status.CONTINUED_AS_NEW).begin()
    second = await Execution("second", 2, Status.CONTINUED_AS_NEW).begin(first="first", continued="first")
    third = await Execution("third", 3).begin(first="first", continued="second")
    executions = {execution.run_id: execution for execution in (first, second, third)}
    return RecordedHistories(executions, {run_id: execution.status for run_id, execution in executions.items()})


@pytest.mark.parametrize("listed", [["first", "second", "third"], ["first", "third"], ["third"], ["first"], []])
async def test_executions_that_the_list_lacks_are_found_by_their_names(listed: list[str]) -> None:
    """The server's list lags behind; each execution names the execution before it and the first execution."""
    server = await continued()
    server.listed = {run_id: server.listed[run_id] for run_id in listed}
    history = await read_history(server.client, "run")
    assert [run.run_id for run in history.runs] == ["first", "second", "third"]
    assert sorted(server.fetched) == ["first", "second", "third"], "each is read once"


async def test_execution_that_the_list_shows_as_running_may_have_ended() -> None:
    server = await continued()
    server.listed["second"] = Status.RUNNING
    history = await read_history(server.client, "run")
    assert [run.status for run in history.runs] == [Status.CONTINUED_AS_NEW, Status.CONTINUED_AS_NEW, Status.RUNNING]
    assert [run.closed_at is None for run in history.runs] == [False, False, True]


async def test_forgotten_execution_hides_no_other_one() -> None:
    server = await continued()
    del server.executions["first"], server.listed["first"]
    history = await read_history(server.client, "run")
    assert [run.run_id for run in history.runs] == ["second", "third"]
    assert {run.first_run_id for run in history.runs} == {"first"}


async def test_execution_that_was_reset_names_the_one_that_it_was_reset_from() -> None:
    server = await continued()
    reset = await Execution("fourth", 4).begin(first="first")
    reset.event().workflow_task_failed_event_attributes.base_run_id = "third"
    server.executions["fourth"] = reset
    server.listed = {}
    history = await read_history(server.client, "run")
    assert [run.run_id for run in history.runs] == ["first", "second", "third", "fourth"]


async def test_second_reading_reads_running_executions_only() -> None:
    server = await continued()
    before = await read_history(server.client, "run")
    third = server.executions["third"]
    third.complete(await third.schedule(CHAIN[0]))
    server.fetched.clear()
    after = await read_history(server.client, "run", before)
    assert server.fetched == ["third"]
    assert [run.run_id for run in after.runs] == ["first", "second", "third"]
    assert after.newest_acknowledged == CHAIN[0]


async def test_checkpoint_is_acknowledged_when_its_mirroring_has_completed() -> None:
    run = await Execution("first", 1).begin()
    run.complete(await run.schedule(CHAIN[0]))
    run.fail(await run.schedule(CHAIN[1]))
    again = await run.schedule(CHAIN[1])
    unanswered = await run.schedule(CHAIN[2])
    server = RecordedHistories({"first": run}, {"first": Status.RUNNING})
    (read,) = (await read_history(server.client, "run")).runs
    assert list(read.checkpoints) == CHAIN[:3], "each once, in order"
    assert read.acknowledged == {CHAIN[0].digest}
    assert not read.at_rest
    run.complete(again)
    run.complete(unanswered)
    (read,) = (await read_history(server.client, "run")).runs
    assert read.acknowledged == {checkpoint.digest for checkpoint in CHAIN[:3]}
    assert read.at_rest
    assert read.events == len(run.events)


async def test_run_is_at_rest_only_without_an_open_task() -> None:
    run = await Execution("first", 1).begin()
    server = RecordedHistories({"first": run}, {"first": Status.RUNNING})

    async def is_at_rest() -> bool:
        (read,) = (await read_history(server.client, "run")).runs
        return read.at_rest

    assert await is_at_rest()
    run.event().workflow_task_scheduled_event_attributes.attempt = 1
    assert not await is_at_rest()
    run.event().workflow_task_timed_out_event_attributes.scheduled_event_id = len(run.events)
    assert not await is_at_rest(), "the server retries the task without another event"
    run.event().workflow_task_completed_event_attributes.identity = "worker"
    assert await is_at_rest()
    scheduled = await run.schedule(CHAIN[0])
    assert not await is_at_rest()
    run.fail(scheduled)
    assert await is_at_rest()
