"""What Temporal remembers of every run of a workflow id: the checkpoints that it took, and the sources added to it.

Which of them form the chain is told by their digests, not by their numbers alone: a run that was terminated may have
taken a checkpoint that never reached a store, and a run that Temporal reset tells the beginning of another one again.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar, cast

from temporalio.api.common.v1 import Payload
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from perdure.checkpoint import WorkflowCheckpoint
from workflows.messages import WORKFLOW_TYPE, AddDocuments, PipelineInput

Shape = TypeVar("Shape")

_MIRROR, _ADD = "mirror_checkpoint", "add_documents"
_GONE = (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT)
_ACTIVITY_CLOSED = tuple(f"activity_task_{how}_event_attributes" for how in ("failed", "timed_out", "canceled"))

# After a failure or a timeout the server tries again without a word in the history.
_TASK_DUE = {
    "workflow_task_scheduled_event_attributes": True,
    "workflow_task_completed_event_attributes": False,
    "workflow_task_failed_event_attributes": True,
    "workflow_task_timed_out_event_attributes": True,
}


@dataclass(frozen=True)
class Link:
    """One place in a chain of checkpoints: which sequence has which digest."""

    sequence: int
    digest: str


@dataclass(frozen=True)
class HistoryRun:
    """One Temporal run: a start, a continue-as-new or a reset."""

    run_id: str
    first_run_id: str
    status: WorkflowExecutionStatus | None
    started_at: datetime
    closed_at: datetime | None
    checkpoints: Sequence[WorkflowCheckpoint]
    """What it handed to `mirror_checkpoint`, in order, each once."""
    added_sources: Sequence[str]
    """Of the updates `add_documents` that it accepted."""
    acknowledged: frozenset[str] = frozenset()
    """Digests of those that `mirror_checkpoint` has reported as written to every store."""
    pipeline: PipelineInput | None = None
    """What it was started with."""
    events: int = 0
    """Length of its history when it was read."""
    at_rest: bool = False
    """When it was read, no activity was under way and its workflow had taken note of everything."""

    @property
    def joins(self) -> Link | None:
        """The end of the chain that it goes on from, by its input."""
        if self.pipeline and self.pipeline.state:
            state = self.pipeline.state
            return Link(state.sequence, state.digest) if state.sequence else None
        resume = self.pipeline.resume if self.pipeline else None
        return Link(resume.sequence, resume.digest) if resume else None

    @property
    def begins_a_chain(self) -> bool:
        """It was started where no store had a checkpoint."""
        return self.pipeline is not None and self.joins is None


@dataclass(frozen=True)
class WorkflowHistory:
    """All runs of a workflow id that Temporal still knows, oldest first."""

    runs: Sequence[HistoryRun]

    @property
    def checkpoints(self) -> list[WorkflowCheckpoint]:
        """By sequence, each once: the chain that ends with the newest acknowledged one, and what was taken after it."""
        return chain_of(self)

    @property
    def present(self) -> Sequence[HistoryRun]:
        """The runs since a chain was last begun anew, as it is where every store had been lost."""
        begun = {run.first_run_id for run in self.runs if run.run_id == run.first_run_id and run.begins_a_chain}
        first = next((one for one in reversed(self.runs) if one.run_id in begun), None)
        return [run for run in self.runs if first is None or run.started_at >= first.started_at]

    @property
    def newest_acknowledged(self) -> WorkflowCheckpoint | None:
        """The latest that every store has had."""
        return max((one for run in self.present for one in _acknowledged(run)), key=age, default=None)

    @property
    def taken(self) -> dict[str, WorkflowCheckpoint]:
        """Every checkpoint that any run took, by digest, whether or not a store ever had it."""
        return {one.digest: one for run in self.runs for one in run.checkpoints}

    @property
    def added_sources(self) -> list[str]:
        return list(dict.fromkeys(source for run in self.runs for source in run.added_sources))


def chain_of(history: WorkflowHistory) -> list[WorkflowCheckpoint]:
    """The checkpoints that hang together, as far as this history has them; see `WorkflowHistory.checkpoints`."""
    taken = history.taken
    present = {one.digest: one for run in history.present for one in run.checkpoints}
    tip = history.newest_acknowledged or max(present.values(), key=age, default=None)
    if tip is None:
        return []
    acknowledged = {digest for run in history.present for digest in run.acknowledged}
    chain = {tip.sequence: tip}
    current = tip
    while current.sequence > 1:
        # A link may be missing: it was made by a run that Temporal has forgotten, or by nobody's (the reconciler).
        earlier = taken.get(current.previous_digest) or max(
            (one for one in present.values() if one.sequence < current.sequence and one.epoch <= current.epoch),
            key=lambda one: (one.sequence, one.digest in acknowledged, age(one)),
            default=None,
        )
        if earlier is None:
            break
        chain[earlier.sequence] = current = earlier
    while following := [one for one in taken.values() if one.previous_digest == tip.digest]:
        tip = max(following, key=age)
        chain[tip.sequence] = tip
    return [chain[sequence] for sequence in sorted(chain)]


async def read_history(client: Client, workflow_id: str, known: WorkflowHistory | None = None) -> WorkflowHistory:
    """Read the histories of every run of this workflow id; empty if Temporal knows none.

    Args:
        client: any.
        workflow_id: whose.
        known: read before; its closed runs are not read again.

    Raises:
        RPCError: the server cannot be asked.
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
        # The list lags behind: a run that another one names may not be on it yet, or have been forgotten since.
        found = [await _describe(client, workflow_id, run_id) for run_id in sorted(named - read.keys() - {""})]
        wanted = {one.run_id: one for one in found if one}
    return WorkflowHistory(sorted(read.values(), key=lambda run: run.started_at))


async def find_runs(client: Client, workflow_id: str) -> list[WorkflowExecution]:
    """Every run of this workflow id that Temporal lists, and the latest, oldest first."""
    found: dict[str, WorkflowExecution] = {}
    query = "WorkflowId = '{}'".format(workflow_id.replace("\\", "\\\\").replace("'", "\\'"))
    async for execution in client.list_workflows(query):
        found[execution.run_id] = execution
    # The list is behind by a moment: it may lack the latest run, or show as running one that has ended.
    for run_id in (None, *[one.run_id for one in found.values() if one.status == WorkflowExecutionStatus.RUNNING]):
        if latest := await _describe(client, workflow_id, run_id):
            found[latest.run_id] = latest
    return sorted(found.values(), key=lambda execution: execution.start_time)


async def _describe(client: Client, workflow_id: str, run_id: str | None) -> WorkflowExecution | None:
    try:
        return await client.get_workflow_handle(workflow_id, run_id=run_id).describe()
    except RPCError as error:
        if error.status in _GONE:
            return None
        raise


@dataclass
class _Reading:
    """One run's events, read once from the first to the last."""

    client: Client
    execution: WorkflowExecution
    named: set[str] = field(default_factory=set)
    """Other runs that it names."""
    _first_run_id: str = ""
    _pipeline: PipelineInput | None = None
    _checkpoints: dict[str, WorkflowCheckpoint] = field(default_factory=dict)
    _acknowledged: set[str] = field(default_factory=set)
    _added: list[str] = field(default_factory=list)
    _scheduled: dict[int, str] = field(default_factory=dict)
    """Open activities: the event that scheduled each, to the digest of its checkpoint, if it mirrors one."""
    _task_due: bool = True
    _events: int = 0

    async def run(self) -> HistoryRun:
        async for event in self._history():
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
        elif kind == "workflow_task_failed_event_attributes":  # so a reset shows
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
                one = await self._decode(scheduled.input.payloads, WorkflowCheckpoint)
                self._scheduled[event.event_id] = one.digest
                self._checkpoints.setdefault(one.digest, one)  # scheduled again when its quick tries had failed
        elif kind == "activity_task_completed_event_attributes":
            digest = self._scheduled.pop(event.activity_task_completed_event_attributes.scheduled_event_id, "")
            self._acknowledged |= {digest} if digest else set()
        elif kind in _ACTIVITY_CLOSED:
            self._scheduled.pop(getattr(event, kind).scheduled_event_id, None)

    async def _decode(self, payloads: Sequence[Payload], shape: type[Shape]) -> Shape:
        (decoded,) = await self.client.data_converter.decode(payloads, [shape])
        return cast("Shape", decoded)

    async def _history(self) -> AsyncIterator[HistoryEvent]:
        handle = self.client.get_workflow_handle(self.execution.id, run_id=self.execution.run_id)
        try:
            async for event in handle.fetch_history_events():
                yield event
        except RPCError as error:
            if error.status not in _GONE:
                raise


def _acknowledged(run: HistoryRun) -> Iterable[WorkflowCheckpoint]:
    return (one for one in run.checkpoints if one.digest in run.acknowledged)


def age(checkpoint: WorkflowCheckpoint) -> tuple[int, datetime, int]:
    """For comparing: later ones compare as greater: epochs only grow, and within one the server's clock decides."""
    return checkpoint.epoch, checkpoint.timestamp, checkpoint.sequence
