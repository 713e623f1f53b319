"""Group commit of checkpoints: the run writes at most one checkpoint at a time.

A checkpoint is due when documents have finished since the latest checkpoint. Documents that finish one at a time get
one checkpoint each. Documents that finish while a checkpoint is written share the next checkpoint, and no document
waits for a checkpoint.
"""

from temporalio import workflow

from activities.checkpoints import CheckpointActivities
from activities.services import ServiceActivities
from workflows.checkpoints import next_checkpoint
from workflows.run import Run


class GroupCommit:
    """Writes a run's checkpoints.

    The history has each checkpoint first, as the input of the activity that mirrors it.
    """

    def __init__(self, run: Run) -> None:
        """Request a checkpoint if the latest one records another status than the run has."""
        self._run = run
        latest = run.state.latest
        # A user may have paused the run while the previous execution wrote its last checkpoint.
        self._requested = latest is not None and latest.workflow_status != run.status
        self._closing = False

    def request_checkpoint(self) -> None:
        """Request a checkpoint although no document has finished."""
        self._requested = True

    def close(self) -> None:
        """Let `write_until_closed` return as soon as no checkpoint is due."""
        self._closing = True

    async def write_until_closed(self) -> None:
        """Write a checkpoint whenever one is due.

        Raises:
            BaseException: the error that stopped the writing; it is recorded in `run.broken` too.
        """
        try:
            while True:
                await workflow.wait_condition(lambda: self._is_due() or self._closing)
                if not self._is_due():
                    return
                await self.write()
        except BaseException as error:
            self._run.broken = self._run.broken or error
            raise

    async def write(self) -> None:
        """Capture the services, make the next checkpoint, and mirror it.

        After the mirroring, the checkpoint becomes `state.latest`.
        """
        run = self._run
        state = self._run.state
        # The flag is cleared before the first await, because a request that arrives while this checkpoint is written
        # asks for the next checkpoint.
        self._requested = False
        services = await run.call(
            ServiceActivities.capture_service_states,
            run.service_request,
            summary=f"service health for checkpoint {state.sequence + 1}",
        )
        # The breaker judges first, so that this checkpoint records a status that the capture changes.
        run.observe_services(services)
        finished = list(state.unsaved)
        info = workflow.info()
        checkpoint = next_checkpoint(
            workflow_id=run.workflow_id,
            run_id=info.run_id,
            event_id=info.get_current_history_length(),
            timestamp=workflow.now(),
            status=run.status,
            state=state,
            finished=finished,
            services=services,
            pipeline=run.pipeline,
            breaker=run.breaker.record(),
        )
        await run.call(
            CheckpointActivities.mirror_checkpoint,
            lambda: checkpoint,
            summary=f"checkpoint {checkpoint.sequence}: {checkpoint.processed_documents} of {state.total} processed",
        )
        state.sequence = checkpoint.sequence
        state.digest = checkpoint.digest
        state.latest = checkpoint
        state.mark_saved(finished)
        run.announce()

    def _is_due(self) -> bool:
        return bool(self._run.state.unsaved) or self._requested
