"""A report shows each death of a worker once, and each end of a run without a worker."""

from datetime import timedelta

import pytest

from orchestration.client import interruptions
from orchestration.client.interruptions import read_interruptions
from perdure.report.data import ONE_MOMENT
from tests.unit.client.recorded_histories import BEGINNING, Execution, RecordedHistories, Status
from workflows.calls import WORKER_DIED


def start(
    run: Execution, identity: str, *, at: timedelta, attempt: int = 1, died: bool = False, timed_out: bool = False
) -> None:
    """Append the start of an activity by a worker, with the failure of the last attempt."""
    event = run.event()
    event.event_time.FromDatetime(BEGINNING + at)
    started = event.activity_task_started_event_attributes
    started.identity = identity
    started.attempt = attempt
    if died:
        started.last_failure.application_failure_info.type = WORKER_DIED
    if timed_out:
        started.last_failure.timeout_failure_info.SetInParent()


async def read(*runs: Execution) -> list[tuple[str, timedelta]]:
    """Return the kind and the time of each interruption."""
    server = RecordedHistories({run.run_id: run for run in runs}, {run.run_id: run.status for run in runs})
    interrupted = await read_interruptions(server.client, "run")
    return [(interruption.kind, interruption.time - BEGINNING) for interruption in interrupted.found]


FAR = 10 * ONE_MOMENT


async def test_death_of_a_worker_is_one_interruption_however_many_activities_show_it() -> None:
    run = await Execution("first", 1).begin()
    start(run, "perdure-1@host/a", at=FAR)
    for number in range(4):
        start(run, "perdure-1@host/b", at=2 * FAR + number * ONE_MOMENT / 10, attempt=2, died=True)
    start(run, "perdure-1@host/b", at=4 * FAR, attempt=2, timed_out=True)
    assert await read(run) == [("crash", 2 * FAR), ("crash", 4 * FAR)]


async def test_successor_of_a_slot_is_shown_unless_a_death_explains_it() -> None:
    run = await Execution("first", 1).begin()
    for number, identity in enumerate(("host/a", "host/a", "host/b", "other/c", "host/b"), start=1):
        start(run, f"perdure-1@{identity}", at=number * FAR)
    assert await read(run) == [("worker", 3 * FAR)]


async def test_retry_after_a_failure_of_another_kind_is_no_interruption() -> None:
    run = await Execution("first", 1).begin()
    start(run, "perdure-1@host/a", at=FAR, attempt=3)
    assert await read(run) == []


async def test_end_by_temporal_is_an_interruption() -> None:
    terminated = await Execution("first", 1, Status.TERMINATED).begin()
    completed = await Execution("second", 2, Status.COMPLETED).begin()
    assert await read(terminated, completed) == [("stop", timedelta(hours=1, minutes=1))]


async def test_histories_too_long_to_read_give_what_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interruptions, "READ_SECONDS", 0.0)
    run = await Execution("first", 1, Status.TERMINATED).begin()
    server = RecordedHistories({"first": run}, {"first": Status.TERMINATED})
    assert (await read_interruptions(server.client, "run")).since == BEGINNING + timedelta(hours=1)
