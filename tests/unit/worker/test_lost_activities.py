"""The worker takes back activities that got lost, and none that a worker executes."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from orchestration.worker import lost_activities as product
from orchestration.worker.lost_activities import RUNS_AT_MOST, InHand, Task, rescue_lost_activities
from tests.unit.worker.recorded_server import SCHEDULED, RecordedServer, pending, running, until
from workflows.calls import WORKER_DIED

ME = "perdure-1@host/abc"
OTHER = "perdure-2@host/def"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> RecordedServer:
    monkeypatch.setattr(product, "LOOK_EVERY_SECONDS", 0.01)
    return RecordedServer()


@pytest.fixture
def in_hand() -> InHand:
    """The list of a worker that has just worked for the run "run" and executes nothing."""
    record = InHand()
    finished: Task = ("run", "run", "0", 1)
    record.begin(finished)
    record.end(finished)
    return record


@asynccontextmanager
async def rescuing(server: RecordedServer, in_hand: InHand) -> AsyncIterator[None]:
    async with running(rescue_lost_activities(server.client, ME, in_hand)):
        yield


async def until_looks(server: RecordedServer, count: int) -> None:
    """Wait until the worker has begun this number of looks; all but the last are then complete."""
    await until(lambda: len(server.described) >= count)


async def test_activity_missing_in_two_looks_is_failed_for_an_immediate_retry(
    server: RecordedServer, in_hand: InHand
) -> None:
    server.runs = {"run": [pending("1", ME)]}
    async with rescuing(server, in_hand):
        await until(lambda: bool(server.failed))
    assert len(server.described) >= 2
    assert server.failed[0] == ("run", "1")
    assert server.failures[0].type == WORKER_DIED
    assert server.failures[0].next_retry_delay


async def test_task_that_arrives_after_the_first_look_is_left_alone(server: RecordedServer, in_hand: InHand) -> None:
    """The server shows a task as started before it has reached the worker."""
    server.runs = {"run": [pending("1", ME)]}

    def arrive(look: int) -> None:
        if look == 2:
            in_hand.begin(("run", "run", "1", 1))

    server.on_description = arrive
    async with rescuing(server, in_hand):
        await until_looks(server, 5)
    assert server.failed == []


async def test_completion_on_its_way_to_the_server_is_waited_for(server: RecordedServer, in_hand: InHand) -> None:
    """The worker has finished the activity, and the server shows it as started in one more look."""
    server.runs = {"run": [pending("1", ME)]}

    def deliver(look: int) -> None:
        if look == 2:
            server.runs = {"run": []}

    server.on_description = deliver
    async with rescuing(server, in_hand):
        await until_looks(server, 5)
    assert server.failed == []


async def test_looks_at_different_attempts_are_not_two_looks_at_one(server: RecordedServer, in_hand: InHand) -> None:
    """The server hands a new attempt out between each two looks."""

    def hand_out(look: int) -> None:
        server.runs = {"run": [pending("1", ME, attempt=look)]}

    server.on_description = hand_out
    async with rescuing(server, in_hand):
        await until_looks(server, 5)
    assert server.failed == []


async def test_activities_of_others_and_activities_in_hand_are_left_alone(
    server: RecordedServer, in_hand: InHand
) -> None:
    server.runs = {
        "run": [
            pending("1", OTHER),
            pending("2", ME),
            pending("3", ME, state=SCHEDULED),
            pending("4", ME),
        ]
    }
    in_hand.begin(("run", "run", "2", 1))
    async with rescuing(server, in_hand):
        await until_looks(server, 5)
    assert set(server.failed) == {("run", "4")}


async def test_absence_of_the_server_does_not_stop_the_search(server: RecordedServer, in_hand: InHand) -> None:
    server.runs = {"run": [pending("1", ME)]}
    server.away_for = 3
    async with rescuing(server, in_hand):
        await until(lambda: bool(server.failed))


async def test_ended_run_and_refused_failure_hide_no_other_lost_activity(
    server: RecordedServer, in_hand: InHand
) -> None:
    in_hand.begin(("ended", "ended", "0", 1))  # worked for last, so it is looked at first
    server.ended = {"ended"}
    server.runs = {"run": [pending(str(number), ME) for number in range(1, 9)]}
    server.refused = {"1", "3", "5"}
    async with rescuing(server, in_hand):
        await until(lambda: len(set(server.failed)) == 5)


def test_latest_runs_are_watched_first() -> None:
    in_hand = InHand()
    names = [f"run-{number}" for number in range(RUNS_AT_MOST + 10)]
    for name in names:
        in_hand.begin((name, name, "1", 1))
    in_hand.end((names[0], names[0], "1", 1))
    watched = [workflow_id for workflow_id, _ in in_hand.runs()]
    assert len(watched) == RUNS_AT_MOST
    assert watched[0] == names[0]
    assert set(watched[1:]) == set(names[-RUNS_AT_MOST + 1 :])


def test_run_without_recent_work_is_not_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    in_hand = InHand()
    clock = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: clock)
    in_hand.begin(("run", "run", "1", 1))
    clock += product.REMEMBER_SECONDS - 1
    assert in_hand.runs() == [("run", "run")]
    in_hand.end(("run", "run", "1", 1))
    clock += product.REMEMBER_SECONDS - 1
    assert in_hand.runs() == [("run", "run")], "the end of an activity counts as work"
    clock += 2
    assert in_hand.runs() == []


class Executing(ActivityInboundInterceptor):
    """The innermost interceptor: it records the activities in hand while the activity runs."""

    def __init__(self, in_hand: InHand, error: BaseException | None) -> None:
        self._in_hand = in_hand
        self._error = error
        self.during: set[Task] = set()

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - the SDK's
        self.during = set(self._in_hand.tasks)
        if self._error:
            raise self._error


@pytest.mark.parametrize("error", [None, ValueError("refused"), asyncio.CancelledError()], ids=repr)
async def test_activity_is_in_hand_exactly_while_it_runs(error: BaseException | None) -> None:
    in_hand = InHand()
    environment = ActivityEnvironment()
    innermost = Executing(in_hand, error)
    interceptor = in_hand.intercept_activity(innermost)
    request = ExecuteActivityInput(fn=lambda: None, args=[], executor=None, headers={})
    with contextlib.suppress(ValueError, asyncio.CancelledError):
        await environment.run(interceptor.execute_activity, request)
    info = environment.info
    task = (info.workflow_id, info.workflow_run_id, info.activity_id, info.attempt)
    assert innermost.during == {task}
    assert in_hand.tasks == set()
    assert in_hand.runs() == [(info.workflow_id, info.workflow_run_id)]
