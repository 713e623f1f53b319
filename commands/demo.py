"""`demo`: kill the worker in the middle of a document, and prove that nothing was lost or done twice."""

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import typer

from commands.demo_proof import print_proof
from commands.options import NewWorkflowId, Sources
from commands.output import answers, say_when
from commands.progress import RunDisplay
from commands.servers import ensure_servers, prepared_settings
from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.client.run_status import find_execution
from orchestration.client.workflow_ids import checked_workflow_id
from orchestration.process_exit import run_main
from orchestration.worker.process import WorkerProcess
from perdure.documents.discovery import check_source
from perdure.errors import RefusedCommand
from perdure.stores.postgres.commits import Commit, commits
from workflows.announcements import DOCUMENTS_PROCESSED, DOCUMENTS_TOTAL, PIPELINE_STATUS

SAMPLES = Path(__file__).resolve().parent.parent / "samples"
KILL_AFTER_SHARE = 4
"""The worker is killed once one document in this many is committed."""
LOOK_EVERY_SECONDS = 0.02
SETTLE_SECONDS = 0.2
"""For a COMMIT that was on its way when the worker was stopped."""
WITHOUT_WORKER_SECONDS = 2.0

app = typer.Typer()


@app.command()
def demo(*, sources: Sources = None, workflow_id: NewWorkflowId = None) -> None:
    """Kill the worker in the middle of a document, and prove that nothing is lost.

    Processes the samples, or the given sources, twice: once with its worker killed by SIGKILL, once undisturbed.
    Exit code 0 if both gave the same and each document was committed once, 1 if not.
    """
    run_main(lambda: _demo(sources or [str(SAMPLES)], workflow_id or f"demo-{uuid4().hex[:8]}"))


async def _demo(sources: list[str], workflow_id: str) -> int:
    checked_workflow_id(workflow_id)
    for source in sources:
        check_source(source)
    await ensure_servers()
    # A task queue of its own: no other worker may take the work over while the killed one is away.
    settings = replace(await prepared_settings(), task_queue=f"perdure-demo-{uuid4().hex[:8]}")
    undisturbed = f"{workflow_id}-undisturbed"
    async with PipelineOrchestrator(settings, own_worker=False) as orchestrator:
        try:
            before, after = await _kill_and_recover(orchestrator, sources, workflow_id)
            say_when("The same documents once more, undisturbed, to compare with.")
            await orchestrator.start(sources, workflow_id=undisturbed)
            await _follow(orchestrator, undisturbed)
            return await print_proof(orchestrator, workflow_id, undisturbed, before=before, after=after)
        finally:
            if orchestrator.worker:
                await orchestrator.worker.stop()
            for started in (workflow_id, undisturbed):  # nobody else polls their task queue
                execution = await find_execution(orchestrator.client, started)
                if execution and execution.close_time is None:
                    await orchestrator.client.get_workflow_handle(started).terminate("the demo was interrupted")


async def _kill_and_recover(
    orchestrator: PipelineOrchestrator, sources: list[str], workflow_id: str
) -> tuple[list[Commit], list[Commit]]:
    """Run with one kill; returns every document as it stood at the kill, and at the end."""
    report = await orchestrator.start(sources, workflow_id=workflow_id)
    say_when(f"Started the run '{workflow_id}'" + (f": {report.web_ui}" if report.web_ui else ""))
    worker = await WorkerProcess.start(orchestrator.settings)
    orchestrator.worker = worker
    say_when(f"Started a worker, process {worker.pid}.")
    before = await _kill_in_the_middle(orchestrator, workflow_id, worker)
    say_when(f"Killed the worker with SIGKILL while it had in hand: {_names(before)}.")
    await asyncio.sleep(WITHOUT_WORKER_SECONDS)
    await _show_without_worker(orchestrator, workflow_id, before)
    began = asyncio.get_running_loop().time()
    orchestrator.worker = await WorkerProcess.start(orchestrator.settings)
    say_when(f"Brought a worker back, process {orchestrator.worker.pid}.")
    done = _done(before)
    while _done(await commits(orchestrator.stores.pool, workflow_id)) == done:  # noqa: ASYNC110 - remote state
        await asyncio.sleep(LOOK_EVERY_SECONDS)
    seconds = asyncio.get_running_loop().time() - began
    say_when(f"The next document was committed {seconds:.1f} s after the worker was called for.")
    await _follow(orchestrator, workflow_id)
    return before, await commits(orchestrator.stores.pool, workflow_id)


async def _kill_in_the_middle(
    orchestrator: PipelineOrchestrator, workflow_id: str, worker: WorkerProcess
) -> list[Commit]:
    """Stop the worker, look whether a document is in hand that will not be committed any more, and only then kill it.

    Raises:
        RefusedCommand: the run ended before that.
    """
    while True:
        found = await commits(orchestrator.stores.pool, workflow_id)
        enough = _done(found) >= max(1, len(found) // KILL_AFTER_SHARE)
        if enough and any(document.in_flight for document in found):
            os.kill(worker.pid, signal.SIGSTOP)
            await asyncio.sleep(SETTLE_SECONDS)
            frozen = await commits(orchestrator.stores.pool, workflow_id)
            if any(document.in_flight for document in frozen):
                worker.kill()
                return frozen
            os.kill(worker.pid, signal.SIGCONT)
        if not (await orchestrator.status(workflow_id)).running:
            raise RefusedCommand("The run ended before its worker could be killed: name more or larger documents.")
        await asyncio.sleep(LOOK_EVERY_SECONDS)


async def _show_without_worker(orchestrator: PipelineOrchestrator, workflow_id: str, before: list[Commit]) -> None:
    """What the servers say while nobody works: all of it is read from them, nothing is remembered here."""
    report = await orchestrator.status(workflow_id)
    execution = await orchestrator.client.get_workflow_handle(workflow_id).describe()
    shown = execution.typed_search_attributes
    now = await commits(orchestrator.stores.pool, workflow_id)
    answers.print("\n[bold]The world without a worker[/]")
    documents, mark = report.documents, report.latest_checkpoint
    temporal = execution.status.name.lower() if execution.status else "unknown"
    listed = f"{shown.get(PIPELINE_STATUS)}, {shown.get(DOCUMENTS_PROCESSED)} of {shown.get(DOCUMENTS_TOTAL)}"
    lines = [
        f"Postgres:   {documents.processed} of {documents.total} documents processed, "
        + ("as at the kill" if now == before else "CHANGED since the kill"),
        f"Temporal:   the run is {temporal}; in its list: {listed}",
        *(
            f"Pending:    {pending.activity_type.name}, attempt {pending.attempt}, "
            f"started by {pending.last_worker_identity}"
            for pending in execution.raw_description.pending_activities
        ),
        f"Checkpoint: {mark.sequence} {mark.checkpoint_id}, {mark.processed_documents} documents"
        if mark
        else "Checkpoint: none yet",
    ]
    for line in lines:
        answers.print(f"  {line}", markup=False, soft_wrap=True)
    answers.print()


async def _follow(orchestrator: PipelineOrchestrator, workflow_id: str) -> None:
    with RunDisplay() as display:
        await orchestrator.wait(workflow_id, display.show)


def _done(found: list[Commit]) -> int:
    return sum(document.committed_at is not None for document in found)


def _names(found: list[Commit]) -> str:
    return ", ".join(document.name for document in found if document.in_flight)
