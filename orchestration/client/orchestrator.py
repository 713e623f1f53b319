"""`PipelineOrchestrator`: Perdure for Python programs and for the commands.

async with PipelineOrchestrator() as orchestrator:
    run = await orchestrator.start([], options=PipelineOptions(open=True))
    checkpoint = await orchestrator.process_document(run.workflow_id, "contract.pdf")
    print(checkpoint.outcomes[0].status)  # processed, or quarantined with a reason
    result = await orchestrator.resume_workflow_from_checkpoint(run.workflow_id)
    assert result.status == "completed"
"""

from collections.abc import AsyncIterator, Callable, Sequence
from types import TracebackType
from typing import Self

from temporalio.client import Client

from orchestration.client import following, starting, updates
from orchestration.client.connected import Connected
from orchestration.client.fork import Fork, fork
from orchestration.client.outcomes import DocumentCheckpoint
from orchestration.client.own_worker import OwnWorker
from orchestration.client.resume import resume
from orchestration.client.run_status import RunReport
from orchestration.client.workflow_ids import checked_workflow_id
from orchestration.connection import connect
from orchestration.embedded.configured import read_settings
from orchestration.settings import Settings
from orchestration.stores import Stores, open_stores
from orchestration.worker.process import WorkerProcess
from perdure.checkpoint import WorkflowCheckpoint
from perdure.manifest import Failure
from workflows.document_pipeline import DocumentPipeline
from workflows.messages import AddedDocuments, PipelineInput, PipelineOptions, Progress


class PipelineOrchestrator:
    """Starts, feeds, steers, reads, resumes and forks runs; an async context manager.

    Every method that takes a workflow id raises `UnknownWorkflow` if neither Temporal nor a store knows the run. The
    methods that steer a run raise `WorkflowNotRunning` if the run has ended, and `RefusedCommand` if no worker answers.

    Args:
        settings: addresses and folders; read from the environment if not given.
        own_worker: whether the client starts a worker process when a run needs a worker and no worker of this data
            folder is alive. The worker stops when this client closes or the client's process ends.
    """

    def __init__(self, settings: Settings | None = None, *, own_worker: bool = True) -> None:
        self.settings = settings or read_settings()
        self._own_worker = OwnWorker(self.settings, allowed=own_worker)
        self._connected: Connected | None = None

    async def __aenter__(self) -> Self:
        """Connect to Temporal and return this client.

        Raises:
            ServerUnreachable: the Temporal server does not answer.
        """
        client = await connect(self.settings)
        self._connected = Connected(self.settings, client, open_stores(self.settings), self._own_worker)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the worker that this client started, and close the stores."""
        await self._own_worker.stop()
        if self._connected:
            await self._connected.stores.close()

    @property
    def connected(self) -> Connected:
        """The open connections, for the functions of this room."""
        if self._connected is None:
            raise RuntimeError("The orchestrator is not open. Use: async with PipelineOrchestrator() as orchestrator")
        return self._connected

    @property
    def client(self) -> Client:
        """The Temporal client of the open orchestrator."""
        return self.connected.client

    @property
    def stores(self) -> Stores:
        """The stores of the open orchestrator."""
        return self.connected.stores

    @property
    def worker(self) -> WorkerProcess | None:
        """The worker that this client started; None if it started none."""
        return self._own_worker.process

    @worker.setter
    def worker(self, process: WorkerProcess | None) -> None:
        """Take over a worker process, which stops with this client; None for no worker."""
        self._own_worker.process = process

    async def start(
        self,
        sources: Sequence[str],
        *,
        workflow_id: str | None = None,
        options: PipelineOptions | None = None,
        retry_quarantined: bool = False,
        rediscover: bool = True,
    ) -> RunReport:
        """Start a run over sources and return its report.

        An earlier run of the same id is brought up to date.

        Args:
            sources: paths or URIs; may be empty only for an open run.
            workflow_id: chosen by the caller, or generated.
            options: options of the run; `starting.DEFAULTS` holds those that are not set.
            retry_quarantined: process quarantined documents again.
            rediscover: list the sources again; off to process only the documents in the manifest.

        Raises:
            RefusedCommand: a source or the id cannot be used, or a run of this id is open.
        """
        return await starting.start(
            self.connected,
            sources,
            workflow_id=workflow_id,
            options=options,
            retry_quarantined=retry_quarantined,
            rediscover=rediscover,
        )

    async def start_workflow(self, workflow_id: str, pipeline: PipelineInput) -> None:
        """Start the workflow with this input.

        Raises:
            WorkflowAlreadyRunning: a run of this id is open.
        """
        await starting.start_workflow(self.connected, workflow_id, pipeline)

    async def process_document(self, workflow_id: str, source: str) -> DocumentCheckpoint:
        """Add a document to an open run, and return the checkpoint that covers it.

        The call waits until the document has its final status. The checkpoint's `outcomes` say how the document ended:
        `status` is `processed` or `quarantined`, and `reason` says why it is quarantined.

        Raises:
            RefusedCommand: the document cannot be found, or the run accepts no more documents.
        """
        return await updates.process_document(self.connected, workflow_id, source)

    async def add_documents(self, workflow_id: str, sources: Sequence[str], *, wait: bool = False) -> AddedDocuments:
        """Add sources to an open run; with `wait`, return once a checkpoint covers their documents.

        Raises:
            RefusedCommand: a source cannot be found, or the run accepts no more sources.
        """
        return await updates.add_documents(self.connected, workflow_id, sources, wait=wait)

    async def pause(self, workflow_id: str) -> Progress:
        """Let the run hand out no more documents; documents in process finish."""
        return await updates.send_update(self.connected, workflow_id, Progress, DocumentPipeline.pause)

    async def unpause(self, workflow_id: str) -> Progress:
        """Let the run continue after `pause`."""
        return await updates.send_update(self.connected, workflow_id, Progress, DocumentPipeline.unpause)

    async def set_concurrency(self, workflow_id: str, concurrency: int) -> Progress:
        """Change the number of batches in flight."""
        update = DocumentPipeline.set_concurrency
        return await updates.send_update(self.connected, workflow_id, Progress, update, concurrency)

    async def close_intake(self, workflow_id: str) -> Progress:
        """Let an open run accept no more documents; the run ends when its documents are finished."""
        return await updates.send_update(self.connected, workflow_id, Progress, DocumentPipeline.close)

    async def cancel(self, workflow_id: str) -> None:
        """Request the cancellation of a run.

        The run hands out no more documents, and writes a last checkpoint with the status `cancelled`.
        """
        await (await updates.find_running(self.connected, workflow_id)).cancel()

    async def ensure_worker(self) -> bool:
        """Start a worker if none of this data folder is alive; return whether one was started."""
        return await self._own_worker.ensure()

    async def status(self, workflow_id: str) -> RunReport:
        """Return the state of the run.

        If the run ended without recording its end, this method records the end first.
        """
        return await following.read_status(self.connected, workflow_id)

    def follow(self, workflow_id: str) -> AsyncIterator[RunReport]:
        """Yield the run's report repeatedly; the last one is that of the ended run.

        Raises:
            ServerUnreachable: the Temporal server stays unavailable.
        """
        return following.follow(self.connected, workflow_id)

    async def wait(self, workflow_id: str, on_report: Callable[[RunReport], None] = lambda _: None) -> RunReport:
        """Follow the run to its end, call `on_report` with each report, and return the last one.

        Raises:
            ServerUnreachable: the Temporal server stays unavailable.
        """
        return await following.wait(self.connected, workflow_id, on_report)

    async def list_runs(self, limit: int = following.LIST_AT_MOST) -> list[RunReport]:
        """Return the newest runs that Temporal knows, then those that only a store knows."""
        return await following.list_runs(self.connected, limit)

    async def get_latest_checkpoint(self, workflow_id: str) -> WorkflowCheckpoint | None:
        """Return the newest stored checkpoint; None if there is none."""
        return await self.stores.latest(checked_workflow_id(workflow_id))

    async def list_checkpoints(self, workflow_id: str) -> Sequence[WorkflowCheckpoint]:
        """Return all stored checkpoints, oldest first."""
        return await self.stores.list(checked_workflow_id(workflow_id))

    async def failures(self, workflow_id: str) -> Sequence[Failure]:
        """Return the quarantined documents with their reasons, by position."""
        await self.status(workflow_id)
        return await self.stores.manifest.failures(workflow_id)

    async def ask_progress(self, workflow_id: str) -> Progress | None:
        """Return the progress that the workflow reports; None if no worker answers in time."""
        return await following.ask_progress(self.connected, workflow_id)

    async def align_stores(self, workflow_id: str) -> WorkflowCheckpoint | None:
        """Synchronise every store with the other stores, and return the newest checkpoint.

        Raises:
            DependencyUnavailable: a store cannot be reached.
        """
        return await starting.align_stores(self.connected, workflow_id)

    async def fork(
        self,
        checkpoint_id: str,
        workflow_id: str | None = None,
        *,
        origin: str | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> Fork:
        """Start a run under a new id from a checkpoint, with the outputs of that checkpoint.

        Args:
            checkpoint_id: checkpoint id of any run.
            workflow_id: workflow id of the new run, generated if not given.
            origin: workflow id of the run that the checkpoint must belong to; None for any run.
            say: called with one sentence for each event.

        Raises:
            UnknownCheckpoint: no store has the checkpoint.
            RefusedCommand: another run has the id, or the database lacks the documents.
        """
        return await fork(self.connected, checkpoint_id, workflow_id, origin=origin, say=say)

    async def resume_workflow_from_checkpoint(
        self,
        workflow_id: str,
        checkpoint_id: str | None = None,
        *,
        keep_open: bool = False,
        say: Callable[[str], None] = lambda _: None,
        on_report: Callable[[RunReport], None] = lambda _: None,
    ) -> RunReport:
        """Resume a run from its latest checkpoint, wait for its end, and return its last report.

        The run may be in any state.

        Args:
            workflow_id: workflow id of the run.
            checkpoint_id: a checkpoint of this run. If a later checkpoint exists, the run is forked from this
                checkpoint, and the client follows the fork.
            keep_open: whether an open run stays open. If not, the client closes the run.
            say: called with one sentence for each event.
            on_report: called with each report while the client follows the run.

        Raises:
            UnknownCheckpoint: `checkpoint_id` is not a checkpoint of this run.
            RefusedCommand: the checkpoint cannot be forked.
        """
        return await resume(
            self.connected, workflow_id, checkpoint_id=checkpoint_id, keep_open=keep_open, say=say, on_report=on_report
        )
