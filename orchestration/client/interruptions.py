"""Reads the interruptions of a run from its histories: dead, new and stopped workers."""

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
"""Longest time to read. The report shows the interruptions found in this time."""
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
    """The interruptions of a workflow id since `since`, oldest first.

    `since` is None if Temporal has no execution of the workflow id any more.
    """

    found: Sequence[Interruption]
    """The interruptions, oldest first."""
    since: datetime | None


async def read_interruptions(client: Client, workflow_id: str) -> Interrupted:
    """Return the interruptions of a run that can be read in `READ_SECONDS`.

    Raises:
        RPCError: the server cannot be reached.
    """
    reading = _Reading()
    runs = (await find_runs(client, workflow_id))[-RUNS:]
    try:
        async with asyncio.timeout(READ_SECONDS):
            for run in runs:
                await reading.read(client, run)
    except TimeoutError:
        pass  # the interruptions read so far are reported
    ordered = sorted(reading.found, key=lambda interruption: (interruption.time, interruption.kind))
    return Interrupted(_merge_moments(ordered)[:INTERRUPTIONS], runs[0].start_time if runs else None)


@dataclass
class _Reading:
    found: list[Interruption] = field(default_factory=list)
    _lives: dict[str, str] = field(default_factory=dict)
    """Slot and host of a worker to the identity of the latest process in that slot."""

    async def read(self, client: Client, run: WorkflowExecution) -> None:
        """Add the interruptions of one execution."""
        try:
            async for event in client.get_workflow_handle(run.id, run_id=run.run_id).fetch_history_events():
                self._read_event(event)
        except RPCError as error:
            if error.status not in _GONE:
                raise
        if run.status in _STOPPED and run.close_time:
            self.found.append(Interruption(run.close_time, "stop", _STOPPED[run.status]))

    def _read_event(self, event: HistoryEvent) -> None:
        if event.WhichOneof("attributes") != "activity_task_started_event_attributes":
            return
        started = event.activity_task_started_event_attributes
        time = event.event_time.ToDatetime(UTC)
        if started.attempt > 1 and (why := _read_lost_worker(started.last_failure)):
            self.found.append(Interruption(time, "crash", f"{why} Its activities were started again."))
        place, slash, _ = started.identity.rpartition("/")
        if slash and self._lives.setdefault(place, started.identity) != started.identity:
            self.found.append(Interruption(time, "worker", "Another worker took over the slot."))
        if slash:
            self._lives[place] = started.identity


def _read_lost_worker(failure: Failure) -> str | None:
    if failure.application_failure_info.type == WORKER_DIED:
        return "A worker died."
    if failure.HasField("timeout_failure_info"):
        return "A worker sent no more heartbeats."
    return None


def _merge_moments(ordered: Sequence[Interruption]) -> list[Interruption]:
    """Merge interruptions that happened at the same moment.

    Many activities can show the death of one worker, and a new worker starts at about the same time.
    """
    kept: list[Interruption] = []
    for current in ordered:
        near = [other for other in ordered if abs(other.time - current.time) <= ONE_MOMENT]
        if current.kind == "worker" and any(other.kind == "crash" for other in near):
            continue
        if kept and any(other.kind == current.kind and current.time - other.time <= ONE_MOMENT for other in kept):
            continue
        kept.append(current)
    return kept
