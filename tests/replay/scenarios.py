"""Scenarios recorded for replay: runs over small documents, with real servers and workers."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from temporalio.client import WorkflowFailureError

from orchestration.client.following import read_original_input
from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.embedded.postgres import EmbeddedPostgres
from orchestration.embedded.stack import EmbeddedStack
from workflows.messages import PipelineOptions

ONE_AT_A_TIME = PipelineOptions(concurrency=1)

Scenario = Callable[[PipelineOrchestrator, Path], Awaitable[str]]


def papers(folder: Path, count: int, *, empty: int = 0) -> Path:
    """Write a folder of small documents, some of them empty, and return it."""
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:02}.txt").write_text(f"Ada Lovelace met Charles Babbage on {number + 1} June 1833.")
    for number in range(empty):
        (folder / f"empty-{number}.txt").touch()
    return folder


async def happy(client: PipelineOrchestrator, folder: Path) -> str:
    run = await client.start([str(papers(folder, 5))], workflow_id="happy")
    await client.wait(run.workflow_id)
    return run.workflow_id


async def quarantine(client: PipelineOrchestrator, folder: Path) -> str:
    run = await client.start([str(papers(folder, 3, empty=2))], workflow_id="quarantine")
    await client.wait(run.workflow_id)
    return run.workflow_id


async def refreshed(client: PipelineOrchestrator, folder: Path) -> str:
    """Run twice over a source in which one document changed, one is new, and one is gone."""
    for _ in range(2):
        source = folder if folder.exists() else papers(folder, 4)
        run = await client.start([str(source)], workflow_id="refreshed")
        await client.wait(run.workflow_id)
        (folder / "00.txt").write_text("Mary Somerville taught Ada Lovelace.")
        (folder / "01.txt").unlink(missing_ok=True)
        (folder / "new.txt").write_text("Charles Babbage died in London.")
    return run.workflow_id


async def failure(client: PipelineOrchestrator, folder: Path) -> str:
    """Start a run whose source no activity can read, so that it fails at its first step."""
    run = await client.start([str(papers(folder, 1))], workflow_id="failure-template")
    pipeline = await read_original_input(client.connected, run.workflow_id, run.run_id or "")
    await client.start_workflow("failure", pipeline.model_copy(update={"sources": ["gopher://nowhere"]}))
    try:
        await client.client.get_workflow_handle("failure").result()
    except WorkflowFailureError:
        return "failure"
    raise AssertionError("it should have failed")


async def paused(client: PipelineOrchestrator, folder: Path) -> str:
    run = await client.start([str(papers(folder, 20))], workflow_id="paused", options=ONE_AT_A_TIME)
    await client.pause(run.workflow_id)
    await asyncio.sleep(1.0)
    await client.set_concurrency(run.workflow_id, 3)
    await client.unpause(run.workflow_id)
    await client.wait(run.workflow_id)
    return run.workflow_id


async def open_run(client: PipelineOrchestrator, folder: Path) -> str:
    papers(folder, 3)
    run = await client.start([], workflow_id="open-run", options=PipelineOptions(open=True))
    for path in sorted(folder.iterdir()):
        await client.process_document(run.workflow_id, str(path))
    await client.close_intake(run.workflow_id)
    await client.wait(run.workflow_id)
    return run.workflow_id


async def cancelled(client: PipelineOrchestrator, folder: Path) -> str:
    run = await client.start([str(papers(folder, 60))], workflow_id="cancelled", options=ONE_AT_A_TIME)
    await some_are_done(client, run.workflow_id)
    await client.cancel(run.workflow_id)
    await client.wait(run.workflow_id)
    return run.workflow_id


async def crash(client: PipelineOrchestrator, folder: Path) -> str:
    run = await client.start([str(papers(folder, 20))], workflow_id="crash", options=ONE_AT_A_TIME)
    await some_are_done(client, run.workflow_id)
    assert client.worker
    client.worker.kill()
    await client.wait(run.workflow_id)  # starts a worker if none is alive
    return run.workflow_id


async def outage(client: PipelineOrchestrator, folder: Path) -> str:
    """Stop Postgres in the middle of a run: quick attempts, then attempts without a limit."""
    run = await client.start([str(papers(folder, 20))], workflow_id="outage", options=ONE_AT_A_TIME)
    await some_are_done(client, run.workflow_id)
    stack = EmbeddedStack(client.settings.data_dir, default_ports=False)
    await asyncio.to_thread(EmbeddedPostgres(stack.data_dir).stop)
    await asyncio.sleep(4.0)
    await stack.up()
    await client.wait(run.workflow_id)
    return run.workflow_id


async def batches(client: PipelineOrchestrator, folder: Path) -> str:
    run = await client.start(
        [str(papers(folder, 30))], workflow_id="batches", options=PipelineOptions(concurrency=2, batch_size=7)
    )
    await client.wait(run.workflow_id)
    return run.workflow_id


async def continued(client: PipelineOrchestrator, folder: Path) -> str:
    """Run on a server that suggests continue-as-new after few events."""
    run = await client.start([str(papers(folder, 30))], workflow_id="continued", options=ONE_AT_A_TIME)
    await client.wait(run.workflow_id)
    return run.workflow_id


async def some_are_done(client: PipelineOrchestrator, workflow_id: str, number: int = 3) -> None:
    while (await client.status(workflow_id)).documents.processed < number:
        await asyncio.sleep(0.05)


ORDINARY: list[Scenario] = [happy, quarantine, refreshed, failure, paused, open_run, cancelled, crash, outage, batches]
