"""The object that the parts of a run share: input, state, activity calls and announcements."""

import asyncio

from temporalio import workflow

from activities.services import ServiceRequest
from perdure.checkpoint import ServiceState, WorkflowStatus
from workflows.announcements import Announcer
from workflows.breaker import Breaker
from workflows.calls import Calls
from workflows.messages import CheckpointMark, DocumentCounts, PipelineInput, Progress
from workflows.state import PipelineState

EVENTS_OF_A_BATCH = 20
"""Least number of history events for each batch in flight.

Without this bound, a run with a wide window would continue as new before any of its batches had finished.
"""


class Run:
    """The shared state of a running pipeline; one object for each workflow execution."""

    def __init__(self, pipeline: PipelineInput) -> None:
        """Start from the state of the previous execution, or from the input of a new run."""
        resume = pipeline.resume
        options = pipeline.options
        self.pipeline = pipeline
        self.options = options
        self.workflow_id = workflow.info().workflow_id
        self.state = pipeline.state or PipelineState(
            concurrency=options.concurrency,
            closed=not options.open,
            sequence=resume.sequence if resume else 0,
            digest=resume.digest if resume else "",
            recovered=pipeline.recovered,
            recovered_at_sequence=resume.sequence if resume and pipeline.recovered else -1,
        )
        self.ending = False
        """Whether the run ends before every queued document has a result."""
        self.ended: WorkflowStatus | None = None
        """The final status; None until the run has ended."""
        self.broken: BaseException | None = None
        """The error that stops the run. The first part of the run that fails sets it."""
        self.fruitless_recoveries = 0
        """Number of consecutive recoveries after which no document has finished."""
        self.finished_at_recovery = -1
        """Number of documents with a result after the last recovery; -1 before the first."""
        self.adding = 0
        """Number of updates that are adding documents."""
        self.names: dict[int, str] = {}
        """Names of queued documents by ordinal; only the pages fetched so far."""
        self.breaker = Breaker(self.state, options.breaker_seconds)
        self.services_observed = 0
        """Number of service captures so far."""
        self.call = Calls(options.heartbeat_timeout_seconds, self.announce)
        self._announcer = Announcer(search_attributes=options.search_attributes)

    @property
    def status(self) -> WorkflowStatus:
        """Return the status that a checkpoint records."""
        return self.ended or ("paused" if self.halted else "in_progress")

    @property
    def final_status(self) -> WorkflowStatus:
        """Return the status with which a run ends whose queue is finished.

        A retry of quarantined documents can leave documents that an earlier, cancelled run never began. The run then
        stays `cancelled`.
        """
        if self.state.remaining and not self.pipeline.rediscover:
            return "cancelled"
        return "completed_with_failures" if self.state.quarantined else "completed"

    @property
    def halted(self) -> bool:
        """Return whether a user or the breaker has paused the run."""
        return self.state.paused or self.breaker.tripped

    @property
    def waiting_for(self) -> str | None:
        """Return the reason for which the run waits, one sentence; None while it works."""
        return self.breaker.reason or self.call.waiting_for

    @property
    def exhausted(self) -> bool:
        """Return whether every queued document was handed out and no document can be added."""
        return self.state.closed and not self.adding and self.state.next_ordinal >= self.state.queued

    @property
    def must_continue_as_new(self) -> bool:
        """Return whether the history has reached the length at which the run continues as new."""
        info = workflow.info()
        wanted = self.options.history_events
        enough = max(wanted, EVENTS_OF_A_BATCH * self.state.concurrency)
        return info.is_continue_as_new_suggested() or bool(wanted and info.get_current_history_length() > enough)

    def raise_if_cancelled(self) -> None:
        """Raise if the run was cancelled.

        An activity that completes although its cancellation was requested hides the cancellation from its caller.
        The workflow therefore calls this method after each activity that may complete in this way.

        Raises:
            CancelledError: the run was cancelled.
        """
        if workflow.cancellation_reason() is not None:
            raise asyncio.CancelledError

    def learn_names(self, first: int, names: list[str]) -> None:
        """Store the names of the ordinals from `first` on."""
        self.names.update(enumerate(names, start=first))

    def announce(self) -> None:
        """Publish the present state to the Web UI."""
        self._announcer.announce(self.state, self.status, self.waiting_for)

    def observe_services(self, services: dict[str, ServiceState]) -> bool:
        """Pass the captured services to the breaker; return whether the breaker tripped or closed."""
        self.services_observed += 1
        changed = self.breaker.observe(services, workflow.now(), waits=self.call.waiting_for is not None)
        if changed:
            self.announce()
        return changed

    def service_request(self) -> ServiceRequest:
        """Return the input of the service activities for the present epoch."""
        return ServiceRequest(workflow_id=self.workflow_id, epoch=self.state.epoch)

    def progress(self) -> Progress:
        """Return the answer to the query `progress`."""
        state = self.state
        latest = self.state.latest
        return Progress(
            workflow_status=self.status,
            documents=DocumentCounts(
                total=state.total,
                processed=state.processed,
                quarantined=state.quarantined,
                remaining=state.remaining,
            ),
            quality_score=state.quality_score,
            latest_checkpoint=CheckpointMark(
                checkpoint_id=latest.checkpoint_id,
                sequence=latest.sequence,
                timestamp=latest.timestamp,
                processed_documents=latest.processed_documents,
            )
            if latest
            else None,
            waiting_for=self.waiting_for,
            recovered=state.recovered,
            open=not state.closed,
            concurrency=state.concurrency,
        )
