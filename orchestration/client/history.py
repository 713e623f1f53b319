"""`read_history`: reads checkpoints and added sources from Temporal's histories.

Digests tell which of the checkpoints form the chain; sequences alone do not. A terminated run may have taken a
checkpoint that never reached a store, and a run that Temporal reset repeats the beginning of another execution.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar, cast

from temporalio.api.common.v1 import Payload
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from perdure.checkpoint import Link, WorkflowCheckpoint
from workflows.messages import WORKFLOW_TYPE, AddDocuments, PipelineInput

Shape = TypeVar("Shape")

_MIRROR = "mirror_checkpoint"
_ADD = "add_documents"
_GONE = (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT)
_ACTIVITY_CLOSED = tuple(f"activity_task_{how}_event_attributes" for how in ("failed", "timed_out", "canceled"))

# After a failure or a timeout of a workflow task, the server retries it without another event in the history.
_TASK_DUE = {
    "workflow_task_scheduled_event_attributes": True,
    "workflow_task_completed_event_attributes": False,
    "workflow_task_failed_event_attributes": True,
    "workflow_task_timed_out_event_attributes": True,
}


@dataclass(frozen=True)
class HistoryRun:
    """One execution: a start, a continue-as-new or a reset."""

    run_id: str
    first_run_id: str
    status: WorkflowExecutionStatus | None
    started_at: datetime
    closed_at: datetime | None
    checkpoints: Sequence[WorkflowCheckpoint]
    """The checkpoints that the execution gave to `mirror_checkpoint`, in order, each once."""
    added_sources: Sequence[str]
    """The sources of the `add_documents` updates that the execution accepted."""
    acknowledged: frozenset[str] = frozenset()
    """Digests of the checkpoints whose `mirror_checkpoint` has completed: every store has them."""
    pipeline: PipelineInput | None = None
    """The input of the execution; None for another workflow type."""
    events: int = 0
    """Number of events in the history when it was read."""
    at_rest: bool = False
    """Whether no activity and no workflow task was open when the history was read."""

    @property
    def joins(self) -> Link | None:
        """Return the end of the chain that this execution continues, according to its input.

        Return None if the execution starts a chain.
        """
        if self.pipeline and self.pipeline.state:
            state = self.pipeline.state
            return Link(state.sequence, state.digest) if state.sequence else None
        resume = self.pipeline.resume if self.pipeline else None
        return Link(resume.sequence, resume.digest) if resume else None

    @property
    def begins_a_chain(self) -> bool:
        """Return whether no store had a checkpoint when the execution was started."""
        return self.pipeline is not None and self.joins is None


@dataclass(frozen=True)
class WorkflowHistory:
    """All executions of a workflow id that Temporal still has, oldest first."""

    runs: Sequence[HistoryRun]

    @property
    def checkpoints(self) -> list[WorkflowCheckpoint]:
        """Return the chain up to the newest acknowledged checkpoint, and the later checkpoints."""
        return chain_of(self)

    @property
    def present(self) -> Sequence[HistoryRun]:
        """Return the executions since the last start of a new chain.

        A new chain starts when every store was lost.
        """
        starts = {run.first_run_id for run in self.runs if run.run_id == run.first_run_id and run.begins_a_chain}
        first = next((run for run in reversed(self.runs) if run.run_id in starts), None)
        return [run for run in self.runs if first is None or run.started_at >= first.started_at]

    @property
    def newest_acknowledged(self) -> WorkflowCheckpoint | None:
        """Return the latest checkpoint that every store has acknowledged; None if there is none."""
        acknowledged = (checkpoint for run in self.present for checkpoint in _select_acknowledged(run))
        return max(acknowledged, key=age, default=None)

    @property
    def taken(self) -> dict[str, WorkflowCheckpoint]:
        """Return all checkpoints of all executions by digest.

        The result includes checkpoints that reached no store.
        """
        return {checkpoint.digest: checkpoint for run in self.runs for checkpoint in run.checkpoints}

    @property
    def added_sources(self) -> list[str]:
        """Return the sources that updates added, each once."""
        return list(dict.fromkeys(source for run in self.runs for source in run.added_sources))


def chain_of(history: WorkflowHistory) -> list[WorkflowCheckpoint]:
    """Return the checkpoints of a chain by sequence; see `WorkflowHistory.checkpoints`."""
    taken = history.taken
    present = {checkpoint.digest: checkpoint for run in history.present for checkpoint in run.checkpoints}
    tip = history.newest_acknowledged or max(present.values(), key=age, default=None)
    if tip is None:
        return []
    acknowledged = {digest for run in history.present for digest in run.acknowledged}
    chain = {tip.sequence: tip}
    current = tip
    while current.sequence > 1:
        # A link may be missing: a run that Temporal has forgotten took this checkpoint, or the reconciler made it. The
        # reconciler has no history.
        earlier = taken.get(current.previous_digest) or max(
            (
                candidate
                for candidate in present.values()
                if candidate.sequence < current.sequence and candidate.epoch <= current.epoch
            ),
            key=lambda candidate: (candidate.sequence, candidate.digest in acknowledged, age(candidate)),
            default=None,
        )
        if earlier is None:
            break
        chain[earlier.sequence] = current = earlier
    while following := [later for later in taken.values() if later.previous_digest == tip.digest]:
        tip = max(following, key=age)
        chain[tip.sequence] = tip
    return [chain[sequence] for sequence in sorted(chain)]


async def read_history(client: Client, workflow_id: str, known: WorkflowHistory | None = None) -> WorkflowHistory:
    """Read the histories of every execution of a workflow id.

    The result is empty if Temporal has no execution.

    Args:
        client: any client of the namespace.
        workflow_id: the run.
        known: an earlier result, whose closed executions are not read again.

    Raises:
        RPCError: the server does not answer.
    """
    closed = {run.run_id: run for run in known.runs if run.closed_at} if known else {}
    read: dict[str, HistoryRun] = {}
    wanted = {execution.run_id: execution for execution in await find_runs(client, workflow_id)}
    while wanted:
        named: set[str] = set()
        for run_id, execution in wanted.items():
            if run_id in closed:
                read[run_id] = closed[run_id]
                continue
            reading = _Reading(client, execution)
            read[run_id] = await reading.run()
            named |= reading.named
        # The list lags behind: it may lack an execution that another execution names. The server may also have deleted
        # an execution.
        described = [await _describe(client, workflow_id, run_id) for run_id in sorted(named - read.keys() - {""})]
        wanted = {execution.run_id: execution for execution in described if execution}
    return WorkflowHistory(sorted(read.values(), key=lambda run: run.started_at))


async def find_runs(client: Client, workflow_id: str) -> list[WorkflowExecution]:
    """Return the executions of this workflow id in Temporal, oldest first."""
    executions: dict[str, WorkflowExecution] = {}
    query = "WorkflowId = '{}'".format(workflow_id.replace("\\", "\\\\").replace("'", "\\'"))
    async for execution in client.list_workflows(query):
        executions[execution.run_id] = execution
    # The list lags behind: it may lack the latest execution, or show an ended execution as running.
    running = [item.run_id for item in executions.values() if item.status == WorkflowExecutionStatus.RUNNING]
    for run_id in (None, *running):
        if described := await _describe(client, workflow_id, run_id):
            executions[described.run_id] = described
    return sorted(executions.values(), key=lambda execution: execution.start_time)


async def _describe(client: Client, workflow_id: str, run_id: str | None) -> WorkflowExecution | None:
    try:
        return await client.get_workflow_handle(workflow_id, run_id=run_id).describe()
    except RPCError as error:
        if error.status in _GONE:
            return None
        raise


@dataclass
class _Reading:
    """Reads one execution's events once, from the first to the last."""

    client: Client
    execution: WorkflowExecution
    named: set[str] = field(default_factory=set)
    """Ids of the other executions that this execution names."""
    _first_run_id: str = ""
    _pipeline: PipelineInput | None = None
    _checkpoints: dict[str, WorkflowCheckpoint] = field(default_factory=dict)
    _acknowledged: set[str] = field(default_factory=set)
    _added: list[str] = field(default_factory=list)
    _scheduled: dict[int, str] = field(default_factory=dict)
    """Open activities: the id of the scheduling event to the digest of the checkpoint, or to ""."""
    _task_due: bool = True
    _events: int = 0

    async def run(self) -> HistoryRun:
        """Read all events and return the execution."""
        async for event in self._fetch_events():
            self._events += 1
            await self._take(event)
        execution = self.execution
        return HistoryRun(
            execution.run_id,
            self._first_run_id or execution.run_id,
            execution.status,
            execution.start_time,
            execution.close_time,
            list(self._checkpoints.values()),
            self._added,
            frozenset(self._acknowledged),
            self._pipeline,
            self._events,
            not self._scheduled and not self._task_due,
        )

    async def _take(self, event: HistoryEvent) -> None:
        kind = event.WhichOneof("attributes")
        if kind in _TASK_DUE:
            self._task_due = _TASK_DUE[kind]
        if kind == "workflow_execution_started_event_attributes":
            started = event.workflow_execution_started_event_attributes
            self._first_run_id = started.first_execution_run_id
            self.named |= {started.first_execution_run_id, started.continued_execution_run_id}
            if started.workflow_type.name == WORKFLOW_TYPE:
                self._pipeline = await self._decode(started.input.payloads, PipelineInput)
        elif kind == "workflow_task_failed_event_attributes":  # a reset leaves this event
            self.named.add(event.workflow_task_failed_event_attributes.base_run_id)
        elif kind == "workflow_execution_update_accepted_event_attributes":
            update = event.workflow_execution_update_accepted_event_attributes.accepted_request.input
            if update.name == _ADD:
                request = await self._decode(update.args.payloads, AddDocuments)
                self._added.extend(request.sources)
        else:
            await self._take_activity(event, kind)

    async def _take_activity(self, event: HistoryEvent, kind: str | None) -> None:
        if kind == "activity_task_scheduled_event_attributes":
            scheduled = event.activity_task_scheduled_event_attributes
            self._scheduled[event.event_id] = ""
            if scheduled.activity_type.name == _MIRROR:
                checkpoint = await self._decode(scheduled.input.payloads, WorkflowCheckpoint)
                self._scheduled[event.event_id] = checkpoint.digest
                # The workflow schedules the same checkpoint again when the quick attempts have failed.
                self._checkpoints.setdefault(checkpoint.digest, checkpoint)
        elif kind == "activity_task_completed_event_attributes":
            digest = self._scheduled.pop(event.activity_task_completed_event_attributes.scheduled_event_id, "")
            self._acknowledged |= {digest} if digest else set()
        elif kind in _ACTIVITY_CLOSED:
            self._scheduled.pop(getattr(event, kind).scheduled_event_id, None)

    async def _decode(self, payloads: Sequence[Payload], shape: type[Shape]) -> Shape:
        (decoded,) = await self.client.data_converter.decode(payloads, [shape])
        return cast("Shape", decoded)

    async def _fetch_events(self) -> AsyncIterator[HistoryEvent]:
        handle = self.client.get_workflow_handle(self.execution.id, run_id=self.execution.run_id)
        try:
            async for event in handle.fetch_history_events():
                yield event
        except RPCError as error:
            if error.status not in _GONE:
                raise


def _select_acknowledged(run: HistoryRun) -> Iterable[WorkflowCheckpoint]:
    return (checkpoint for checkpoint in run.checkpoints if checkpoint.digest in run.acknowledged)


def age(checkpoint: WorkflowCheckpoint) -> tuple[int, datetime, int]:
    """Return a key that sorts checkpoints by age.

    Epochs only grow. Within an epoch the server's clock decides.
    """
    return checkpoint.epoch, checkpoint.timestamp, checkpoint.sequence
