"""What the parts of one run share: its input, its state, its way to call activities and to show itself."""

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
"""At the least, for each batch in flight: a window that is wider than a history would do nothing but begin anew."""


class Run:
    """The shared side of a running pipeline; one per workflow execution."""

    def __init__(self, pipeline: PipelineInput) -> None:
        resume, options = pipeline.resume, pipeline.options
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
        """It ends before its work is done."""
        self.ended: WorkflowStatus | None = None
        """How the run ended, once it has."""
        self.broken: BaseException | None = None
        """Why the run cannot go on, set by whichever part noticed."""
        self.recoveries_in_vain = 0
        """Recoveries in a row between which no document was finished."""
        self.finished_at_recovery = -1
        """How many documents had a result after the last recovery."""
        self.adding = 0
        """Updates that are adding documents right now."""
        self.names: dict[int, str] = {}
        """Names of queued documents by ordinal, as far as they are known."""
        self.breaker = Breaker(self.state, options.breaker_seconds)
        self.services_observed = 0
        """How often the services have said how they are."""
        self.call = Calls(options.heartbeat_timeout_seconds, self.announce)
        self._announcer = Announcer(search_attributes=options.search_attributes)

    @property
    def status(self) -> WorkflowStatus:
        """As the checkpoint shows it."""
        return self.ended or ("paused" if self.halted else "in_progress")

    @property
    def halted(self) -> bool:
        """Nothing is handed out: somebody has paused the run, or the breaker has."""
        return self.state.paused or self.breaker.tripped

    @property
    def waiting_for(self) -> str | None:
        """Why the run cannot go on now, one sentence; None while it can."""
        return self.breaker.reason or self.call.waiting_for

    @property
    def exhausted(self) -> bool:
        """Everything queued was handed out, and nothing more can come."""
        return self.state.closed and not self.adding and self.state.next_ordinal >= self.state.queued

    @property
    def must_continue_as_new(self) -> bool:
        """The history is long enough."""
        info, wanted = workflow.info(), self.options.history_events
        enough = max(wanted, EVENTS_OF_A_BATCH * self.state.concurrency)
        return info.is_continue_as_new_suggested() or bool(wanted and info.get_current_history_length() > enough)

    def raise_if_cancelled(self) -> None:
        """Called where an activity may have hidden it: one that answers although it is cancelled swallows that.

        Raises:
            CancelledError: the run was cancelled.
        """
        if workflow.cancellation_reason() is not None:
            raise asyncio.CancelledError

    def learn_names(self, first: int, names: list[str]) -> None:
        """Remember the names of the ordinals from `first` on."""
        self.names.update(enumerate(names, start=first))

    def announce(self) -> None:
        """Show the present state in the Web UI."""
        self._announcer.announce(self.state, self.status, self.waiting_for)

    def observe_services(self, services: dict[str, ServiceState]) -> bool:
        """Let the breaker judge how the services answered; returns whether it has tripped or lifted."""
        self.services_observed += 1
        changed = self.breaker.observe(services, workflow.now(), waits=self.call.waiting_for is not None)
        if changed:
            self.announce()
        return changed

    def service_request(self) -> ServiceRequest:
        return ServiceRequest(workflow_id=self.workflow_id, epoch=self.state.epoch)

    def progress(self) -> Progress:
        state, latest = self.state, self.state.latest
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
