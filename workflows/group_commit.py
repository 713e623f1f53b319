"""Group commit of checkpoints: one is due whenever documents finished since the last, and one is written at a time.

One document at a time so gives one checkpoint a document, and a flood of documents shares checkpoints and never waits.
"""

from temporalio import workflow

from activities.checkpoints import CheckpointActivities
from activities.services import ServiceActivities
from workflows.checkpoints import next_checkpoint
from workflows.run import Run


class GroupCommit:
    """Writes a run's checkpoints. The history has each one first, as the input of the activity that mirrors it."""

    def __init__(self, run: Run) -> None:
        self._run = run
        latest = run.state.latest
        # The run may have been paused while the former history was being closed.
        self._asked = latest is not None and latest.workflow_status != run.status
        self._closing = False

    def ask(self) -> None:
        """Have a checkpoint written although no document has finished."""
        self._asked = True

    def close(self) -> None:
        """Let `write_until_closed` return once everything finished is covered."""
        self._closing = True

    async def write_until_closed(self) -> None:
        """Write whenever one is due; notes in the run what broke it."""
        try:
            while True:
                await workflow.wait_condition(lambda: self._due() or self._closing)
                if not self._due():
                    return
                await self.write()
        except BaseException as error:
            self._run.broken = self._run.broken or error
            raise

    async def write(self) -> None:
        """Ask the services, make the next checkpoint, mirror it; `state.latest` is only ever a mirrored one."""
        run, state = self._run, self._run.state
        self._asked = False
        services = await run.call(
            ServiceActivities.capture_service_states,
            run.service_request,
            summary=f"service health for checkpoint {state.sequence + 1}",
        )
        run.observe_services(services)  # what it changes shows in this very checkpoint
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
        state.sequence, state.digest, state.latest = checkpoint.sequence, checkpoint.digest, checkpoint
        state.mark_saved(finished)
        run.announce()

    def _due(self) -> bool:
        return bool(self._run.state.unsaved) or self._asked
