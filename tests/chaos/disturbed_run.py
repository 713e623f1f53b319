"""One run that loses the servers it stands on, and what must hold of it whatever it lost."""

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
from tests.chaos.outputs import document_rows, outputs
from tests.chaos.workers import ROOT, ChaosWorker
from workflows.messages import PipelineOptions

SECONDS = 60.0
NEVER = 10**6

Outputs = dict[str, tuple[int, str]]
Commits = dict[str, datetime]
"""Name of each document that has a result, and the time of its commit."""


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not await condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        await asyncio.sleep(0.05)


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it told people."""

    code: int
    words: str


class Place:
    """A folder, a database and a task queue, with at most one slow worker of our own, who outlives a run."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.worker: ChaosWorker | None = None

    def start_worker(self) -> None:
        """Unless it is alive."""
        if self.worker is None:
            self.worker = ChaosWorker.armed(self.settings, "K2-slow", NEVER)

    def stop_worker(self) -> None:
        """In order; it must have been alive."""
        assert self.worker
        worker, self.worker = self.worker, None
        assert worker.stop() == 0, worker.log.read_text()

    def close(self) -> None:
        """Whatever became of it: leave nothing."""
        if self.worker:
            self.worker.close()


@asynccontextmanager
async def disturbed_run(place: Place, documents: Path) -> AsyncIterator["DisturbedRun"]:
    """A run over the documents that has begun, with a slow worker."""
    workflow_id = f"disturbed-{uuid.uuid4().hex[:8]}"
    async with PipelineOrchestrator(place.settings, own_worker=False) as orchestrator:
        place.start_worker()
        await orchestrator.start([str(documents)], workflow_id=workflow_id, options=PipelineOptions(concurrency=2))
        yield DisturbedRun(orchestrator, workflow_id)


class DisturbedRun:
    """The run, seen through `orchestrator`."""

    def __init__(self, orchestrator: PipelineOrchestrator, workflow_id: str) -> None:
        self.orchestrator = orchestrator
        self.id = workflow_id

    async def commits(self) -> Commits:
        rows = await document_rows(self.orchestrator.stores.pool, self.id)
        return {row.name: row.committed_at for row in rows if row.committed_at}

    async def until_mirrored(self, count: int) -> None:
        """Until a checkpoint says that so many documents are processed."""

        async def enough() -> bool:
            latest = await self.orchestrator.get_latest_checkpoint(self.id)
            return latest is not None and latest.processed_documents >= count

        await until(enough, f"{count} documents are in a checkpoint")

    async def wait(self) -> RunReport:
        async with asyncio.timeout(SECONDS):
            return await self.orchestrator.wait(self.id)

    async def latest(self) -> WorkflowCheckpoint:
        found = await self.orchestrator.get_latest_checkpoint(self.id)
        assert found
        return found

    async def resume(self) -> Said:
        """`resume_workflow.py`, as people run it."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(ROOT / "resume_workflow.py"), "--workflow-id", self.id),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, **self.orchestrator.settings.environment()},
        )
        async with asyncio.timeout(SECONDS):
            words, _ = await process.communicate()
        assert process.returncode is not None
        return Said(process.returncode, " ".join(words.decode().split()))

    async def check(self, expected: Outputs, *, kept: Commits, set_back: bool = False) -> list[WorkflowCheckpoint]:
        """Assert that it ended whole, and that what is in `kept` was not processed again.

        Returns:
            Its checkpoints, oldest first.
        """
        report = await self.orchestrator.status(self.id)
        failed = await self.orchestrator.failures(self.id)
        assert (report.workflow_status, report.documents.quarantined) == ("completed", 0), failed
        assert await outputs(self.orchestrator.stores.pool, self.id) == expected
        commits = await self.commits()
        assert {name: commits[name] for name in kept} == kept
        audit = await verify(self.orchestrator.client, self.orchestrator.stores, self.id)
        assert [one.sentence for one in audit.differences] == []
        chain = list(await self.orchestrator.list_checkpoints(self.id))
        check_chain(self.id, chain, set_back=set_back)
        return chain
