"""`run`, `start` and `retry-failed`: the commands that start a run."""

import asyncio
import time
from typing import Annotated

import typer

from commands.chosen_run import run_command
from commands.dry_run import print_dry_run
from commands.following import follow_to_end, safe_to_interrupt
from commands.options import (
    AsJson,
    BatchSize,
    Breaker,
    Concurrency,
    Ignore,
    Include,
    NewWorkflowId,
    Open,
    Sources,
    Watch,
    WorkflowId,
    chosen,
)
from commands.output import exit_code, print_json, say
from commands.servers import ensure_servers, prepared_settings
from commands.settings_check import say_differences
from commands.summary import print_summary
from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.client.run_status import RunReport
from orchestration.client.workflow_ids import checked_workflow_id
from orchestration.invocation import command_line
from orchestration.worker.process import WorkerProcess
from orchestration.worker.slot import live_workers
from perdure.documents.discovery import check_source
from perdure.errors import RefusedCommand, WorkflowAlreadyRunning
from workflows.messages import BREAKER_SECONDS, PipelineOptions

DEFAULTS = PipelineOptions()

app = typer.Typer()


@app.command()
def run(
    *,
    sources: Sources = None,
    include: Include = None,
    ignore: Ignore = None,
    workflow_id: NewWorkflowId = None,
    concurrency: Concurrency = DEFAULTS.concurrency,
    batch_size: BatchSize = DEFAULTS.batch_size,
    breaker: Breaker = BREAKER_SECONDS,
    watch: Watch = True,
    open_: Open = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only print what the run would find, and how long it would take.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Process files and folders: start the servers, follow the run, print a summary.

    The command starts the embedded servers that are needed, and leaves them running. With --detach a worker also
    stays.
    """
    if dry_run:
        run_command(lambda: _dry_run(chosen(sources, include, ignore), workflow_id, as_json=as_json))
    options = PipelineOptions(concurrency=concurrency, batch_size=batch_size, breaker_seconds=breaker, open=open_)
    run_command(lambda: _run(chosen(sources, include, ignore), workflow_id, options, watch=watch, as_json=as_json))


@app.command()
def start(
    *,
    sources: Sources = None,
    include: Include = None,
    ignore: Ignore = None,
    workflow_id: NewWorkflowId = None,
    concurrency: Concurrency = DEFAULTS.concurrency,
    batch_size: BatchSize = DEFAULTS.batch_size,
    breaker: Breaker = BREAKER_SECONDS,
    watch: Watch = False,
    open_: Open = False,
    as_json: AsJson = False,
) -> None:
    """Start a run and leave it to the workers.

    With --watch, the command follows the run, and starts a worker if none is alive.

    The servers must be running already.
    """
    options = PipelineOptions(concurrency=concurrency, batch_size=batch_size, breaker_seconds=breaker, open=open_)
    run_command(lambda: _start(chosen(sources, include, ignore), workflow_id, options, watch=watch, as_json=as_json))


@app.command("retry-failed")
def retry_failed(
    *,
    workflow_id: WorkflowId,
    concurrency: Concurrency = DEFAULTS.concurrency,
    watch: Watch = True,
    as_json: AsJson = False,
) -> None:
    """Process a run's quarantined documents again, and no others, under the same workflow id."""
    run_command(lambda: _retry_failed(workflow_id, concurrency, watch=watch, as_json=as_json))


async def _dry_run(sources: list[str], workflow_id: str | None, *, as_json: bool) -> int:
    _check(sources, workflow_id, DEFAULTS)
    return await print_dry_run(sources, workflow_id, as_json=as_json)


async def _run(
    sources: list[str], workflow_id: str | None, options: PipelineOptions, *, watch: bool, as_json: bool
) -> int:
    _check(sources, workflow_id, options)  # a run that is refused needs no server
    await ensure_servers()
    settings = await prepared_settings()
    say_differences(settings)
    async with PipelineOrchestrator(settings) as orchestrator:
        report = await orchestrator.start(sources, workflow_id=workflow_id, options=options)
        return await carry_out(orchestrator, report, watch=watch, as_json=as_json)


async def _start(
    sources: list[str], workflow_id: str | None, options: PipelineOptions, *, watch: bool, as_json: bool
) -> int:
    _check(sources, workflow_id, options)
    settings = await prepared_settings()
    say_differences(settings)
    async with PipelineOrchestrator(settings, own_worker=watch) as orchestrator:
        report = await orchestrator.start(sources, workflow_id=workflow_id, options=options)
        if watch:
            return await carry_out(orchestrator, report, watch=True, as_json=as_json)
        _announce(report)
        if not live_workers(orchestrator.settings.data_dir):
            say(f"No worker of this data folder is alive; start one with: {command_line('worker')}")
        return _print_started(report, as_json=as_json)


async def _retry_failed(workflow_id: str, concurrency: int, *, watch: bool, as_json: bool) -> int:
    await ensure_servers()
    settings = await prepared_settings()
    say_differences(settings)
    async with PipelineOrchestrator(settings) as orchestrator:
        before = await orchestrator.status(workflow_id)
        if before.running:
            raise WorkflowAlreadyRunning(f"The run '{workflow_id}' is still running. Retry its failures when it ends.")
        failed = len(await orchestrator.failures(workflow_id))
        if not failed:
            raise RefusedCommand(f"The run '{workflow_id}' has no quarantined documents to retry.")
        say(f"Retrying {failed} quarantined document(s) of '{workflow_id}'.")
        report = await orchestrator.start(
            await orchestrator.stores.manifest.sources(workflow_id),
            workflow_id=workflow_id,
            options=PipelineOptions(concurrency=concurrency),
            retry_quarantined=True,
            rediscover=False,
        )
        return await carry_out(orchestrator, report, watch=watch, as_json=as_json)


async def carry_out(orchestrator: PipelineOrchestrator, report: RunReport, *, watch: bool, as_json: bool) -> int:
    """Make sure that a worker is alive for a started run, then follow the run or leave it.

    Args:
        orchestrator: an open orchestrator.
        report: first report of the run.
        watch: whether to follow the run to its end.
        as_json: whether to print the last report as JSON instead of a summary.

    Returns:
        The exit code.
    """
    workflow_id = report.workflow_id
    began = time.monotonic()
    _announce(report)
    if not watch:
        if not live_workers(orchestrator.settings.data_dir):
            worker = await WorkerProcess.start(orchestrator.settings, detached=True)
            say(f"A worker runs in the background as process {worker.pid}. Its log is {worker.log}")
        say(f"Follow the run with: {command_line('watch', '--workflow-id', workflow_id)}")
        say(f"Stop the worker and the servers with: {command_line('down')}")
        return _print_started(report, as_json=as_json)
    try:
        await orchestrator.ensure_worker()
    except asyncio.CancelledError:
        say(safe_to_interrupt(workflow_id))
        raise
    ended = await follow_to_end(orchestrator, workflow_id)
    if as_json:
        print_json(ended)
    else:
        await print_summary(orchestrator, ended, seconds=time.monotonic() - began)
    return exit_code(ended)


def _check(sources: list[str], workflow_id: str | None, options: PipelineOptions) -> None:
    if workflow_id is not None:
        checked_workflow_id(workflow_id)
    for source in sources:
        check_source(source)
    if not sources and not options.open:
        raise RefusedCommand("Name at least one file or folder to process, or start the run open with --open.")


def _announce(report: RunReport) -> None:
    say(f"Run:    {report.workflow_id}")
    if report.web_ui:
        say(f"Web UI: {report.web_ui}")


def _print_started(report: RunReport, *, as_json: bool) -> int:
    if as_json:
        print_json(report)
    return 0
