"""What can be read about runs: their state, their checkpoints, their failures; no worker need be alive for it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Self

from temporalio.client import Client, WorkflowQueryFailedError, WorkflowQueryRejectedError
from temporalio.service import RPCError, RPCStatusCode

from orchestration.client.reconcile import reconcile_run
from orchestration.client.run_status import ENDED_IN_TEMPORAL, RunReport, report
from orchestration.client.workflow_ids import checked_workflow_id
from orchestration.connection import connect
from orchestration.embedded.configured import read_settings
from orchestration.settings import Settings
from orchestration.stores import Stores, open_stores
from perdure.checkpoint import WorkflowCheckpoint
from perdure.errors import DependencyUnavailable, ServerUnreachable, UnknownWorkflow
from perdure.manifest import Failure
from workflows.messages import WORKFLOW_TYPE, PipelineInput, Progress

FOLLOW_EVERY_SECONDS = 0.3
LIST_AT_MOST = 100
AWAY_SECONDS = 60.0
QUERY_TIMEOUT = timedelta(seconds=3)
_AWAY = (RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED)


class RunReader:
    """Asks Temporal and the stores about runs; an async context manager.

    Args:
        settings: where everything is; read from the environment if not given.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or read_settings()
        self._opened: tuple[Client, Stores] | None = None

    async def __aenter__(self) -> Self:
        self._opened = (await connect(self.settings), open_stores(self.settings))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._opened:
            await self._opened[1].close()

    @property
    def client(self) -> Client:
        """The Temporal client, while this is open."""
        return self._open()[0]

    @property
    def stores(self) -> Stores:
        """The stores, while this is open."""
        return self._open()[1]

    async def status(self, workflow_id: str) -> RunReport:
        """How the run stands now, whether or not a worker is alive.

        Of a run that ended without being able to record it, the mirror says so afterwards.

        Raises:
            UnknownWorkflow: nobody has heard of it.
        """
        current = await report(self.settings, self.client, self.stores, checked_workflow_id(workflow_id))
        ended_early = not current.running and current.workflow_status in ENDED_IN_TEMPORAL.values()
        queue = self.settings.task_queue
        if ended_early and await reconcile_run(self.client, self.stores, workflow_id, queue):
            return await report(self.settings, self.client, self.stores, workflow_id)
        return current

    async def follow(self, workflow_id: str) -> AsyncIterator[RunReport]:
        """The run's report again and again, the last one when it has ended; a restart of Temporal is waited out.

        Raises:
            UnknownWorkflow: nobody has heard of it.
            ServerUnreachable: Temporal stays away.
        """
        seen_at = time.monotonic()
        while True:
            try:
                current = await self.status(workflow_id)
            except RPCError as error:
                if error.status not in _AWAY:
                    raise
                if time.monotonic() - seen_at > AWAY_SECONDS:
                    raise ServerUnreachable(
                        f"The Temporal server at {self.settings.temporal.address} has been away for more than "
                        f"{AWAY_SECONDS:.0f} seconds; the run goes on when it is back."
                    ) from error
            else:
                seen_at = time.monotonic()
                yield current
                if not current.running:
                    return
            await asyncio.sleep(FOLLOW_EVERY_SECONDS)

    async def wait(self, workflow_id: str, on_report: Callable[[RunReport], None] = lambda _: None) -> RunReport:
        """Follow the run to its end and return its last report."""
        current = await self.status(workflow_id)
        async for current in self.follow(workflow_id):
            on_report(current)
        return current

    async def list_runs(self, limit: int = LIST_AT_MOST) -> list[RunReport]:
        """The newest runs that Temporal knows, then those that only the stores know."""
        reports: dict[str, RunReport] = {}
        async for found in self.client.list_workflows(f'WorkflowType="{WORKFLOW_TYPE}"', limit=limit):
            if found.id not in reports:
                reports[found.id] = await self.status(found.id)
        for store in self.stores.checkpoints:
            try:
                stored = await store.workflow_ids()
            except DependencyUnavailable:
                continue
            for workflow_id in stored:
                if len(reports) < limit and workflow_id not in reports:
                    reports[workflow_id] = await self.status(workflow_id)
        return list(reports.values())

    async def get_latest_checkpoint(self, workflow_id: str) -> WorkflowCheckpoint | None:
        """The newest stored checkpoint; None if there is none."""
        return await self.stores.latest(checked_workflow_id(workflow_id))

    async def list_checkpoints(self, workflow_id: str) -> Sequence[WorkflowCheckpoint]:
        """All stored checkpoints, oldest first."""
        return await self.stores.list(checked_workflow_id(workflow_id))

    async def failures(self, workflow_id: str) -> Sequence[Failure]:
        """The quarantined documents with their reasons, by position.

        Raises:
            UnknownWorkflow: nobody has heard of the run.
        """
        await self.status(workflow_id)
        return await self.stores.manifest.failures(workflow_id)

    async def ask_progress(self, workflow_id: str) -> Progress | None:
        """What the run itself says of its progress, what it waits for included; None if no worker answers in time."""
        handle = self.client.get_workflow_handle(checked_workflow_id(workflow_id))
        try:
            answer: Progress = await handle.query("progress", result_type=Progress, rpc_timeout=QUERY_TIMEOUT)
        except (RPCError, WorkflowQueryFailedError, WorkflowQueryRejectedError):
            return None
        return answer

    async def original_input(self, workflow_id: str, run_id: str) -> PipelineInput:
        """What a run was started with, read from its history."""
        handle = self.client.get_workflow_handle(workflow_id, run_id=run_id)
        async for event in handle.fetch_history_events(page_size=1):
            payloads = event.workflow_execution_started_event_attributes.input.payloads
            decoded = await self.client.data_converter.decode(payloads, [PipelineInput])
            return PipelineInput.model_validate(decoded[0])
        raise UnknownWorkflow(f"The history of '{workflow_id}' is gone.")

    def _open(self) -> tuple[Client, Stores]:
        if self._opened is None:
            raise RuntimeError("Open it first: async with PipelineOrchestrator() as orchestrator")
        return self._opened
