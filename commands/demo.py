"""`demo`: kill a worker while it reads a document, and prove that no result was lost."""

import asyncio
import os
import signal
from dataclasses import replace
from uuid import uuid4

import typer

from commands.demo_proof import print_proof
from commands.options import NewWorkflowId, Sources
from commands.output import answers, print_line, say_when
from commands.progress import RunDisplay
from commands.sample_documents import samples_folder
from commands.servers import ensure_servers, prepared_settings
from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.client.run_status import find_execution
from orchestration.client.workflow_ids import checked_workflow_id
from orchestration.process_exit import run_main
from orchestration.worker.process import WorkerProcess
from perdure.documents.discovery import check_source
from perdure.errors import RefusedCommand
from perdure.stores.postgres.commits import Commit, list_commits
from workflows.announcements import DOCUMENTS_PROCESSED, DOCUMENTS_TOTAL, PIPELINE_STATUS

KILL_AFTER_SHARE = 4
"""The worker is killed once a fourth of the documents is committed."""
LOOK_EVERY_SECONDS = 0.02
SETTLE_SECONDS = 0.2
"""Time for a COMMIT that Postgres had received when the worker was stopped."""
WITHOUT_WORKER_SECONDS = 2.0

app = typer.Typer()


@app.command()
def demo(*, sources: Sources = None, workflow_id: NewWorkflowId = None) -> None:
    """Kill a worker while it reads a document, and prove that no result is lost or made twice.

    Processes the samples, or the given sources, in two runs: the first has its worker killed by SIGKILL, the second is
    undisturbed. Exit code 0 if both gave the same outputs and each document was committed once, 1 if not.
    """
    run_main(lambda: _demo(sources or [str(samples_folder())], workflow_id or f"demo-{uuid4().hex[:8]}"))


async def _demo(sources: list[str], workflow_id: str) -> int:
    checked_workflow_id(workflow_id)
    for source in sources:
        check_source(source)
    await ensure_servers()
    # On a separate task queue, no other worker can take over the work after the kill.
    settings = replace(await prepared_settings(), task_queue=f"perdure-demo-{uuid4().hex[:8]}")
    undisturbed = f"{workflow_id}-undisturbed"
    async with PipelineOrchestrator(settings, own_worker=False) as orchestrator:
        try:
            before, after = await _kill_and_recover(orchestrator, sources, workflow_id)
            say_when("Processing the same documents in an undisturbed run, to compare the outputs.")
            await orchestrator.start(sources, workflow_id=undisturbed)
            await _follow(orchestrator, undisturbed)
            return await print_proof(orchestrator, workflow_id, undisturbed, before=before, after=after)
        finally:
            if orchestrator.worker:
                await orchestrator.worker.stop()
            await _end_runs(orchestrator, [workflow_id, undisturbed])


async def _end_runs(orchestrator: PipelineOrchestrator, workflow_ids: list[str]) -> None:
    """Terminate the runs that an interrupted demo leaves open.

    No worker polls the task queue of these runs any more.
    """
    for workflow_id in workflow_ids:
        execution = await find_execution(orchestrator.client, workflow_id)
        if execution and execution.close_time is None:
            await orchestrator.client.get_workflow_handle(workflow_id).terminate("the demo was interrupted")


async def _kill_and_recover(
    orchestrator: PipelineOrchestrator, sources: list[str], workflow_id: str
) -> tuple[list[Commit], list[Commit]]:
    """Process the sources, and kill the worker once.

    Returns the state of every document at the kill, and at the end.
    """
    report = await orchestrator.start(sources, workflow_id=workflow_id)
    say_when(f"Started the run '{workflow_id}'" + (f": {report.web_ui}" if report.web_ui else ""))
    worker = await WorkerProcess.start(orchestrator.settings)
    orchestrator.worker = worker
    say_when(f"Started a worker, process {worker.pid}.")
    before = await _kill_with_work_in_hand(orchestrator, workflow_id, worker)
    say_when(f"Killed the worker with SIGKILL while it processed: {_names_in_hand(before)}.")
    await asyncio.sleep(WITHOUT_WORKER_SECONDS)
    await _print_without_worker(orchestrator, workflow_id, before)
    began = asyncio.get_running_loop().time()
    orchestrator.worker = await WorkerProcess.start(orchestrator.settings)
    say_when(f"Started another worker, process {orchestrator.worker.pid}.")
    done = _count_done(before)
    while _count_done(await list_commits(orchestrator.stores.pool, workflow_id)) == done:  # noqa: ASYNC110 - remote state
        await asyncio.sleep(LOOK_EVERY_SECONDS)
    seconds = asyncio.get_running_loop().time() - began
    say_when(f"The next document was committed {seconds:.1f} s after the start of the other worker.")
    await _follow(orchestrator, workflow_id)
    return before, await list_commits(orchestrator.stores.pool, workflow_id)


async def _kill_with_work_in_hand(
    orchestrator: PipelineOrchestrator, workflow_id: str, worker: WorkerProcess
) -> list[Commit]:
    """Kill the worker while it holds a document without a result; returns all documents.

    The worker is stopped first, so that no commit can arrive between the query of the documents and the kill.

    Raises:
        RefusedCommand: the run ended before the kill.
    """
    while True:
        documents = await list_commits(orchestrator.stores.pool, workflow_id)
        enough = _count_done(documents) >= max(1, len(documents) // KILL_AFTER_SHARE)
        if enough and any(document.in_flight for document in documents):
            os.kill(worker.pid, signal.SIGSTOP)
            await asyncio.sleep(SETTLE_SECONDS)
            stopped = await list_commits(orchestrator.stores.pool, workflow_id)
            if any(document.in_flight for document in stopped):
                worker.kill()
                return stopped
            os.kill(worker.pid, signal.SIGCONT)
        if not (await orchestrator.status(workflow_id)).running:
            raise RefusedCommand("The run ended before its worker could be killed: name more or larger documents.")
        await asyncio.sleep(LOOK_EVERY_SECONDS)


async def _print_without_worker(orchestrator: PipelineOrchestrator, workflow_id: str, before: list[Commit]) -> None:
    """Print what Postgres and Temporal know of the run while no worker is alive."""
    report = await orchestrator.status(workflow_id)
    execution = await orchestrator.client.get_workflow_handle(workflow_id).describe()
    shown = execution.typed_search_attributes
    current = await list_commits(orchestrator.stores.pool, workflow_id)
    documents = report.documents
    mark = report.latest_checkpoint
    temporal = execution.status.name.lower() if execution.status else "unknown"
    listed = f"{shown.get(PIPELINE_STATUS)}, {shown.get(DOCUMENTS_PROCESSED)} of {shown.get(DOCUMENTS_TOTAL)}"
    lines = [
        f"Postgres:   {documents.processed} of {documents.total} documents processed, "
        + ("the same as at the kill" if current == before else "CHANGED since the kill"),
        f"Temporal:   the run is {temporal}; search attributes, which can be older: {listed}",
        *(
            f"Pending:    {pending.activity_type.name}, attempt {pending.attempt}, "
            f"started by {pending.last_worker_identity}"
            for pending in execution.raw_description.pending_activities
        ),
        f"Checkpoint: {mark.sequence} {mark.checkpoint_id}, {mark.processed_documents} documents"
        if mark
        else "Checkpoint: none yet",
    ]
    answers.print("\n[bold]Without a worker[/]")
    for line in lines:
        print_line(f"  {line}")
    answers.print()


async def _follow(orchestrator: PipelineOrchestrator, workflow_id: str) -> None:
    with RunDisplay() as display:
        await orchestrator.wait(workflow_id, display.show)


def _count_done(documents: list[Commit]) -> int:
    return sum(document.committed_at is not None for document in documents)


def _names_in_hand(documents: list[Commit]) -> str:
    return ", ".join(document.name for document in documents if document.in_flight)
