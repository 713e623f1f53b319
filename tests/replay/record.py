"""Record the histories that `test_replay.py` replays: `python tests/replay/record.py RELEASE`.

Everything is real: embedded servers in a temporary folder, a worker as a process of its own, documents, a kill. Folders
of `histories/` are append-only: a change of the workflow that alters commands is gated, and older histories go on
replaying.
"""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from temporalio.client import WorkflowFailureError  # noqa: E402 - after the path

from orchestration.embedded.postgres import EmbeddedPostgres  # noqa: E402
from orchestration.embedded.stack import EmbeddedStack  # noqa: E402
from orchestration.embedded.temporal import DYNAMIC_CONFIG  # noqa: E402
from orchestration.orchestrator import PipelineOrchestrator  # noqa: E402
from orchestration.process_exit import run_main  # noqa: E402
from workflows.messages import PipelineOptions  # noqa: E402

HISTORIES = Path(__file__).parent / "histories"
SHORT_HISTORY_EVENTS = 60
ONE_AT_A_TIME = PipelineOptions(concurrency=1)

Scenario = Callable[[PipelineOrchestrator, Path], Awaitable[str]]


def papers(folder: Path, count: int, *, empty: int = 0) -> Path:
    """A folder of small documents, some of them empty."""
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


async def failure(client: PipelineOrchestrator, folder: Path) -> str:
    """Its source is an address that no activity can read, so that it fails at its first step."""
    run = await client.start([str(papers(folder, 1))], workflow_id="failure-template")
    pipeline = await client.original_input(run.workflow_id, run.run_id or "")
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
    await _some_are_done(client, run.workflow_id)
    await client.cancel(run.workflow_id)
    await client.wait(run.workflow_id)
    return run.workflow_id


async def crash(client: PipelineOrchestrator, folder: Path) -> str:
    run = await client.start([str(papers(folder, 20))], workflow_id="crash", options=ONE_AT_A_TIME)
    await _some_are_done(client, run.workflow_id)
    assert client.worker
    client.worker.kill()
    await client.wait(run.workflow_id)  # brings a worker back
    return run.workflow_id


async def outage(client: PipelineOrchestrator, folder: Path) -> str:
    """Postgres goes away in the middle: quick tries, then a patient one."""
    run = await client.start([str(papers(folder, 20))], workflow_id="outage", options=ONE_AT_A_TIME)
    await _some_are_done(client, run.workflow_id)
    server = EmbeddedPostgres(client.settings.data_dir)
    port = server.port
    await asyncio.to_thread(server.stop)
    await asyncio.sleep(4.0)
    await asyncio.to_thread(lambda: server.start(preferred_port=port))
    await client.wait(run.workflow_id)
    return run.workflow_id


async def batches(client: PipelineOrchestrator, folder: Path) -> str:
    run = await client.start(
        [str(papers(folder, 30))], workflow_id="batches", options=PipelineOptions(concurrency=2, batch_size=7)
    )
    await client.wait(run.workflow_id)
    return run.workflow_id


async def continued(client: PipelineOrchestrator, folder: Path) -> str:
    """On a server that suggests to continue as new after few events."""
    run = await client.start([str(papers(folder, 30))], workflow_id="continued", options=ONE_AT_A_TIME)
    await client.wait(run.workflow_id)
    return run.workflow_id


async def _some_are_done(client: PipelineOrchestrator, workflow_id: str) -> None:
    while (await client.status(workflow_id)).documents.processed < 3:
        await asyncio.sleep(0.05)


async def record(release: str, scenarios: list[Scenario], *, suggest_at_events: int | None = None) -> None:
    """Carry out the scenarios on one set of servers and save the history of every run of each."""
    if suggest_at_events:
        DYNAMIC_CONFIG["limit.historyCount.suggestContinueAsNew"] = suggest_at_events
    target = HISTORIES / release
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="perdure-record-") as folder:
        os.chmod(folder, 0o711)  # noqa: PTH101 - Postgres passes through it as another user where we are root
        os.environ["PERDURE_DATA_DIR"] = f"{folder}/data"
        stack = replace(EmbeddedStack.from_environment(os.environ), default_ports=False)
        await stack.up()
        try:
            async with PipelineOrchestrator() as client:
                await client.ensure_worker()
                for scenario in scenarios:
                    workflow_id = await scenario(client, Path(folder) / scenario.__name__)
                    await _save(client, workflow_id, target)
        finally:
            await stack.down()


async def _save(client: PipelineOrchestrator, workflow_id: str, target: Path) -> None:
    runs = [found async for found in client.client.list_workflows(f'WorkflowId="{workflow_id}"')]
    for number, run in enumerate(sorted(runs, key=lambda one: one.start_time), start=1):
        history = await client.client.get_workflow_handle(workflow_id, run_id=run.run_id).fetch_history()
        name = workflow_id if len(runs) == 1 else f"{workflow_id}-{number}"
        text = json.dumps(history.to_json_dict(), separators=(",", ":"))
        (target / f"{name}.json").write_text(
            text.replace(str(ROOT), "/perdure").replace(sys.base_prefix, "/usr")
        )  # in stack traces
        print(f"{name}: {len(history.events)} events")


async def main() -> None:
    """Record every scenario of a release."""
    release = sys.argv[1]
    ordinary: list[Scenario] = [happy, quarantine, failure, paused, open_run, cancelled, crash, outage, batches]
    await record(release, ordinary)
    await record(release, [continued], suggest_at_events=SHORT_HISTORY_EVENTS)


if __name__ == "__main__":
    run_main(main)
