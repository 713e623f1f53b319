"""`DocumentPipeline`: discover, a window of batches, group-committed checkpoints, finish.

The phases of a run, and the effect of a crash in each:

* begin: `discover` claims an epoch and queues the documents. A repeated `discover` gives the same result.
* work: up to `concurrency` batches are in flight. A retried batch skips the documents that it committed before.
* checkpoint: a checkpoint is written when documents have finished since the latest checkpoint. Temporal repeats an
  activity whose worker died.
* continue as new: when the history is long enough, the window drains, a checkpoint is written, and the state moves on.
* finish: identities, analytics, the last checkpoint. Each activity gives the same result when it is repeated.
"""

import asyncio
from contextlib import suppress

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from workflows.calls import make_failure
from workflows.group_commit import GroupCommit
from workflows.messages import (
    MAX_CONCURRENCY,
    WORKFLOW_TYPE,
    AddDocuments,
    AddedDocuments,
    PipelineInput,
    Progress,
)
from workflows.recovery import calls_for_recovery, recover
from workflows.run import Run
from workflows.service_watch import ServiceWatch
from workflows.window import BatchWindow

with workflow.unsafe.imports_passed_through():
    from activities.manifest import AddRequest, AddResult, CloseRequest, DiscoverRequest, ManifestActivities
    from activities.services import ServiceActivities
    from perdure import __version__
    from perdure.checkpoint import WorkflowCheckpoint, WorkflowStatus


@workflow.defn(name=WORKFLOW_TYPE)
class DocumentPipeline:
    """One run over a manifest of documents."""

    @workflow.init
    def __init__(self, pipeline: PipelineInput) -> None:
        """Create the parts of the run; no command is sent yet."""
        self._run = Run(pipeline)
        self._window = BatchWindow(self._run)
        self._commits = GroupCommit(self._run)
        self._closing: asyncio.Task[None] | None = None

    @workflow.run
    async def run(self, pipeline: PipelineInput) -> Progress:
        """Process the manifest to its end and return the final progress.

        Raises:
            ApplicationError: the run cannot continue: its sources are unusable, or a newer run has replaced it.
            CancelledError: the run was cancelled; its last checkpoint has the status `cancelled`.
        """
        committing: asyncio.Task[None] | None = None
        try:
            if pipeline.state is None:
                await self._begin(pipeline.sources if pipeline.rediscover else [])
            while True:
                self._run.raise_if_cancelled()
                committing = asyncio.create_task(self._commits.write_until_closed())
                try:
                    async with ServiceWatch(self._run, self._commits.request_checkpoint):
                        await self._window.work()
                    self._commits.close()
                    await asyncio.shield(committing)
                    if not self._run.exhausted:
                        await self._continue_as_new()
                    return await self._finish()
                except ActivityError as error:
                    if not calls_for_recovery(self._run, error):
                        raise
                    await self._recover(error, committing)
        except (asyncio.CancelledError, ActivityError) as error:
            cancelled = isinstance(error, asyncio.CancelledError) or is_cancelled_exception(error)
            if self._closing is None:
                await self._end_early("cancelled" if cancelled else "failed", committing)
            elif cancelled:
                # The cancellation arrived while the last checkpoint was written. The work is complete by then,
                # so the run ends with the status that this checkpoint records.
                with suppress(ActivityError):
                    await self._closing
                    return self._run.progress()
            if isinstance(error, ActivityError) and not cancelled:
                raise make_failure(error) from error
            raise

    @workflow.query
    def progress(self) -> Progress:
        """Return counts, quality, status, the latest checkpoint's marks, and the reason for waiting."""
        return self._run.progress()

    @workflow.query
    def latest_checkpoint(self) -> WorkflowCheckpoint | None:
        """Return the newest checkpoint that every store has; None before the first."""
        return self._run.state.latest

    @workflow.update
    def pause(self) -> Progress:
        """Stop handing out batches; batches in flight finish. A checkpoint records `paused`."""
        self._set_paused(paused=True)
        return self._run.progress()

    @workflow.update
    def unpause(self) -> Progress:
        """Hand out batches again; a pause by the breaker stays."""
        self._set_paused(paused=False)
        return self._run.progress()

    @workflow.update
    def set_concurrency(self, concurrency: int) -> Progress:
        """Change the width of the window; a narrower window is reached as batches finish."""
        self._run.state.concurrency = concurrency
        return self._run.progress()

    @set_concurrency.validator
    def _validate_concurrency(self, concurrency: int) -> None:
        if not 1 <= concurrency <= MAX_CONCURRENCY:
            raise ApplicationError(f"Concurrency must be from 1 to {MAX_CONCURRENCY}, not {concurrency}.")

    @workflow.update
    async def add_documents(self, request: AddDocuments) -> AddedDocuments:
        """Append sources to the manifest of an open run.

        With `wait`, the update answers when a checkpoint covers the added documents. When the run continues as new
        before that, the update answers with `saved` false; the caller then sends the same update again. A repeated
        update adds no document twice.

        Raises:
            ApplicationError: the run takes no more documents, or `sources` is empty.
        """
        run = self._run
        state = self._run.state
        run.adding += 1
        try:
            await workflow.wait_condition(lambda: state.epoch > 0 or run.ending)
            self._refuse_unless_open()
            added = await self._add(request.sources)
            state.grow(added.totals)
            run.learn_names(added.first_ordinal, added.names)
        finally:
            run.adding -= 1
        run.announce()
        ordinals = (added.first_ordinal, added.end_ordinal)
        if request.wait:
            await workflow.wait_condition(
                lambda: state.is_saved(ordinals) or run.must_continue_as_new or run.ending or run.ended is not None
            )
        first, end = ordinals
        saved = state.is_saved(ordinals)
        return AddedDocuments(first_ordinal=first, end_ordinal=end, saved=saved, progress=run.progress())

    async def _add(self, sources: list[str]) -> AddResult:
        """Run the activity that adds the sources; repeat the activity after a recovery of the run."""
        run = self._run
        state = self._run.state
        while True:
            epoch = state.epoch
            try:
                return await run.call(
                    ManifestActivities.add_documents,
                    lambda: AddRequest(workflow_id=run.workflow_id, epoch=state.epoch, sources=sources),
                    summary=f"add {len(sources)} source(s)",
                    long=True,
                )
            except ActivityError as error:
                if not calls_for_recovery(run, error):
                    raise
                if state.epoch == epoch:
                    run.broken = run.broken or error
                await workflow.wait_condition(lambda: run.broken is None or run.ending or run.ended is not None)
                self._refuse_unless_open()

    @add_documents.validator
    def _validate_add_documents(self, request: AddDocuments) -> None:
        self._refuse_unless_open()
        if not request.sources:
            raise ApplicationError("There is nothing to add.")

    @workflow.update
    def close(self) -> Progress:
        """Refuse further documents: the run ends when every queued document has a result."""
        self._run.state.closed = True
        return self._run.progress()

    def _refuse_unless_open(self) -> None:
        if self._run.state.closed or self._run.ending or self._run.ended:
            raise ApplicationError("This run takes no more documents: it was not started open, or it is closed.")

    def _set_paused(self, *, paused: bool) -> None:
        if self._run.state.paused != paused:
            self._run.state.paused = paused
            self._commits.request_checkpoint()
            self._run.announce()

    async def _begin(self, sources: list[str]) -> None:
        run = self._run
        info = workflow.info()
        run.announce()
        discovered = await run.call(
            ManifestActivities.discover,
            lambda: DiscoverRequest(
                workflow_id=run.workflow_id,
                first_run_id=info.first_execution_run_id,
                sources=sources,
                retry_quarantined=run.pipeline.retry_quarantined,
                refresh=run.pipeline.refresh,
                at_least_epoch=run.pipeline.resume.epoch + 1 if run.pipeline.resume else 1,
            ),
            summary="discover documents",
            long=True,
        )
        run.state.epoch = discovered.epoch
        run.state.take_totals(discovered.totals)
        run.learn_names(0, discovered.names)
        if run.state.processed or run.state.quarantined:
            # Earlier epochs may have finished documents after their last checkpoint.
            self._commits.request_checkpoint()
        run.announce()

    async def _recover(self, error: ActivityError, committing: asyncio.Task[None]) -> None:
        """Wait until nothing is in flight, then begin a new epoch from the contents of the stores."""
        self._run.broken = self._run.broken or error
        self._commits.close()
        with suppress(ActivityError):
            await committing
        await self._window.settle()
        await recover(self._run, error)
        self._closing = None
        self._commits = GroupCommit(self._run)
        self._commits.request_checkpoint()

    async def _continue_as_new(self) -> None:
        """Continue as new after every update has its answer.

        Raises:
            BaseException: the error in `run.broken`: an addition failed, and it waits for the run's recovery.
        """
        run = self._run
        await workflow.wait_condition(lambda: workflow.all_handlers_finished() or run.broken is not None)
        # Histories of earlier releases have no recovery here: they wait for the updates alone.
        if run.broken and workflow.patched("recovery-before-continue-as-new"):
            raise run.broken
        await workflow.wait_condition(workflow.all_handlers_finished)
        state = run.state.model_copy(update={"generation": run.state.generation + 1})
        workflow.continue_as_new(run.pipeline.model_copy(update={"state": state, "release": __version__}))

    async def _finish(self) -> Progress:
        run = self._run
        await run.call(
            ServiceActivities.resolve_identities, run.service_request, summary="resolve identities", long=True
        )
        await run.call(ServiceActivities.build_analytics, run.service_request, summary="build analytics", long=True)
        run.raise_if_cancelled()
        self._closing = asyncio.create_task(self._close(run.final_status))
        await asyncio.shield(self._closing)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return run.progress()

    async def _end_early(self, status: WorkflowStatus, committing: asyncio.Task[None] | None) -> None:
        """Abort the batches in flight and record the status.

        The stores refuse the record of a replaced run.
        """
        run = self._run
        run.ending = True
        await self._window.abort()
        self._commits.close()
        with suppress(ActivityError):
            if committing:
                await committing
            if not run.state.epoch:
                await self._begin([])
            await workflow.wait_condition(lambda: not run.adding)
            await self._close(status)
        await workflow.wait_condition(workflow.all_handlers_finished)

    async def _close(self, status: WorkflowStatus) -> None:
        run = self._run
        totals = await run.call(
            ManifestActivities.close_run,
            lambda: CloseRequest(
                workflow_id=run.workflow_id,
                epoch=run.state.epoch,
                status=status,
                through_with=run.state.total if status in ("completed", "completed_with_failures") else None,
            ),
            summary=f"close the run: {status}",
        )
        run.state.take_totals(totals)
        run.ended = status
        await self._commits.write()
