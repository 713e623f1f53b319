"""The client side of runs: start, feed and steer them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Any, TypeVar, cast
from uuid import uuid4

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import (
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
    WorkflowUpdateStage,
)
from temporalio.common import SearchAttributePair, TypedSearchAttributes, WorkflowIDConflictPolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from orchestration.client.reconcile import reconcile_run
from orchestration.client.run_reader import FOLLOW_EVERY_SECONDS, RunReader
from orchestration.client.run_status import RunReport, find_execution
from orchestration.client.workflow_ids import checked_workflow_id
from orchestration.connection import ensure_search_attributes
from orchestration.invocation import command_line
from orchestration.settings import Settings
from orchestration.worker.process import WorkerProcess
from orchestration.worker.slot import live_workers
from perdure import __version__
from perdure.checkpoint import WorkflowCheckpoint
from perdure.checkpoint.sync import sync
from perdure.documents.discovery import check_source, normalise_source
from perdure.errors import (
    RefusedCommand,
    UnknownWorkflow,
    WorkflowAlreadyRunning,
    WorkflowNotRunning,
)
from workflows.announcements import PIPELINE_STATUS
from workflows.document_pipeline import DocumentPipeline
from workflows.messages import (
    BREAKER_SECONDS,
    HISTORY_EVENTS,
    AddDocuments,
    AddedDocuments,
    PipelineInput,
    PipelineOptions,
    Progress,
    ResumePoint,
)

Answer = TypeVar("Answer")

DEFAULTS = {"breaker_seconds": BREAKER_SECONDS, "history_events": HISTORY_EVENTS}
TASK_TIMEOUT = timedelta(seconds=1)
"""How long the server waits for a workflow task of a worker that was killed in the middle of it; a task takes some
milliseconds, a replay of `HISTORY_EVENTS` some hundred, and the server allows more from the third try on."""
ANSWER_SECONDS = 10.0
"""How long an update may wait for a worker to take it up."""


class RunClient(RunReader):
    """Starts, feeds and steers runs as well; an async context manager.

    Args:
        settings: where everything is; read from the environment if not given.
        own_worker: start a worker as a process of its own whenever one is needed and none of this data folder is
            alive; it stops when this client closes or its process ends.
    """

    def __init__(self, settings: Settings | None = None, *, own_worker: bool = True) -> None:
        super().__init__(settings)
        self.worker: WorkerProcess | None = None
        self._own_worker = own_worker

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.worker:
            await self.worker.stop()
        await super().__aexit__(kind, error, trace)

    async def start(
        self,
        sources: Sequence[str],
        *,
        workflow_id: str | None = None,
        options: PipelineOptions | None = None,
        retry_quarantined: bool = False,
        rediscover: bool = True,
    ) -> RunReport:
        """Start a run over files and folders; an earlier run of the same id is brought up to date, not repeated.

        Args:
            sources: paths or `file://` URIs; may be empty only for an open run.
            workflow_id: chosen by the caller, or generated.
            options: how the run works; what they do not say is as in `DEFAULTS`.
            retry_quarantined: take up quarantined documents again.
            rediscover: look at the sources again; off to take up only what the manifest has.

        Raises:
            RefusedCommand: a source or the id cannot be used, or a run of this id is open.
        """
        options = PipelineOptions.model_validate(DEFAULTS | (options.model_dump(exclude_unset=True) if options else {}))
        workflow_id = f"perdure-{uuid4().hex[:12]}" if workflow_id is None else checked_workflow_id(workflow_id)
        if rediscover:
            for source in sources:
                check_source(source)
        if not (sources or options.open or not rediscover):
            raise RefusedCommand("Name at least one file or folder to process, or start the run open.")
        await reconcile_run(self.client, self.stores, workflow_id, self.settings.task_queue)
        latest = await self.align_stores(workflow_id)
        pipeline = PipelineInput(
            sources=[normalise_source(source) for source in sources],
            options=options,
            retry_quarantined=retry_quarantined,
            rediscover=rediscover,
            refresh=rediscover,
            resume=resume_point(latest),
        )
        await self.start_workflow(workflow_id, pipeline)
        return await self.status(workflow_id)

    async def start_workflow(self, workflow_id: str, pipeline: PipelineInput) -> None:
        """Start the workflow itself.

        Raises:
            WorkflowAlreadyRunning: a run of this id is open.
        """
        known = pipeline.options.search_attributes and await ensure_search_attributes(self.client)
        options = pipeline.options.model_copy(update={"search_attributes": known})
        shown = [SearchAttributePair(PIPELINE_STATUS, "in_progress")] if known else []
        try:
            await self.client.start_workflow(
                DocumentPipeline.run,
                pipeline.model_copy(update={"options": options, "release": __version__}),
                id=workflow_id,
                task_queue=self.settings.task_queue,
                task_timeout=TASK_TIMEOUT,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                static_summary=f"Documents of {_brief(pipeline.sources)}",
                static_details=_details(pipeline),
                search_attributes=TypedSearchAttributes(shown),
            )
        except WorkflowAlreadyStartedError as error:
            raise WorkflowAlreadyRunning(f"A run with the workflow id '{workflow_id}' is already running.") from error

    async def process_document(self, workflow_id: str, source: str) -> WorkflowCheckpoint:
        """Add one document to an open run and wait until it is done; returns the checkpoint that covers it.

        Whether it was processed or quarantined shows in the counts and in `failures`.

        Raises:
            RefusedCommand: the document cannot be found, or the run takes no more.
        """
        await self.ensure_worker()
        await self.add_documents(workflow_id, [source], wait=True)
        checkpoint = await self.get_latest_checkpoint(workflow_id)
        if checkpoint is None:
            raise UnknownWorkflow(f"No checkpoint of '{workflow_id}' is stored.")
        return checkpoint

    async def add_documents(self, workflow_id: str, sources: Sequence[str], *, wait: bool = False) -> AddedDocuments:
        """Add files and folders to an open run; with `wait`, return once a checkpoint covers them.

        Raises:
            RefusedCommand: a source cannot be found, or the run takes no more.
        """
        for source in sources:
            check_source(source)
        request = AddDocuments(sources=[normalise_source(source) for source in sources], wait=wait)
        added = await self._update(workflow_id, AddedDocuments, DocumentPipeline.add_documents, request)
        while wait and not added.saved:  # the run has moved on to a fresh history; nothing is added twice
            await asyncio.sleep(FOLLOW_EVERY_SECONDS)
            added = await self._update(workflow_id, AddedDocuments, DocumentPipeline.add_documents, request)
        return added

    async def pause(self, workflow_id: str) -> Progress:
        """Hand out no more documents; those being processed finish."""
        return await self._update(workflow_id, Progress, DocumentPipeline.pause)

    async def unpause(self, workflow_id: str) -> Progress:
        """Go on after `pause`."""
        return await self._update(workflow_id, Progress, DocumentPipeline.unpause)

    async def set_concurrency(self, workflow_id: str, concurrency: int) -> Progress:
        """Change how many batches are in flight at once."""
        return await self._update(workflow_id, Progress, DocumentPipeline.set_concurrency, concurrency)

    async def close_intake(self, workflow_id: str) -> Progress:
        """Let an open run take no more documents: it ends when what it has is done."""
        return await self._update(workflow_id, Progress, DocumentPipeline.close)

    async def cancel(self, workflow_id: str) -> None:
        """Ask the run to stop: it hands out nothing more and writes a last checkpoint `cancelled`."""
        await (await self._running(workflow_id)).cancel()

    async def ensure_worker(self) -> bool:
        """Start a worker if none of this data folder is alive; True if one was started."""
        if not self._own_worker or live_workers(self.settings.data_dir) or (self.worker and self.worker.alive):
            return False
        self.worker = await WorkerProcess.start(self.settings)
        return True

    async def follow(self, workflow_id: str) -> AsyncIterator[RunReport]:
        """As `RunReader.follow`; a worker that ends meanwhile is replaced, if workers are ours to start."""
        async for current in super().follow(workflow_id):
            if current.running:
                await self.ensure_worker()
            yield current

    async def align_stores(self, workflow_id: str) -> WorkflowCheckpoint | None:
        """Give every store the checkpoints that another one has beyond its own; returns the newest.

        Raises:
            DependencyUnavailable: a store cannot be reached.
        """
        for store in self.stores.checkpoints:
            await sync(store, self.stores.checkpoints, workflow_id)
        return await self.stores.latest(workflow_id)

    async def _running(self, workflow_id: str) -> WorkflowHandle[Any, Any]:
        execution = await find_execution(self.client, checked_workflow_id(workflow_id))
        if execution is None:
            await self.status(workflow_id)  # tells apart a run that nobody has heard of
        if execution is None or execution.status != WorkflowExecutionStatus.RUNNING:
            raise WorkflowNotRunning(f"The run '{workflow_id}' is not running.")
        return self.client.get_workflow_handle(workflow_id)

    async def _update(self, workflow_id: str, answers: type[Answer], update: Any, *args: Any) -> Answer:
        """Send an update; it needs a live worker to be answered."""
        handle = await self._running(workflow_id)
        await self._see_a_worker()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                accepted = await handle.start_update(
                    update, *args, wait_for_stage=WorkflowUpdateStage.ACCEPTED, result_type=answers
                )
            return cast("Answer", await accepted.result())
        except WorkflowUpdateRPCTimeoutOrCancelledError as error:  # in place of TimeoutError and CancelledError
            task = asyncio.current_task()
            if task and task.cancelling():
                raise asyncio.CancelledError from error
            raise RefusedCommand(
                f"No worker answered within {ANSWER_SECONDS:.0f} seconds; the run '{workflow_id}' may still do as "
                "asked when one does."
            ) from error
        except WorkflowUpdateFailedError as error:
            raise RefusedCommand(str(error.cause)) from error
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:
                raise WorkflowNotRunning(f"The run '{workflow_id}' ended just now.") from error
            raise

    async def _see_a_worker(self) -> None:
        """Refuse at once what nobody would answer; pollers that died lately still count, and time out."""
        if live_workers(self.settings.data_dir):
            return
        queue = await self.client.workflow_service.describe_task_queue(
            DescribeTaskQueueRequest(
                namespace=self.client.namespace,
                task_queue=TaskQueue(name=self.settings.task_queue),
                task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
            )
        )
        if self.settings.temporal.embedded or not queue.pollers:
            raise RefusedCommand(f"No worker is alive to answer; start one with: {command_line('worker')}")


def resume_point(checkpoint: WorkflowCheckpoint | None) -> ResumePoint | None:
    """Where a new run joins the chain."""
    if checkpoint is None:
        return None
    return ResumePoint(
        checkpoint_id=checkpoint.checkpoint_id,
        sequence=checkpoint.sequence,
        digest=checkpoint.digest,
        epoch=checkpoint.epoch,
    )


def _brief(sources: Sequence[str]) -> str:
    if not sources:
        return "an open run"
    first = sources[0].partition("#")[0].rstrip("/").rsplit("/", 1)[-1]
    return first if len(sources) == 1 else f"{first} and {len(sources) - 1} more"


def _details(pipeline: PipelineInput) -> str:
    lines = ["Sources:", "", *[f"* `{source}`" for source in pipeline.sources[:20]]]
    if pipeline.resume:
        lines += ["", f"Goes on after checkpoint {pipeline.resume.sequence} `{pipeline.resume.checkpoint_id}`."]
    return "\n".join(lines)
