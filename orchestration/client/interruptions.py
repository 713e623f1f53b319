"""What a run came through, read from Temporal's histories: dead workers, new ones, runs that were stopped."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from orchestration.client.history import find_runs
from perdure.report.data import ONE_MOMENT, Interruption
from workflows.calls import WORKER_DIED

READ_SECONDS = 20.0
"""A very long history is not read to its end for the sake of a picture."""
RUNS = 200
INTERRUPTIONS = 60
_STOPPED = {
    WorkflowExecutionStatus.FAILED: "The run failed.",
    WorkflowExecutionStatus.TERMINATED: "The run was terminated.",
    WorkflowExecutionStatus.TIMED_OUT: "The run was timed out.",
}
_GONE = (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT)


@dataclass(frozen=True)
class Interrupted:
    """The interruptions of a workflow id, oldest first, since `since`; None if Temporal has forgotten every run."""

    found: Sequence[Interruption]
    since: datetime | None


async def read_interruptions(client: Client, workflow_id: str) -> Interrupted:
    """Read as much of the histories as there is time for, oldest first.

    Raises:
        RPCError: the server cannot be asked.
    """
    reading = _Reading()
    runs = (await find_runs(client, workflow_id))[-RUNS:]
    try:
        async with asyncio.timeout(READ_SECONDS):
            for run in runs:
                await reading.read(client, run)
    except TimeoutError:
        pass  # what was read is true all the same
    ordered = sorted(reading.found, key=lambda one: (one.time, one.kind))
    return Interrupted(_apart(ordered)[:INTERRUPTIONS], runs[0].start_time if runs else None)


@dataclass
class _Reading:
    found: list[Interruption] = field(default_factory=list)
    _lives: dict[str, str] = field(default_factory=dict)
    """Place of a worker to the identity of its latest life."""

    async def read(self, client: Client, run: WorkflowExecution) -> None:
        try:
            async for event in client.get_workflow_handle(run.id, run_id=run.run_id).fetch_history_events():
                self._take(event)
        except RPCError as error:
            if error.status not in _GONE:
                raise
        if run.status in _STOPPED and run.close_time:
            self.found.append(Interruption(run.close_time, "stop", _STOPPED[run.status]))

    def _take(self, event: HistoryEvent) -> None:
        if event.WhichOneof("attributes") != "activity_task_started_event_attributes":
            return
        started, time = event.activity_task_started_event_attributes, event.event_time.ToDatetime(UTC)
        if started.attempt > 1 and (why := _lost_worker(started.last_failure)):
            self.found.append(Interruption(time, "crash", f"{why} What it had in hand was begun again."))
        place, slash, _ = started.identity.rpartition("/")
        if slash and self._lives.setdefault(place, started.identity) != started.identity:
            self.found.append(Interruption(time, "worker", "Another worker went on in the place of the one before."))
        if slash:
            self._lives[place] = started.identity


def _lost_worker(failure: Failure) -> str | None:
    if failure.application_failure_info.type == WORKER_DIED:
        return "A worker died."
    if failure.HasField("timeout_failure_info"):
        return "A worker was not heard of any more."
    return None


def _apart(ordered: Sequence[Interruption]) -> list[Interruption]:
    """Each moment once: many activities tell of the same death, and a new worker comes with it."""
    kept: list[Interruption] = []
    for one in ordered:
        near = [other for other in ordered if abs(other.time - one.time) <= ONE_MOMENT]
        if one.kind == "worker" and any(other.kind == "crash" for other in near):
            continue
        if kept and any(other.kind == one.kind and one.time - other.time <= ONE_MOMENT for other in kept):
            continue
        kept.append(one)
    return kept
