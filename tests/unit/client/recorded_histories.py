"""A Temporal server with prepared histories, whose list of executions lags behind."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError, RPCStatusCode

from perdure.checkpoint import WorkflowCheckpoint
from workflows.messages import WORKFLOW_TYPE, PipelineInput

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
Status = WorkflowExecutionStatus


async def encode(value: Any) -> Sequence[Any]:
    """Return the payloads of a value."""
    return await pydantic_data_converter.encode([value])


@dataclass
class Execution:
    """One execution, which a test fills with events."""

    run_id: str
    number: int
    status: WorkflowExecutionStatus = Status.RUNNING
    events: list[HistoryEvent] = field(default_factory=list)

    @property
    def description(self) -> Any:
        """Return what the server answers to a description."""
        return self.shown_as(self.status)

    def shown_as(self, status: WorkflowExecutionStatus) -> Any:
        """Return what the server's list shows."""
        start = BEGINNING + timedelta(hours=self.number)
        closed = None if status == Status.RUNNING else start + timedelta(minutes=1)
        return SimpleNamespace(id="run", run_id=self.run_id, status=status, start_time=start, close_time=closed)

    def event(self) -> HistoryEvent:
        """Append an event and return it."""
        self.events.append(HistoryEvent(event_id=len(self.events) + 1))
        return self.events[-1]

    async def begin(self, *, first: str = "", continued: str = "", workflow: str = WORKFLOW_TYPE) -> "Execution":
        """Append the event of the start."""
        started = self.event().workflow_execution_started_event_attributes
        started.first_execution_run_id = first or self.run_id
        started.continued_execution_run_id = continued
        started.workflow_type.name = workflow
        started.input.payloads.extend(await encode(PipelineInput(sources=[])))
        self.event().workflow_task_scheduled_event_attributes.attempt = 1
        self.event().workflow_task_completed_event_attributes.identity = "worker"
        return self

    async def schedule(self, checkpoint: WorkflowCheckpoint) -> int:
        """Append the event that schedules the mirroring of a checkpoint, and return the event's id."""
        event = self.event()
        scheduled = event.activity_task_scheduled_event_attributes
        scheduled.activity_type.name = "mirror_checkpoint"
        scheduled.input.payloads.extend(await encode(checkpoint))
        return event.event_id

    def complete(self, scheduled: int) -> None:
        """Append the event that completes an activity."""
        self.event().activity_task_completed_event_attributes.scheduled_event_id = scheduled

    def fail(self, scheduled: int) -> None:
        """Append the event that fails an activity."""
        self.event().activity_task_failed_event_attributes.scheduled_event_id = scheduled


@dataclass
class RecordedHistories:
    """Executions by run id; the list shows those in `listed`, with the status given there."""

    executions: dict[str, Execution]
    listed: dict[str, WorkflowExecutionStatus]
    fetched: list[str] = field(default_factory=list)
    """Executions whose events were fetched, in order."""

    @property
    def client(self) -> Client:
        """Return a client of this server."""
        return cast(
            "Client",
            SimpleNamespace(
                data_converter=pydantic_data_converter,
                list_workflows=self._list,
                get_workflow_handle=self._get_handle,
            ),
        )

    async def _list(self, query: str) -> AsyncIterator[Any]:
        assert query == "WorkflowId = 'run'"
        for run_id, status in self.listed.items():
            yield Execution(run_id, self.executions[run_id].number).shown_as(status)

    def _get_handle(self, workflow_id: str, *, run_id: str | None = None) -> Any:
        assert workflow_id == "run"
        latest = max(self.executions.values(), key=lambda execution: execution.number, default=None)
        execution = self.executions.get(run_id) if run_id else latest

        async def describe() -> Any:
            if execution is None:
                raise RPCError("unknown", RPCStatusCode.NOT_FOUND, b"")
            return execution.description

        async def fetch_history_events() -> AsyncIterator[HistoryEvent]:
            if execution is None:
                raise RPCError("unknown", RPCStatusCode.NOT_FOUND, b"")
            self.fetched.append(execution.run_id)
            for event in execution.events:
                await asyncio.sleep(0)  # as for a page of a real history, other tasks run meanwhile
                yield event

        return SimpleNamespace(describe=describe, fetch_history_events=fetch_history_events)
