"""A run whose servers a test kills or sets back, and the checks of such a run."""

import asyncio
import os
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from orchestration.audit import verify
from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.client.run_status import RunReport
from orchestration.settings import Settings
from perdure.checkpoint import WorkflowCheckpoint
from tests.chaos.checker import check_chain
from tests.chaos.gate import Gate
from tests.chaos.outputs import document_rows, outputs
from tests.chaos.workers import ROOT, ChaosWorker
from workflows.messages import PipelineOptions

SECONDS = 180.0
IN_FLIGHT = 2
"""Number of documents that a disturbed run holds in flight."""
Outputs = dict[str, tuple[int, str]]
Commits = dict[str, datetime]
"""Name of each document that has a result, and the time of its commit."""


async def wait_until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait until the condition holds; AssertionError with the text `what` after `SECONDS`."""
    deadline = time.monotonic() + SECONDS
    while not await condition():
        assert time.monotonic() < deadline, f"{what}: not true after {SECONDS:.0f} s"
        await asyncio.sleep(0.05)


@dataclass(frozen=True)
class CommandResult:
    """The exit code and the output of a command, with each run of whitespace as one space."""

    code: int
    output: str


class Place:
    """A folder, a database and a task queue, with a gated worker that serves several runs."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.gate = Gate(settings.data_dir)
        self.worker: ChaosWorker | None = None

    def start_worker(self) -> None:
        """Start the worker if it does not run."""
        if self.worker is None:
            self.worker = ChaosWorker.gated(self.settings)

    def stop_worker(self, *, admitted: int) -> None:
        """Stop the worker by SIGTERM, and assert that it ends with exit code 0.

        Args:
            admitted: number of documents that the gate admits when the worker takes no further activity. The worker
                ends after the activities in flight, so the gate must admit their documents.
        """
        worker = self.worker
        assert worker
        self.worker = None
        worker.begin_to_stop()
        self.gate.admit(admitted)
        assert worker.stop() == 0, worker.log.read_text()

    def close(self) -> None:
        """Stop the worker and kill its remaining processes, in any state."""
        self.gate.open()
        if self.worker:
            self.worker.close()


@asynccontextmanager
async def disturbed_run(place: Place, documents: Path) -> AsyncIterator["DisturbedRun"]:
    """Start a run over the documents and a worker whose gate is closed, and yield the run."""
    workflow_id = f"disturbed-{uuid.uuid4().hex[:8]}"
    place.gate.close()
    async with PipelineOrchestrator(place.settings, own_worker=False) as orchestrator:
        place.start_worker()
        options = PipelineOptions(concurrency=IN_FLIGHT)
        await orchestrator.start([str(documents)], workflow_id=workflow_id, options=options)
        yield DisturbedRun(orchestrator, workflow_id, place.gate)


class DisturbedRun:
    """The checks and commands of one started run."""

    def __init__(self, orchestrator: PipelineOrchestrator, workflow_id: str, gate: Gate) -> None:
        self.orchestrator = orchestrator
        self.id = workflow_id
        self.gate = gate

    async def commits(self) -> Commits:
        """Return the time of commit of each committed document, by name."""
        rows = await document_rows(self.orchestrator.stores.pool, self.id)
        return {row.name: row.committed_at for row in rows if row.committed_at}

    async def until_mirrored(self, count: int) -> None:
        """Admit `count` documents, and wait until a stored checkpoint counts them as processed."""
        self.gate.admit(count)

        async def enough() -> bool:
            latest = await self.orchestrator.get_latest_checkpoint(self.id)
            return latest is not None and latest.processed_documents >= count

        await wait_until(enough, f"{count} documents are in a checkpoint")

    async def wait(self) -> RunReport:
        """Admit all documents, wait at most `SECONDS` for the end of the run, and return its report."""
        self.gate.open()
        async with asyncio.timeout(SECONDS):
            return await self.orchestrator.wait(self.id)

    async def latest(self) -> WorkflowCheckpoint:
        """Return the latest checkpoint."""
        checkpoint = await self.orchestrator.get_latest_checkpoint(self.id)
        assert checkpoint
        return checkpoint

    async def resume(self) -> CommandResult:
        """Admit all documents, run `resume_workflow.py` as a process, and return its result."""
        self.gate.open()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(ROOT / "resume_workflow.py"),
            "--workflow-id",
            self.id,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, **self.orchestrator.settings.environment()},
        )
        async with asyncio.timeout(SECONDS):
            written, _ = await process.communicate()
        assert process.returncode is not None
        return CommandResult(process.returncode, " ".join(written.decode().split()))

    async def check(self, expected: Outputs, *, kept: Commits, set_back: bool = False) -> list[WorkflowCheckpoint]:
        """Assert that the run ended with the expected outputs, and return its checkpoints.

        Args:
            expected: outputs of an undisturbed run over the same documents.
            kept: commits that must be unchanged: these documents were not processed again.
            set_back: whether Postgres was set back; see `check_chain`.
        """
        report = await self.orchestrator.status(self.id)
        failed = await self.orchestrator.failures(self.id)
        assert (report.workflow_status, report.documents.quarantined) == ("completed", 0), failed
        assert await outputs(self.orchestrator.stores.pool, self.id) == expected
        commits = await self.commits()
        assert {name: commits[name] for name in kept} == kept
        audit = await verify(self.orchestrator.client, self.orchestrator.stores, self.id)
        assert [difference.sentence for difference in audit.differences] == []
        chain = list(await self.orchestrator.list_checkpoints(self.id))
        check_chain(self.id, chain, set_back=set_back)
        return chain
